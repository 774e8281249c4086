"""A key=value line that is too long for a packet becomes several lines, its parts.

Consumers read packet by packet. A packet that began inside a quoted value would therefore let that
value forge pairs, metrics, or a whole line.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from logplex_handler._wire import packet

# The start of a pair in a UTF-8 line: up to a quoted value, or with a bare one.
_START = re.compile(rb'([^\x00-\x20="\x7f]+)=(?:"|([^\x00-\x20="\\\x7f]+))')
_METRIC_KEY = re.compile(rb"(?:measure|sample|count)#")
_ELLIPSIS = "…".encode()
# The longest escape is `\u00XX`.
_LONGEST_ESCAPE = 6
# The fewest bytes of a value with which it begins in a part that already holds other pairs.
_WORTH_A_START = 200


class _Pair(NamedTuple):
    key: bytes
    # The value with its escapes and without its quotes.
    content: bytes
    # The pair as the line has it.
    text: bytes


def parts(line: bytes, room: int, live: Collection[bytes] = ()) -> list[bytes]:
    """Return the line as parts of at most `room` bytes each, which are key=value lines, too.

    Each part repeats the head of the line (`source`, static pairs, `level`, `logger`, and pairs
    that follow with one of the keys `live`) and says which part it is, as in `part=2/3`. The other
    pairs follow in their order. A pair that does not fit in one part is cut: each piece of its
    value is quoted under its key. The pieces of a value, joined, are the value; two pairs in a row
    with the same key look like pieces, too. A pair of the head that takes too much of each part is
    treated like the other pairs; a key that does so is shortened and ends with `…`.

    A line that is not key=value, from an application's formatter, is cut between characters.
    """
    pairs = _pairs(line)
    if pairs is None:
        return packet.pieces(line, room)
    head, others = _apart(pairs, room // 2, live)
    digits = len(str(len(line) // room + 1))
    while True:
        number = b"9" * digits
        filled = _filled(others, room - len(b"%bpart=%b/%b " % (head, number, number)))
        if len(str(len(filled))) <= digits:
            break
        digits += 1
    if len(filled) == 1:
        # A shortened key has left room for all pairs.
        return [head + filled[0]]
    return [
        b"%bpart=%d/%d %b" % (head, number, len(filled), pairs_of_part)
        for number, pairs_of_part in enumerate(filled, 1)
    ]


def _pairs(line: bytes) -> list[_Pair] | None:
    """Return the pairs of a line, or None if it does not consist of pairs alone."""
    pairs, position = [], 0
    while position < len(line):
        match = _START.match(line, position)
        if match is None:
            return None
        content, end = match[2], match.end()
        if content is None:
            # A quoted value may be long, so its end is found by the fastest search.
            end = _end_of_quoted(line, match.end())
            content = line[match.end() : end - 1]
        if not end or line[end : end + 1] not in (b"", b" ") or line.endswith(b" "):
            return None
        pairs.append(_Pair(match[1], content, line[position:end]))
        position = end + 1
    return pairs


def _end_of_quoted(line: bytes, start: int) -> int:
    """Return the index after the quote that ends a value, or 0 if there is none."""
    end = start
    while end := line.find(b'"', end) + 1:
        first = quote = end - 1
        while first > start and line[first - 1] == ord("\\"):
            first -= 1
        if (quote - first) % 2 == 0:
            return end
    return 0


def _apart(pairs: list[_Pair], room: int, live: Collection[bytes]) -> tuple[bytes, list[_Pair]]:
    """Return the head of a line in at most `room` bytes, and the pairs that are not in it."""
    keys = [pair.key for pair in pairs]
    end = keys.index(b"logger") + 1 if b"logger" in keys else 0
    while 0 < end < len(keys) and keys[end] in live:
        end += 1
    # The static pairs may be many, so they come last.
    most_important_first = sorted(
        range(end), key=lambda index: keys[index] not in (b"source", b"level", b"logger")
    )
    kept = set()
    for index in most_important_first:
        size = len(pairs[index].text) + 1
        if size <= room:
            kept.add(index)
            room -= size
    head = b"".join([pairs[index].text + b" " for index in sorted(kept)])
    return head, [pair for index, pair in enumerate(pairs) if index not in kept]


def _filled(pairs: list[_Pair], room: int) -> list[bytes]:
    """Return the pairs in as many parts as they need, each of at most `room` bytes."""
    filled: list[bytes] = []
    part: list[bytes] = []
    left = room

    def add(text: bytes) -> None:
        nonlocal left
        part.append(text)
        left -= len(text) + 1

    def end_part() -> None:
        nonlocal left
        filled.append(b" ".join(part))
        part.clear()
        left = room

    for pair in pairs:
        key, content, text = pair
        if len(text) > room:
            key = _short_key(key, room // 4)
            text = b'%b="%b"' % (key, content)
        if len(text) <= room:
            if len(text) > left:
                end_part()
            add(text)
            continue
        start, around = 0, len(key) + len(b'=""')
        while start < len(content):
            if part and left < around + _WORTH_A_START:
                end_part()
            end = _cut(content, start, start + left - around)
            add(b'%b="%b"' % (key, content[start:end]))
            start = end
    end_part()
    return filled


def _short_key(key: bytes, longest: int) -> bytes:
    """Return the key of a pair that is cut, shortened if it is too long.

    The key of a metric is changed: consumers would count the metric once for each piece.
    """
    if _METRIC_KEY.match(key):
        key = key.replace(b"#", b"_", 1)
    if len(key) <= longest:
        return key
    return key[: _between_characters(key, longest - len(_ELLIPSIS))] + _ELLIPSIS


def _cut(content: bytes, start: int, end: int) -> int:
    """Return the last index up to `end` that is neither within a character nor within an escape."""
    if end >= len(content):
        return len(content)
    end = _between_characters(content, end)
    for index in range(end - 1, max(start, end - _LONGEST_ESCAPE) - 1, -1):
        if content[index] == ord("\\"):
            before = content[start:index]
            is_escape = (len(before) - len(before.rstrip(b"\\"))) % 2 == 0
            length = _LONGEST_ESCAPE if content[index + 1] == ord("u") else 2
            if is_escape and index + length > end:
                return index
    return end


def _between_characters(text: bytes, end: int) -> int:
    """Return the last index up to `end` at which a character begins."""
    while text[end] & 0xC0 == 0x80:
        end -= 1
    return end
