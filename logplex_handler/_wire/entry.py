"""An entry: what waits of a record in a queue. And its memory, in CPython on 64-bit systems."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# The values that a line is made of. Their number and types depend on the call site, so they are
# known only to the code that was compiled for it.
Entry = tuple[Any, ...]
# Returns the bytes of memory that an entry takes, and the number of its packets; always the same.
Weigh = Callable[[Entry], tuple[int, int]]

# Bytes of memory that a light entry takes at most. Most entries are light. An accumulator weighs
# none until their number could fill its memory: 8,192 with the default limit.
LIGHT = 2048
# An integer of this many bits takes less memory than the shortest text.
ORDINARY_BITS = 120
# Bytes of an empty tuple and its place in the queue, and of each value's place in the tuple.
_ENTRY = 40 + 8
_PLACE = 8
# Bytes of an empty text: of ASCII characters, and of others, with up to four bytes for each.
_TEXT = 56
_WIDE_TEXT = 80
_WIDEST = 4


def weight(entry: Entry) -> int:
    """Bytes of memory that an entry takes; always the same for the same entry."""
    size = _ENTRY
    for value in entry:
        if type(value) is not str:
            size += _PLACE + sys.getsizeof(value)
        elif value.isascii():
            size += _PLACE + _TEXT + len(value)
        else:
            size += _PLACE + _WIDE_TEXT + _WIDEST * len(value)
    return size


def longest_of_light(values: int) -> tuple[int, int]:
    """The most characters of each text in a light entry of these many values: any, and ASCII."""
    # The number of the call site and the time are two more values.
    each = (LIGHT - _ENTRY) // (values + 2) - _PLACE - _WIDE_TEXT
    return each // _WIDEST, each
