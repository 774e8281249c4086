"""A key=value line that is too long for a packet becomes several lines, its parts.

Consumers read packet by packet. A packet that began inside a quoted value would therefore let that
value forge pairs, metrics, or a whole line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from logplex_handler._wire import packet
from logplex_handler._wire.packet import Fragments

# The start of a pair in a UTF-8 line: up to a quoted value, or with a bare one.
_START = re.compile(rb'([^\x00-\x20="\x7f]+)=(?:"|([^\x00-\x20="\\\x7f]+))')
# The head of nearly all lines: bare pairs up to the name of the logger.
_HEAD = re.compile(
    rb'(?:(?!logger=)[^\x00-\x20="\x7f]+=[^\x00-\x20="\\\x7f]+ )*logger=[^\x00-\x20="\\\x7f]+ '
)
_METRIC_KEY = re.compile(rb"(?:measure|sample|count)#")
_ELLIPSIS = "…".encode()
_BLANK = ord(" ")
_BACKSLASH = ord("\\")
# The longest escape is `\u00XX`.
_LONGEST_ESCAPE = 6
# The fewest bytes of a value with which it begins in a part that already holds other pairs.
_WORTH_A_START = 200


# A pair: its key, and where it and its value begin and end in its line, because each copy of a long
# value takes time. The value has its escapes, but not its quotes.
_Pair: TypeAlias = tuple[bytes, int, int, int, int]


def parts(fragments: Sequence[bytes], room: int, live: Collection[bytes] = ()) -> list[Fragments]:
    """Return a line as parts of at most `room` bytes each, which are key=value lines, too.

    Each part repeats the head of the line (`source`, static pairs, `level`, `logger`, and pairs
    that follow with one of the keys `live`) and says which part it is, as in `part=2/3`. The other
    pairs follow in their order. A pair that does not fit in one part is cut: each piece of its
    value is quoted under its key. The pieces of a value, joined, are the value; two pairs in a row
    with the same key look like pieces, too. A pair of the head that takes too much of each part is
    treated like the other pairs; a key that does so is shortened and ends with `…`.

    A line that is not key=value, from an application's formatter, is cut between characters.
    """
    line = b"".join(fragments)
    known = None if live else _HEAD.match(line, 0, room // 2)
    pairs = _pairs(line, known.end() if known else 0, fragments)
    if pairs is None:
        return packet.pieces(line, room)
    head, others = (known[0], pairs) if known else _apart(line, pairs, room // 2, live)
    digits = len(str(len(line) // room + 1))
    room -= len(head) + len(b"part=/")
    while len(filled := _filled(line, others, room - 2 * digits)) >= 10**digits:
        digits += 1
    if len(filled) == 1:
        # A shortened key has left room for all pairs.
        return [[(head[:-1] + b"".join(filled[0])).lstrip()]]
    for number, part in enumerate(filled, 1):
        part[0] = b"%bpart=%d/%d" % (head, number, len(filled))
    return filled


def _pairs(line: bytes, position: int, fragments: Iterable[bytes]) -> list[_Pair] | None:
    """Return the pairs of a line from a position on, or None if it has anything else there."""
    pairs: list[_Pair] = []
    if line.endswith(b" "):
        return None
    size = len(line)
    quotes = b""
    while position < size:
        match = _START.match(line, position)
        if match is None:
            return None
        value, value_end = match.span(2)
        end = value_end
        if value < 0:
            value = match.end()
            value_end = line.find(b'"', value)
            if line[value_end - 1] == _BACKSLASH:
                # Looking at each escaped quote of a long value would take ten times as long.
                quotes = quotes or _without_escapes(fragments)
                value_end = quotes.find(b'"', value)
            end = value_end + 1
        if not end or (end < size and line[end] != _BLANK):
            return None
        pairs.append((match[1], position, end, value, value_end))
        position = end + 1
    return pairs


def _without_escapes(fragments: Iterable[bytes]) -> bytes:
    """Return a line of the same length whose quotes are those that are not escaped."""
    texts = []
    for index, text in enumerate(fragments):
        if index % 2 == 0:
            texts.append(text.replace(b"\\\\", b"__").replace(b'\\"', b"__"))
        else:
            # To replace the escapes of a long value would take longer than all else.
            mark = text[:1] if text.startswith(b'"') else b""
            texts += (mark, bytes(len(text) - 2 * len(mark)), mark)
    return b"".join(texts)


def _apart(
    line: bytes, pairs: list[_Pair], room: int, live: Collection[bytes]
) -> tuple[bytes, list[_Pair]]:
    """Return the head of a line in at most `room` bytes, and the pairs that are not in it."""
    keys = [key for key, *_ in pairs]
    last = keys.index(b"logger") + 1 if b"logger" in keys else 0
    while 0 < last < len(keys) and keys[last] in live:
        last += 1
    if last and pairs[last - 1][2] < room:
        return line[: pairs[last - 1][2]] + b" ", pairs[last:]
    # The static pairs may be many, so they come last.
    most_important_first = sorted(
        range(last), key=lambda index: keys[index] not in (b"source", b"level", b"logger")
    )
    kept = set()
    for index in most_important_first:
        _, start, end, *_ = pairs[index]
        size = end - start + 1
        if size <= room:
            kept.add(index)
            room -= size
    head = b"".join([line[pairs[index][1] : pairs[index][2]] + b" " for index in sorted(kept)])
    return head, [pair for index, pair in enumerate(pairs) if index not in kept]


def _filled(line: bytes, pairs: list[_Pair], room: int) -> list[Fragments]:
    """Return the pairs, each after a blank, in as many parts as they need, of `room` bytes each.

    Each part begins with an empty place for its head.
    """
    part: Fragments = [b""]
    filled = [part]
    left = room
    view = memoryview(line)
    for key, start, end, value, value_end in pairs:
        before, after = b" ", b""
        at, last, size = start, end, 1 + end - start
        if size > room:
            before, after = b' %b="' % _short_key(key, (room - 1) // 4), b'"'
            around = len(before) + 1
            at, last, size = value, value_end, around + value_end - value
        if size > left and (size <= room or left < min(room, around + _WORTH_A_START)):
            part = [b""]
            filled.append(part)
            left = room
        while size > left:
            cut_at = _cut(line, at, at + left - around)
            part += (before, view[at:cut_at], after)
            size -= cut_at - at
            at = cut_at
            part = [b""]
            filled.append(part)
            left = room
        part += (before, view[at:last], after)
        left -= size
    return filled


def _short_key(key: bytes, longest: int) -> bytes:
    """Return the key of a pair that is cut, shortened if it is too long.

    The key of a metric is changed: consumers would count the metric once for each piece.
    """
    if b"#" in key and _METRIC_KEY.match(key):
        key = key.replace(b"#", b"_", 1)
    if len(key) <= longest:
        return key
    return key[: _between_characters(key, longest - len(_ELLIPSIS))] + _ELLIPSIS


def _cut(line: bytes, start: int, end: int) -> int:
    """Return the last index up to `end` that is neither within a character nor within an escape.

    The value begins at `start`, and goes on at `end`.
    """
    if line[end] & 0xC0 == 0x80:
        end = _between_characters(line, end)
    index = line.rfind(b"\\", max(start, end - _LONGEST_ESCAPE), end)
    if index < 0:
        return end
    # An escape begins here, unless an odd number of backslashes precedes it.
    before = line[start:index]
    is_escape = (len(before) - len(before.rstrip(b"\\"))) % 2 == 0
    length = _LONGEST_ESCAPE if line[index + 1] == ord("u") else 2
    return index if is_escape and index + length > end else end


def _between_characters(text: bytes, end: int) -> int:
    """Return the last index up to `end` at which a character begins."""
    while text[end] & 0xC0 == 0x80:
        end -= 1
    return end
