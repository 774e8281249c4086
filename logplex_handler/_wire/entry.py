"""An entry, which is what waits of a record, and how much memory it holds.

The figures are those of CPython on 64 bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Entry = tuple[Any, ...]
# The bytes of memory that an entry holds, and the packets that it will make. The same each time.
Weigh = Callable[[Entry], tuple[int, int]]

# Most entries are light: they hold no more than this. A buffer takes so many before it weighs one
# that they may hold all that it may; 8,192 with the default bound.
LIGHT = 2048

# An empty tuple, and its place in the queue.
_ENTRY = 40 + 8
_PLACE = 8
_TEXT = 56
# A text with other characters than those of ASCII has up to four bytes for each.
_WIDE_TEXT = 80
_WIDEST = 4


def weight(entry: tuple[Any, ...]) -> int:
    """Bytes that an entry holds. The same each time it is asked."""
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
    """Characters that each text of a light entry of so many values may have, and if it is ASCII."""
    # The number of the call site and the time are two more.
    each = (LIGHT - _ENTRY) // (values + 2) - _PLACE - _WIDE_TEXT
    return each // _WIDEST, each


# An integer of so many bits takes less memory than the shortest text.
ORDINARY_BITS = 120
