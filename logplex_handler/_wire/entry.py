"""An entry: what waits of a record in a queue. And its memory, in CPython on 64-bit systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
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
WIDEST = 4
# Bytes of a number, and of a value of any other type, at most.
_NUMBER = 40
_OTHER = 120


def weight(entry: Entry) -> int:
    """Bytes of memory that an entry takes; always the same for the same entry."""
    size = _ENTRY
    for value in entry:
        if type(value) is not str:
            size += _PLACE + sys.getsizeof(value)
        elif value.isascii():
            size += _PLACE + _TEXT + len(value)
        else:
            size += _PLACE + _WIDE_TEXT + WIDEST * len(value)
    return size


def longest_of_light(needed: Sequence[int], numbers: int, others: int) -> Iterator[tuple[int, int]]:
    """The most characters of each text in a light entry: any, and ASCII.

    Args:
        needed: The bytes that each text needs at least; what is left is shared out equally.
        numbers: The number of other values that are numbers, or smaller.
        others: The number of values of other types.
    """
    room = LIGHT - _ENTRY - len(needed) * (_PLACE + _WIDE_TEXT) - others * (_PLACE + _OTHER)
    # The number of the call site and the time are two more.
    room -= (numbers + 2) * (_PLACE + _NUMBER)
    share = (room - sum(needed)) // max(1, len(needed))
    for bytes_of_text in needed:
        longest = bytes_of_text + share if share >= 0 else -1
        yield longest // WIDEST, longest
