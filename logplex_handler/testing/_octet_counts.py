"""Finds the wrong octet count in a body that cannot be split into frames."""

from __future__ import annotations

import re

_HEADER = re.compile(rb"[1-9][0-9]{0,4} <[0-9]{1,3}>1 ")
_ZERO = re.compile(rb"0[0-9]* ")
_LENGTH = re.compile(rb"([1-9][0-9]{0,5}) ")


def find_wrong_count(body: bytes) -> tuple[int, str] | None:
    """The number of the first frame whose octet count is wrong, from 1, and a description.

    A count is right if the next packet's header or the end of the body follows the frame. Returns
    None if every count is right and the fault is something between or after the frames.
    """
    position = 0
    number = 0
    while (length := _LENGTH.match(body, position)) is not None:
        number += 1
        count, start = int(length.group(1)), length.end()
        position = start + count
        next_header = _HEADER.search(body, start)
        end = next_header.start() if next_header else len(body)
        in_step = position == len(body) or _HEADER.match(body, position) is not None
        # A count that is too large may swallow digits of the next count, and the remaining digits
        # look like a count. But no packet continues after a newline.
        if end == position or (in_step and body[end - 1 : end] != b"\n"):
            continue
        if end > position and (body[start:position].endswith(b"\n") or _ZERO.match(body, position)):
            return None
        return number, f"octet count {count}, but the packet ends after {end - start} bytes"
    return None
