"""The commands `demo`, `send` and `check`: their arguments, and how they are started."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from logplex_handler.cli import _argument_types


def add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "demo", help="log to a small Logplex in this process, and show what a customer would see"
    )
    command.add_argument(
        "--seconds",
        type=_argument_types.seconds,
        default=3.0,
        help="how long to log, in seconds (default: 3)",
    )
    command.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from logplex_handler.cli._demo import demo

    return demo(options.seconds)


def add_send(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "send",
        help="send a message, or the lines of standard input: myapp 2>&1 | logplex-handler send",
        description="Sends a message, the lines of standard input, or those that are added to a "
        "file, to the stream that LOGPLEX_URL names. The exit status is 0 if every line was "
        "delivered, 1 if not (stderr says how many), 2 for a mistake in the options. "
        "SIGINT and SIGTERM first send the lines that are left; a second signal ends at once.",
    )
    command.add_argument("message", nargs="*", help="the message; without one, standard input")
    command.add_argument(
        "--follow",
        type=Path,
        metavar="FILE",
        help="send the lines that are added to a file, for ever; it may be rotated or truncated",
    )
    command.add_argument(
        "--from-start", action="store_true", help="with --follow, also send its present lines"
    )
    command.add_argument(
        "--level",
        choices=_argument_types.LEVELS,
        default="info",
        help="the lines' severity",
    )
    command.add_argument("--hostname", help="default: LOGPLEX_HOSTNAME, else as in the README")
    command.add_argument("--appname", help="default: LOGPLEX_APPNAME, else app")
    command.add_argument("--procid", help="default: LOGPLEX_PROCID, else DYNO, else send")
    command.add_argument(
        "--wait",
        type=_argument_types.wait,
        default=20.0,
        metavar="SECONDS",
        help="how long a line may wait for room in memory, and delivery may take at the end "
        "(default: 20)",
    )
    command.add_argument(
        "--drop",
        action="store_true",
        help="drop the oldest lines when their memory is full, instead of making the input wait",
    )
    command.add_argument("--compress", action="store_true", help="send bodies gzipped")
    command.add_argument(
        "-v", "--verbose", action="store_true", help="print the counts even if all is well"
    )
    command.set_defaults(run=_send, parser=command)


def _send(options: argparse.Namespace) -> int:
    from logplex_handler.cli._send import SendOptions, send

    if options.message and options.follow:
        options.parser.error("a message and --follow do not go together")
    if options.from_start and not options.follow:
        options.parser.error("--from-start needs --follow")
    has_procid = options.procid or os.environ.get("LOGPLEX_PROCID") or os.environ.get("DYNO")
    return send(
        SendOptions(
            message=" ".join(options.message) if options.message else None,
            follow=options.follow,
            from_start=options.from_start,
            level=getattr(logging, options.level.upper()),
            hostname=options.hostname,
            appname=options.appname,
            procid=options.procid if has_procid else "send",
            drop=options.drop,
            wait=options.wait,
            compress=options.compress,
            verbose=options.verbose,
        )
    )


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "check",
        help="check the configuration and the URL, and say what is wrong with them",
        description="Checks LOGPLEX_URL and the other variables, the host's name, the connection, "
        "TLS and the credentials, and sends one test line. The exit status is 1 if logs would not "
        "arrive. The token is never shown.",
    )
    command.add_argument("--no-line", action="store_true", help="send no test line")
    command.add_argument(
        "--timeout",
        type=_argument_types.seconds,
        default=5.0,
        metavar="SECONDS",
        help="for each step (default: 5)",
    )
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from logplex_handler.cli._check import check
    from logplex_handler.receiver.style import Style

    return check(send_line=not options.no_line, timeout=options.timeout, style=Style(sys.stdout))
