"""The command `logplex-handler`: what can be asked of it on the command line."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from pathlib import Path

from logplex_handler._version import __version__
from logplex_handler.cli import _local, _values

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    _open_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal of another encoding shows a character that it has not as an escape.
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _give_up_output()
        return 1
    except OSError as error:
        # A full disk, say.
        _give_up_output()
        print(f"logplex-handler: {error.strerror or error}", file=sys.stderr)
        return 1
    return status


def _give_up_output() -> None:
    """Else Python would complain once more at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_descriptors() -> None:
    """Where one is closed, what is opened next would have its number, and be taken for it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _parser() -> argparse.ArgumentParser:
    as_module = os.path.basename(sys.argv[0]) == "__main__.py"
    parser = argparse.ArgumentParser(
        prog="python -m logplex_handler" if as_module else "logplex-handler",
        description="Ships lines to a Heroku app's log stream, and shows what the customer sees.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_send(commands)
    _add_check(commands)
    _local.add_receive(commands)
    _local.add_replay(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "demo", help="log to a small Logplex in this process, and show what a customer would see"
    )
    command.add_argument(
        "--seconds",
        type=_values.seconds,
        default=3.0,
        help="how long to log, in seconds (default: 3)",
    )
    command.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from logplex_handler.cli._demo_shop import demo

    return demo(options.seconds)


def _add_send(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "send",
        help="send a message, or the lines of standard input: myapp 2>&1 | logplex-handler send",
        description="Sends a message, the lines of standard input, or those that are added to a "
        "file, to the stream that LOGPLEX_URL names. The exit status is 0 if every line was "
        "delivered, 1 if not (how many is said on stderr), 2 for a mistake in the options. "
        "SIGINT and SIGTERM send what is left first; the second one does not.",
    )
    command.add_argument("message", nargs="*", help="the message; without one, standard input")
    command.add_argument(
        "--follow",
        type=Path,
        metavar="FILE",
        help="send the lines that are added to a file, for ever; it may be rotated or cut",
    )
    command.add_argument(
        "--from-start", action="store_true", help="with --follow, also the lines it has already"
    )
    command.add_argument(
        "--level",
        choices=_values.LEVELS,
        default="info",
        help="the lines' severity",
    )
    command.add_argument("--hostname", help="default: LOGPLEX_HOSTNAME, else as in the README")
    command.add_argument("--appname", help="default: LOGPLEX_APPNAME, else app")
    command.add_argument("--procid", help="default: LOGPLEX_PROCID, else DYNO, else send")
    command.add_argument(
        "--wait",
        type=_values.wait,
        default=20.0,
        metavar="SECONDS",
        help="how long a line may wait for room in memory, and the end for delivery (default: 20)",
    )
    command.add_argument(
        "--drop",
        action="store_true",
        help="drop the oldest lines when memory for them is full, instead of making the input wait",
    )
    command.add_argument("--compress", action="store_true", help="send bodies gzipped")
    command.add_argument(
        "-v", "--verbose", action="store_true", help="tell what was sent, though all is well"
    )
    command.set_defaults(run=_send, parser=command)


def _send(options: argparse.Namespace) -> int:
    from logplex_handler.cli._send import SendOptions, send

    if options.message and options.follow:
        options.parser.error("a message and --follow do not go together")
    if options.from_start and not options.follow:
        options.parser.error("--from-start needs --follow")
    is_named = options.procid or os.environ.get("LOGPLEX_PROCID") or os.environ.get("DYNO")
    return send(
        SendOptions(
            message=" ".join(options.message) if options.message else None,
            follow=options.follow,
            from_start=options.from_start,
            level=getattr(logging, options.level.upper()),
            hostname=options.hostname,
            appname=options.appname,
            procid=options.procid if is_named else "send",
            drop=options.drop,
            wait=options.wait,
            compress=options.compress,
            verbose=options.verbose,
        )
    )


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "check",
        help="look at the configuration and the URL, and say what is wrong with them",
        description="Looks at LOGPLEX_URL and the other variables, at name, connection, TLS and "
        "credentials, and sends one test line. The exit status is 1 if logs would not arrive. The "
        "token is never shown.",
    )
    command.add_argument("--no-line", action="store_true", help="send no test line")
    command.add_argument(
        "--timeout",
        type=_values.seconds,
        default=5.0,
        metavar="SECONDS",
        help="for each step (default: 5)",
    )
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from logplex_handler.cli._check import check
    from logplex_handler.receiver.style import Style

    return check(send_line=not options.no_line, timeout=options.timeout, style=Style(sys.stdout))
