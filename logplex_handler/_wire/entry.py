"""Entries, which wait in queues in place of records, and their memory in 64-bit CPython."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

# The values that a line is made of. Their number and types depend on the call site, so they are
# known only to the code that was compiled for it.
Entry = tuple[Any, ...]
# Returns the bytes of memory that an entry takes, and the number of its packets: the same at each
# call.
Weigh = Callable[[Entry], tuple[int, int]]

# The most bytes of memory that a light entry takes. Most entries are light. An accumulator weighs
# none until their number could fill its memory: 8,192 with the default limit.
LIGHT = 2048
# The numbers of call sites with heavy entries begin here, the others end before. Python compares
# integers below 1 << 30 fastest.
HEAVY = 1 << 29
# The most bits of an integer that takes less memory than the shortest text.
ORDINARY_BITS = 120
# Bytes of an empty tuple and its place in the queue, and of each value's place in the tuple.
_ENTRY = 40 + 8
_PLACE = 8
# Bytes of an empty text: of ASCII characters, and of others, with up to four bytes for each.
_TEXT = 56
_WIDE_TEXT = 80
WIDEST = 4
# Bytes of an empty metric's value: instances of subclasses are larger, and tracked by the garbage
# collector.
_TRACKED_TEXT = 104
# The most bytes of a number, and of a value of any other type.
_NUMBER = 40
_OTHER = 120


def weight(entry: Entry) -> int:
    """Return the bytes of memory that an entry takes: the same at each call."""
    size = _ENTRY + _PLACE * len(entry)
    for value in entry:
        if not isinstance(value, str):
            # What `sys.getsizeof` returns for values that the garbage collector does not track, and
            # takes five times as long for.
            size += value.__sizeof__()
        elif value.isascii():
            size += (_TEXT if type(value) is str else _TRACKED_TEXT) + len(value)
        else:
            size += _WIDE_TEXT + WIDEST * len(value)
    return size


def weight_source(texts: Sequence[str], numbers: int, others: int) -> str:
    """Return the source of the most bytes that an entry takes, which is its last value.

    Args:
        texts: The variables that are texts.
        numbers: The number of values that are numbers, or smaller than numbers.
        others: The number of values of other types.
    """
    # The call site's number, the time and the weight are three more numbers. That of the packets is
    # so small that Python has it anyway.
    fixed = _ENTRY + (numbers + 3) * (_PLACE + _NUMBER) + _PLACE + others * (_PLACE + _OTHER)
    fixed += len(texts) * (_PLACE + _WIDE_TEXT)
    each = [f"len({text}) * (1 if {text}.isascii() else {WIDEST})" for text in texts]
    return " + ".join([str(fixed), *each])


def longest_of_light(needed: Sequence[int], numbers: int, others: int) -> Iterator[tuple[int, int]]:
    """Yield the most characters that each text of a light entry may have: any, and ASCII.

    Args:
        needed: The bytes that each text needs at least; the remaining bytes are shared equally.
        numbers: The number of values that are numbers, or smaller than numbers.
        others: The number of values of other types.
    """
    room = LIGHT - _ENTRY - len(needed) * (_PLACE + _WIDE_TEXT) - others * (_PLACE + _OTHER)
    # The call site's number and the time are two more numbers.
    room -= (numbers + 2) * (_PLACE + _NUMBER)
    share = (room - sum(needed)) // max(1, len(needed))
    for bytes_of_text in needed:
        longest = bytes_of_text + share if share >= 0 else -1
        yield longest // WIDEST, longest
