"""The commands `receive` and `replay`: their arguments, and how they are started."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from logplex_handler.cli import _argument_types


def add_receive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "receive",
        help="run a local Logplex: shows lines as customers see them, and explains violations",
        description="Runs a local Logplex on loopback, prints its LOGPLEX_URL, shows the lines "
        "that it gets as `heroku logs --tail` does, and explains every violation of the format.",
    )
    command.add_argument("--host", default="127.0.0.1", help="where to listen (default: loopback)")
    command.add_argument(
        "--port", type=_argument_types.port, default=8601, help="default: 8601; 0: any free one"
    )
    command.add_argument(
        "--token",
        action="append",
        default=[],
        help="accept only this token; may be repeated (default: any)",
    )
    command.add_argument(
        "--web",
        type=_argument_types.port,
        nargs="?",
        const=8602,
        metavar="PORT",
        help="also show a page, on loopback (default port: 8602)",
    )
    command.add_argument(
        "--keep",
        type=_argument_types.whole,
        default=100_000,
        metavar="LINES",
        help="how many lines the page keeps (default: 100000)",
    )
    shown = command.add_argument_group("what is printed")
    shown.add_argument(
        "--stream",
        action="append",
        default=[],
        help="only this stream: a packet's hostname, with * for any text; may be repeated",
    )
    shown.add_argument("--process", action="append", default=[], help="only this process: web.*")
    shown.add_argument(
        "--level", choices=_argument_types.LEVELS, default="debug", help="only this level or worse"
    )
    shown.add_argument("--grep", default="", metavar="TEXT", help="only lines with this text")
    shown.add_argument("--quiet", action="store_true", help="only violations")
    bad = command.add_argument_group("misbehave on purpose")
    bad.add_argument(
        "--fail",
        type=_argument_types.failure,
        action="append",
        default=[],
        metavar="STATUS[:SHARE]",
        help="answer this share of requests with STATUS: 503:0.2 is every fifth; may be repeated",
    )
    bad.add_argument(
        "--hang",
        type=_argument_types.share,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help="never answer (default share: 1, all of them)",
    )
    bad.add_argument(
        "--delay",
        type=_argument_types.wait,
        default=0.0,
        metavar="SECONDS",
        help="wait before every answer",
    )
    bad.add_argument(
        "--rotate",
        type=_argument_types.seconds,
        metavar="SECONDS",
        help="retire all tokens each time this interval ends, as when Heroku rotates credentials, "
        "and print the new URL",
    )
    command.add_argument(
        "--record", type=Path, metavar="FILE", help="append requests to a file, for `replay`"
    )
    command.add_argument(
        "--url-file", type=Path, metavar="FILE", help="keep the URL in a file, for scripts"
    )
    command.set_defaults(run=_receive, parser=command)


def _receive(options: argparse.Namespace) -> int:
    from logplex_handler._wire.packet import severity
    from logplex_handler.cli._receive import ReceiveOptions, receive
    from logplex_handler.receiver.terminal import Filter
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
            line_filter=Filter(
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


def add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "replay", help="send recorded requests to LOGPLEX_URL again, unchanged"
    )
    command.add_argument("file", type=Path, help="the file that `receive --record FILE` wrote")
    command.add_argument(
        "--speed",
        type=_argument_types.wait,
        default=0.0,
        metavar="TIMES",
        help="how many times faster than recorded; 1: as fast as recorded (default: no waiting)",
    )
    command.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from logplex_handler.cli._replay import replay

    return replay(options.file, speed=options.speed)
