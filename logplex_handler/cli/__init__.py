"""The command `logplex-handler`: what can be asked of it on the command line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from logplex_handler._version import __version__

__all__ = ["main"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


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
    _add_receive(commands)
    _add_replay(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "demo", help="log to a small Logplex in this process, and show what a customer would see"
    )
    command.add_argument(
        "--seconds", type=_seconds, default=3.0, help="how long to log, in seconds (default: 3)"
    )
    command.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from logplex_handler._demo import demo

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
        "--follow", type=Path, metavar="FILE", help="send the lines that are added to a file, for "
        "ever; it may be rotated or cut"
    )  # fmt: skip
    command.add_argument(
        "--from-start", action="store_true", help="with --follow, also the lines it has already"
    )
    command.add_argument(
        "--level", choices=_LEVELS, default="info", help="the lines' severity (default: info)"
    )
    command.add_argument("--hostname", help="default: LOGPLEX_HOSTNAME, else as in the README")
    command.add_argument("--appname", help="default: LOGPLEX_APPNAME, else app")
    command.add_argument("--procid", help="default: LOGPLEX_PROCID, else DYNO, else send")
    command.add_argument(
        "--wait", type=_wait, default=30.0, metavar="SECONDS", help="how long a line may wait "
        "for room in memory, and the end for delivery (default: 30)"
    )  # fmt: skip
    command.add_argument(
        "--drop", action="store_true", help="drop the oldest lines when memory for them is full, "
        "instead of making the input wait"
    )  # fmt: skip
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
        "--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="for each step "
        "(default: 5)"
    )  # fmt: skip
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from logplex_handler.cli._check import check
    from logplex_handler.cli._style import Style

    return check(send_line=not options.no_line, timeout=options.timeout, style=Style(sys.stdout))


def _add_receive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "receive",
        help="run a local Logplex: shows lines as customers see them, and explains what is wrong",
        description="Runs a local Logplex on loopback, prints its LOGPLEX_URL, and shows what it "
        "is sent as `heroku logs --tail` does, with every violation of the format explained.",
    )
    command.add_argument("--host", default="127.0.0.1", help="where to listen (default: loopback)")
    command.add_argument("--port", type=_port, default=8601, help="default: 8601; 0: any free one")
    command.add_argument(
        "--token", action="append", default=[], help="let in this token alone; may be repeated "
        "(default: any)"
    )  # fmt: skip
    command.add_argument(
        "--web", type=_port, nargs="?", const=8602, metavar="PORT", help="also show a page, on "
        "loopback (default port: 8602)"
    )  # fmt: skip
    command.add_argument(
        "--keep", type=_whole, default=100_000, metavar="LINES", help="lines that the page keeps "
        "(default: 100000)"
    )  # fmt: skip
    shown = command.add_argument_group("what is printed")
    shown.add_argument(
        "--stream", action="append", default=[], help="only this stream: a packet's hostname, "
        "with * for any text; may be repeated"
    )  # fmt: skip
    shown.add_argument("--process", action="append", default=[], help="only this process: web.*")
    shown.add_argument("--level", choices=_LEVELS, default="debug", help="only this level or worse")
    shown.add_argument("--grep", default="", metavar="TEXT", help="only lines with this text")
    shown.add_argument("--quiet", action="store_true", help="only what is wrong")
    bad = command.add_argument_group("misbehave on purpose")
    bad.add_argument(
        "--fail", type=_failure, action="append", default=[], metavar="STATUS[:SHARE]",
        help="answer so many requests with this: 503:0.2 is every fifth; may be repeated",
    )  # fmt: skip
    bad.add_argument(
        "--hang", type=_share, nargs="?", const=1.0, default=0.0, metavar="SHARE",
        help="never answer (default share: 1, all of them)",
    )  # fmt: skip
    bad.add_argument(
        "--delay", type=_wait, default=0.0, metavar="SECONDS", help="wait before every answer"
    )
    bad.add_argument(
        "--rotate", type=_seconds, metavar="SECONDS", help="retire all tokens every so often, as "
        "when Heroku rotates credentials, and print the new URL"
    )  # fmt: skip
    command.add_argument(
        "--record", type=Path, metavar="FILE", help="append requests to a file, for `replay`"
    )
    command.add_argument(
        "--url-file", type=Path, metavar="FILE", help="keep the URL in a file, for scripts"
    )
    command.set_defaults(run=_receive, parser=command)


def _receive(options: argparse.Namespace) -> int:
    from logplex_handler._packet import severity
    from logplex_handler.cli._receive import ReceiveOptions, receive
    from logplex_handler.receiver._terminal import Filter
    from logplex_handler.testing import Misbehaviour

    try:
        misbehaviour = Misbehaviour(tuple(options.fail), options.hang, options.delay)
    except ValueError as error:
        options.parser.error(f"--fail, --hang: {error}")
    if not all(token.isascii() and token.isprintable() and token for token in options.token):
        options.parser.error("--token: must be printable ASCII")
    return receive(
        ReceiveOptions(
            host=options.host,
            port=options.port,
            tokens=tuple(options.token),
            misbehaviour=misbehaviour,
            rotate=options.rotate,
            chosen=Filter(
                streams=tuple(options.stream),
                processes=tuple(options.process),
                severity=severity(getattr(logging, options.level.upper())),
                text=options.grep,
            ),
            quiet=options.quiet,
            record=options.record,
            url_file=options.url_file,
            web=options.web,
            keep=options.keep,
        )
    )


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "replay", help="send recorded requests again, as they were, to LOGPLEX_URL"
    )
    command.add_argument("file", type=Path, help="what `receive --record FILE` has written")
    command.add_argument(
        "--speed", type=_wait, default=0.0, metavar="TIMES", help="how many times faster than they "
        "came; 1: as they came (default: without waits)"
    )  # fmt: skip
    command.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from logplex_handler.cli._replay import replay

    return replay(options.file, speed=options.speed)


def _failure(text: str) -> tuple[int, float]:
    status, _, share = text.partition(":")
    if not (status.isascii() and status.isdigit() and len(status) == 3):
        raise argparse.ArgumentTypeError("must be STATUS or STATUS:SHARE, such as 503:0.2")
    return int(status), _share(share or "1")


def _share(text: str) -> float:
    share = _number(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("must be a share from 0 to 1")
    return share


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError("must be a port, 0 to 65535")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000_000):
        raise argparse.ArgumentTypeError("must be a number from 1 to 10000000")
    return int(text)


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be a number, more than 0 and at most 3600")
    return seconds


def _wait(text: str) -> float:
    seconds = _number(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("must be a number from 0 to 86400")
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
