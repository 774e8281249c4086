"""Types of command-line arguments, with an error message for each invalid value."""

from __future__ import annotations

import argparse

LEVELS = ("debug", "info", "warning", "error", "critical")


def failure(text: str) -> tuple[int, float]:
    status, _, part = text.partition(":")
    if not (status.isascii() and status.isdigit() and len(status) == 3):
        raise argparse.ArgumentTypeError("must be STATUS or STATUS:SHARE, such as 503:0.2")
    return int(status), share(part or "1")


def share(text: str) -> float:
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be a share from 0 to 1")
    return value


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError("must be a port, 0 to 65535")
    return int(text)


def whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000_000):
        raise argparse.ArgumentTypeError("must be a number from 1 to 10000000")
    return int(text)


def seconds(text: str) -> float:
    value = number(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("must be a number, more than 0 and at most 3600")
    return value


def wait(text: str) -> float:
    value = number(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError("must be a number from 0 to 86400")
    return value


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
