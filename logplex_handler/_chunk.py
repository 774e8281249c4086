"""Frames as they are written to the spool, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from logplex_handler._frames import Frame, OwnFrame, PieceFrame, number, pieces, singles


def records_in(frames: Sequence[Frame]) -> int:
    """How many records the frames are of."""
    return len(_sizes(frames)) if PieceFrame in map(type, frames) else number(frames)


def packed(frames: Sequence[Frame]) -> tuple[bytes, str | None, int]:
    """A chunk's body, how many frames each record has (None if each has one), and the records."""
    body = b"".join(singles(frames))
    if PieceFrame not in map(type, frames):
        return body, None, number(frames)
    sizes = _sizes(frames)
    return body, json.dumps(sizes), len(sizes)


def _sizes(frames: Sequence[Frame]) -> list[int]:
    sizes: list[int] = []
    last = None
    for frame in singles(frames):
        record = frame.record if isinstance(frame, PieceFrame) else None
        if record is not None and record is last:
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = record
    return sizes


def unpacked(body: bytes, sizes: str | None) -> list[bytes]:
    """The frames of a body.

    Raises:
        ValueError: It is none.
    """
    frames: list[bytes] = []
    at = 0
    while at < len(body):
        space = body.index(b" ", at)
        length = body[at:space]
        if not length.isdigit():
            raise ValueError("a frame does not begin with its length")
        end = space + 1 + int(length)
        frames.append(body[at:end])
        at = end
    if at != len(body):
        raise ValueError("a frame is longer than its chunk")
    if sizes is None:
        return frames
    grouped: list[bytes] = []
    for size in json.loads(sizes):
        grouped += pieces(frames[len(grouped) : len(grouped) + max(1, size)])
    if len(grouped) != len(frames):
        raise ValueError("its records do not add up")
    return grouped


def without_own(frames: Iterable[Frame]) -> list[Frame]:
    """The frames of the application's records."""
    return [frame for frame in frames if not isinstance(frame, OwnFrame)]
