"""The command `python -m logplex_handler`."""

from __future__ import annotations

import argparse
import os
import sys

from logplex_handler._demo import demo


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m logplex_handler",
        description="Ships what a Python program logs to a Heroku app's log stream.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "demo", help="log to a small Logplex in this process, and show what a customer would see"
    )
    command.add_argument(
        "--seconds", type=_seconds, default=3.0, help="how long to log, in seconds (default: 3)"
    )
    seconds = parser.parse_args(arguments).seconds
    try:
        return demo(seconds)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be a number, more than 0 and at most 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
