"""The entry point of the command `logplex-handler`."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

from logplex_handler.cli._commands import parser, suggestion
from logplex_handler.cli._completion import similar_option


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # Open a closed stdin, stdout or stderr, or the next opened file would get its number.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal whose encoding lacks a character shows an escape.
            stream.reconfigure(errors="backslashreplace")
    commands = parser()
    try:
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
        status: int = command.run(options)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if sys.stdout is not None:
            # Python would report the error again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # If the output is a pipe, the program that reads it, such as `head`, may have ended.
        if not isinstance(error, BrokenPipeError):
            print(f"logplex-handler: {error.strerror or error}", file=sys.stderr)
        return 1
    return status
