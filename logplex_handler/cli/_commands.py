"""The commands and their arguments."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import textwrap
from typing import TypeAlias

from logplex_handler._process.version import __version__
from logplex_handler.cli._argument_types import (
    failure,
    level,
    port,
    query,
    seconds,
    set_up,
    share,
    wait,
    within,
)
from logplex_handler.cli._completion import Completion, add_file
from logplex_handler.cli._examples import EXAMPLES
from logplex_handler.cli._relay_arguments import add_allow_http, add_relay, add_ship
from logplex_handler.cli._size import add_arguments as add_size_arguments

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


_LEVELS = ("debug", "info", "warning", "error", "critical")


def suggestion(name: str) -> str:
    """Return the command that a mistyped name stands for, or empty if none is like it."""
    return next(iter(difflib.get_close_matches(name, EXAMPLES, 1)), "")


class _Formatter(argparse.HelpFormatter):
    """Wraps descriptions at the width of the terminal, and leaves examples as they are."""

    examples = "examples:"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(self.examples):
            return text
        return super()._fill_text(text, width, indent)


def parser() -> argparse.ArgumentParser:
    as_module = os.path.basename(sys.argv[0]) == "__main__.py"
    main = argparse.ArgumentParser(
        prog="python -m logplex_handler" if as_module else "logplex-handler",
        description="Ships lines to a Heroku app's log stream, and shows what the customer sees.",
    )
    main.add_argument("--version", action="version", version=__version__)
    main.add_argument(
        "--completion",
        action=Completion,
        choices=("bash", "zsh", "tcsh"),
        help="print a script that completes commands and options in this shell "
        "(needs the extra `completion`)",
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_send(commands)
    _add_check(commands)
    add_ship(commands)
    add_relay(commands)
    _add_receive(commands)
    _add_replay(commands)
    add_size_arguments(
        commands.add_parser(
            "size",
            help="calculate how many workers and processes and how much memory a load needs",
            description="Says what each process needs to write to the streams of many customers: "
            "workers, CPU, memory, and a buffer for an outage. It calculates with figures that "
            "were measured (docs/sizing.md), and sends nothing.",
        )
    )
    for name, command in commands.choices.items():
        command.set_defaults(parser=command)
        command.formatter_class = _Formatter
        command.epilog = f"{_Formatter.examples}\n{textwrap.indent(EXAMPLES[name], '  ')}"
    return main


def _add_demo(commands: _Commands) -> None:
    command = commands.add_parser(
        "demo",
        help="log to a small Logplex in this process, and show what a customer would see",
        description="Logs as a shop does to a small Logplex in this process, and shows what a "
        "customer would see.",
    )
    command.add_argument(
        "--seconds", type=seconds, default=3.0, help="how long to log, in seconds (default: 3)"
    )


def _add_send(commands: _Commands) -> None:
    command = commands.add_parser(
        "send",
        help="send a message, or the lines of standard input or of a growing file",
        description="Sends a message, the lines of standard input, or the lines that are appended "
        "to a file, to the stream that LOGPLEX_URL names. The exit status is 0 if every line was "
        "delivered, 1 if not (stderr says how many), 2 if an option is wrong. On SIGINT or "
        "SIGTERM, the remaining lines are sent first; a second signal ends it at once.",
    )
    command.add_argument("message", nargs="*", help="the message; without one, standard input")
    add_file(
        command,
        "--follow",
        help="send each line that is appended to a file, which may be rotated or truncated",
    )
    command.add_argument(
        "--from-start", action="store_true", help="with --follow, also send the lines it has"
    )
    _add_level(command, "info", "the lines' severity")
    command.add_argument(
        "--hostname", help="default: LOGPLEX_HOSTNAME, else HEROKU_APP_ID, else the machine's name"
    )
    command.add_argument("--appname", help="default: LOGPLEX_APPNAME, else app")
    command.add_argument("--procid", help="default: LOGPLEX_PROCID, else DYNO, else send")
    command.add_argument(
        "--wait",
        type=wait,
        default=20.0,
        metavar="SECONDS",
        help="how long a line may wait for room in memory, and how long delivery may take at the "
        "end (default: 20)",
    )
    command.add_argument(
        "--drop",
        action="store_true",
        help="when memory is full, drop the oldest lines instead of making the input wait",
    )
    command.add_argument("--compress", action="store_true", help="gzip the bodies of requests")
    add_allow_http(command)
    command.add_argument(
        "-v", "--verbose", action="store_true", help="print the counts even if all is well"
    )


def _add_level(command: argparse._ActionsContainer, default: str, meaning: str) -> None:
    command.add_argument(
        "--level",
        type=level,
        choices=_LEVELS,
        default=default,
        metavar="LEVEL",
        help=f"{meaning}: {', '.join(_LEVELS)} (default: {default})",
    )


def _add_check(commands: _Commands) -> None:
    command = commands.add_parser(
        "check",
        help="check the configuration and the URL, and explain what is wrong with them",
        description="Checks LOGPLEX_URL and the other variables, the name of the host, the "
        "connection, TLS and the credentials, and sends one test line. The exit status is 1 if "
        "logs would not arrive. The token is never shown.",
    )
    add_allow_http(command)
    command.add_argument("--no-line", action="store_true", help="do not send the test line")
    command.add_argument(
        "--logger",
        metavar="NAME",
        help="after --setup, also say what keeps records of this logger from a handler",
    )
    command.add_argument(
        "--setup",
        type=set_up,
        metavar="MODULE[:FUNCTION]",
        help="import this module (and call its function) to set up logging as the program does: "
        "shop.settings, django:setup",
    )
    command.add_argument(
        "--timeout",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long each step may take (default: 5)",
    )


def _add_receive(commands: _Commands) -> None:
    command = commands.add_parser(
        "receive",
        help="run a local Logplex that shows lines as customers see them and explains violations",
        description="Runs a local Logplex on loopback, prints its LOGPLEX_URL, shows incoming "
        "lines as `heroku logs --tail` does, and explains every violation of the format.",
    )
    command.add_argument("--host", default="127.0.0.1", help="where to listen (default: loopback)")
    command.add_argument("--port", type=port, default=8601, help="default: 8601; 0: any free one")
    command.add_argument(
        "--token",
        action="append",
        default=[],
        help="accept only this token; may be repeated (default: any)",
    )
    command.add_argument(
        "--web",
        type=port,
        nargs="?",
        const=8602,
        metavar="PORT",
        help="also serve a page, on loopback (default port: 8602)",
    )
    command.add_argument(
        "--keep",
        type=within(int, 1, 10_000_000, "a number from 1 to 10000000"),
        default=100_000,
        metavar="LINES",
        help="how many lines the page keeps (default: 100000)",
    )
    shown = command.add_argument_group("what is printed")
    shown.add_argument(
        "--stream",
        action="append",
        default=[],
        help="only this stream (a packet's hostname; * is any text); may be repeated",
    )
    shown.add_argument("--process", action="append", default=[], help="only this process: web.*")
    _add_level(shown, "debug", "only lines of this level or a more severe one")
    shown.add_argument(
        "--grep",
        type=query,
        default="",
        metavar="QUERY",
        help='only lines that match: a word, "two words", /regexp/, status=5*, duration>100, '
        "stream=acme, level>=warning; a - before a term excludes what it matches",
    )
    shown.add_argument(
        "--customer",
        metavar="STREAM",
        help="only what the customer of this stream sees, exactly as `heroku logs` shows it",
    )
    shown.add_argument(
        "--brief",
        action="store_true",
        help="quick to read: local times, messages first, tracebacks as Python prints them, "
        "without source, logger and level=info",
    )
    shown.add_argument(
        "--quiet", action="store_true", help="only lines with violations, and refused requests"
    )
    shown.add_argument(
        "--json",
        action="store_true",
        help="each line as a JSON object; what is wrong with a request is explained on stderr",
    )
    shown.add_argument(
        "--parts",
        action="store_true",
        help="each packet of a long line separately, as customers see it, not the whole line",
    )
    bad = command.add_argument_group("misbehave on purpose")
    bad.add_argument(
        "--fail",
        type=failure,
        action="append",
        default=[],
        metavar="STATUS[:SHARE]",
        help="answer this share of requests with STATUS: 503:0.2 for a fifth; may be repeated",
    )
    bad.add_argument(
        "--hang",
        type=share,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help="leave this share of requests unanswered (default: all)",
    )
    bad.add_argument(
        "--delay", type=wait, default=0.0, metavar="SECONDS", help="wait before every answer"
    )
    bad.add_argument(
        "--rotate",
        type=seconds,
        metavar="SECONDS",
        help="retire all tokens at this interval, as when Heroku rotates credentials, and print "
        "the new URL",
    )
    add_file(command, "--record", help="append requests to a file, for `replay`")
    add_file(command, "--url-file", help="write the URL to a file, for scripts")


def _add_replay(commands: _Commands) -> None:
    command = commands.add_parser(
        "replay",
        help="send recorded requests to LOGPLEX_URL, unchanged",
        description="Sends the requests that `receive --record` recorded to LOGPLEX_URL, "
        "unchanged.",
    )
    add_file(command, "file", help="the file that `receive --record FILE` wrote")
    add_allow_http(command)
    command.add_argument(
        "--speed",
        type=wait,
        default=0.0,
        metavar="TIMES",
        help="how many times as fast as recorded; 1 is the recorded speed (default: no waiting)",
    )
