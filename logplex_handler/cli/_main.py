"""The entry point of the command `logplex-handler`."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def _ended_by_sigint() -> Iterator[None]:
    """Let SIGINT end the process at once, without a traceback.

    Python would raise KeyboardInterrupt, and an import that it strikes may swallow it: the command
    would then run on.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # Open a closed stdin, stdout or stderr, or the next opened file would get its number.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        # Commands ask it whether it is a terminal.
        sys.stdout = os.fdopen(1, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal whose encoding lacks a character shows an escape.
            stream.reconfigure(errors="backslashreplace")
    try:
        with _ended_by_sigint():
            run = _command(arguments)
        return run()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        # Python would report the error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # If the output is a pipe, the program that reads it, such as `head`, may have ended.
        if not isinstance(error, BrokenPipeError):
            print(f"logplex-handler: {error.strerror or error}", file=sys.stderr)
        return 1


def _command(arguments: list[str] | None) -> Callable[[], int]:
    """Return what runs the command that the arguments ask for."""
    from logplex_handler.cli._commands import parser, suggestion
    from logplex_handler.cli._completion import similar_option

    commands = parser()
    name = next(iter(sys.argv[1:] if arguments is None else arguments), "")
    meant = suggestion(name)
    if meant not in ("", name):
        commands.error(f"there is no command {name!r}; did you mean {meant!r}?")
    options, unknown = commands.parse_known_args(arguments)
    if unknown:
        # argparse itself would show the usage of all commands, which names no options.
        meant = similar_option(options.parser, unknown[0])
        hint = f"; did you mean {meant}?" if meant else ""
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    # The module of a command is imported when it runs, so that the others cost little.
    command = import_module(f"logplex_handler.cli._{options.command}")
    return lambda: int(command.run(options))
