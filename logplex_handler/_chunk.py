"""Frames as they are written to the spool, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable

from logplex_handler._frames import OwnFrame, PieceFrame, number, pieces, singles, split


def records_in(frames: list[bytes]) -> int:
    """How many records the frames are of."""
    return len(_sizes(frames)) if PieceFrame in map(type, frames) else number(frames)


def packed(frames: list[bytes]) -> tuple[bytes, str | None, int]:
    """A chunk's body, how many frames each record has (None if each has one), and the records."""
    body = b"".join(frames)
    if PieceFrame not in map(type, frames):
        return body, None, number(frames)
    sizes = _sizes(frames)
    return body, json.dumps(sizes), len(sizes)


def _sizes(frames: list[bytes]) -> list[int]:
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
    frames = [*split(body)]
    if sizes is None:
        return frames
    grouped: list[bytes] = []
    for size in json.loads(sizes):
        grouped += pieces(frames[len(grouped) : len(grouped) + max(1, size)])
    if len(grouped) != len(frames):
        raise ValueError("its records do not add up")
    return grouped


def without_own(frames: Iterable[bytes]) -> list[bytes]:
    """The frames of the application's records."""
    return [frame for frame in frames if not isinstance(frame, OwnFrame)]
