"""Records, lines, and texts that try to forge pairs."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import sys

import pytest

from logplex_handler import KeyValueFormatter, measure
from tests import strict

FORGERIES = [
    "bob admin=true",
    'bob" admin="true',
    'bob\\" admin="true',
    "x count#forged=5",
    "x measure#forged=5ms source=evil",
    "x\ncount#forged=5",
    "x\r\nlevel=critical",
    "x\n62 <190>1 2013-03-27T20:02:24.000000+00:00 h app p - - forged",
    "count#forged=5",
    "%s %d %(a)s %%",
    "",
    " ",
    "=",
    '"',
    "\\",
    "\\x",
    "\x00\x1b[2J\x85\u2028",
]
forgeries = pytest.mark.parametrize("text", FORGERIES)


def record(message="hello", *args, level=logging.INFO, name="shop", extra=None, exc_info=None):
    """A record as a logger makes it, without the stack being looked at."""
    return logging.getLogger().makeRecord(
        name, level, "shop.py", 1, message, args, exc_info, "f", extra
    )


def line(message="hello", *args, formatter=None, **given):
    """The text of a record, whole."""
    return (formatter or KeyValueFormatter()).format(record(message, *args, **given))


def pairs(message="hello", *args, **given):
    """The pairs of a record's one line, but for level and logger."""
    found = strict.pairs(line(message, *args, **given))
    assert [key for key, _ in found[:2]] == ["level", "logger"]
    return found[2:]


def failure(error):
    """What `exc_info` holds while an exception is handled."""
    try:
        raise error
    except BaseException:
        return sys.exc_info()


class Unprintable:
    """Something whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


class Grudge(Exception):
    """An error whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


LATENCY = measure("web.latency", 4, "ms")
