"""The types of the commands' arguments: a text becomes a value, or an error with what is valid."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from logplex_handler.receiver.query import Query

_Number = TypeVar("_Number", int, float)


def within(
    convert: Callable[[str], _Number], least: float, most: float, what: str
) -> Callable[[str], _Number]:
    """Return the type of an argument that is a number from `least` to `most`."""

    def parse(text: str) -> _Number:
        try:
            value = convert(text)
            if least <= value <= most:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"must be {what}")

    return parse


port = within(int, 0, 65_535, "a port, 0 to 65535")
share = within(float, 0, 1, "a share from 0 to 1")
seconds = within(float, 0.001, 3600, "a number, more than 0 and at most 3600")
wait = within(float, 0, 86_400, "a number from 0 to 86400")
count = within(int, 1, 1_000_000_000, "a whole number such as 50000, at most 1000000000")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Return the seconds of `50ms`, `0.05s`, `10m`, `1h`, or just a number."""
    number = text.rstrip("".join(_UNITS))
    try:
        length = float(number) * _UNITS[text[len(number) :] or "s"]
    except (KeyError, ValueError):
        length = 0.0
    if not 0 < length <= 1_000_000:
        raise argparse.ArgumentTypeError("must be a time such as 50ms, 1s, 10m or 1h")
    return length


def set_up(text: str) -> tuple[str, str]:
    """Return the module and the function, or an empty text, of `MODULE` or `MODULE:FUNCTION`."""
    module, colon, function = text.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), function or "f"]) or (
        colon and not function
    ):
        raise argparse.ArgumentTypeError("must be MODULE or MODULE:FUNCTION, as django:setup")
    return module, function


def failure(text: str) -> tuple[int, float]:
    status, _, of_requests = text.partition(":")
    if not (status.isascii() and status.isdigit() and len(status) == 3):
        raise argparse.ArgumentTypeError("must be STATUS or STATUS:SHARE, such as 503:0.2")
    return int(status), share(of_requests or "1")


_LEVELS = {"warn": "warning", "err": "error", "crit": "critical"}


def level(text: str) -> str:
    """Return a level's name: it may be in capitals, or short as in queries."""
    return _LEVELS.get(text.lower(), text.lower())


def query(text: str) -> Query:
    try:
        return Query(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
