"""Which octet count is wrong, and by how much, where a body does not come apart as it should."""

from __future__ import annotations

import re

_HEADER = re.compile(rb"[1-9][0-9]{0,4} <[0-9]{1,3}>1 ")
_ZERO = re.compile(rb"0[0-9]* ")
_LENGTH = re.compile(rb"([1-9][0-9]{0,5}) ")


def wrong_count(body: bytes) -> tuple[int, str] | None:
    """The number of the first frame whose octet count is wrong, from 1, and what is wrong in words.

    A count is right if the next packet's header, or the end of the body, follows the frame. None
    where no count is wrong, but something stands between frames or behind them.
    """
    position = 0
    number = 0
    while (length := _LENGTH.match(body, position)) is not None:
        number += 1
        says, start = int(length.group(1)), length.end()
        position = start + says
        following = _HEADER.search(body, start)
        ends = following.start() if following else len(body)
        in_step = position == len(body) or _HEADER.match(body, position) is not None
        # A count that is too large may swallow digits of the next one, and what is left of it
        # looks like a count; but no packet goes on behind a newline.
        if ends == position or (in_step and body[ends - 1 : ends] != b"\n"):
            continue
        if ends > position and (
            body[start:position].endswith(b"\n") or _ZERO.match(body, position)
        ):
            return None
        return number, f"octet count {says}, but the packet ends after {ends - start} bytes"
    return None
