"""The arguments of the commands for a relay."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from logplex_handler.cli._argument_types import seconds, wait, within

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_allow_http(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-http",
        action="store_true",
        help="accept an http:// URL for another machine; the token is then sent unencrypted",
    )


def _add_relay_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--relay",
        metavar="URL",
        help="the Redis or Valkey server, or several separated by commas (default: LOGPLEX_RELAY, "
        "which other users of the machine cannot see)",
    )
    command.add_argument(
        "--shards",
        type=within(int, 1, 4096, "a number from 1 to 4096"),
        metavar="NUMBER",
        help="the same in all processes of a relay (default: LOGPLEX_RELAY_SHARDS, else 64)",
    )


def add_ship(commands: Commands) -> None:
    command = commands.add_parser(
        "ship",
        help="deliver what handlers have written to a relay",
        description="Takes lines from a relay and delivers them, as one of any number of shippers. "
        "On SIGTERM it finishes its requests, the other shippers take over at once, and the exit "
        "status is 0. It is 2 if an option is wrong or the relay cannot be used.",
    )
    _add_relay_options(command)
    command.add_argument(
        "--streams",
        metavar="MODULE:OBJECT",
        help="finds the streams' URLs, like the handler's `streams` (default: LOGPLEX_STREAMS)",
    )
    command.add_argument(
        "--flush-interval",
        type=wait,
        default=2.0,
        metavar="SECONDS",
        help="how long a stream's first line waits for more (default: 2)",
    )
    command.add_argument(
        "--workers",
        type=within(int, 1, 64, "a number from 1 to 64"),
        default=16,
        metavar="NUMBER",
        help="the number of requests at the same time (default: 16)",
    )
    command.add_argument(
        "--health-interval",
        type=seconds,
        metavar="SECONDS",
        help="how often to send metrics of this shipper to LOGPLEX_URL (default: never)",
    )
    command.add_argument("--compress", action="store_true", help="gzip the bodies of requests")
    add_allow_http(command)


def add_relay(commands: Commands) -> None:
    command = commands.add_parser(
        "relay",
        help="show what waits in a relay, who ships it, and whether its books balance",
        description="Shows the shards of a relay: their owners, what waits, how late it is, what "
        "is set aside and what was dropped. The exit status is 0 if every line that was pushed is "
        "accounted for, 1 if not or if the relay cannot be reached, 2 if an option is wrong.",
    )
    _add_relay_options(command)
    command.add_argument("--json", action="store_true", help="print everything as JSON")
