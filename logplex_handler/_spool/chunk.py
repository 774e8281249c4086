"""Chunks: how frames are packed for the spool, and unpacked."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from logplex_handler._wire.frames import (
    Frame,
    PieceFrame,
    Run,
    SplitRecord,
    flattened,
    frame_count,
    joined,
    linked,
)
from logplex_handler._wire.packet import MAX_PACKET_BYTES

# The id of a stream as it is written to disk; None for the handler's own URL.
StreamId = str | int | None

# The longest stream id, in characters, that is written to disk. No stream has a longer one.
MAX_STREAM_ID = 1000
# The most records of a chunk. No batch of 8,000,000 bytes has as many.
_MAX_RECORDS = 1_000_000
# The form of this package's frame ids: 32 digits, or 36 characters with hyphens for a relay. Other
# content of a damaged file must not become a header.
_FRAME_ID = re.compile(r"[0-9a-f-]{36}|[0-9a-f]{32}", re.ASCII)
# A frame and its length, where the header has priority, time, hostname, appname, procid and message
# id; or all that is left where no frame begins, so that nothing is searched twice.
_FRAME = re.compile(
    rb"(([1-9]\d{0,4}) <\d{1,3}>1 [\d:.T+-]{32}(?: [!-~]{1,255}){3} - [^\n]*\n)|[\0-\xff]+"
)
# Reserves the room for a frame id, so that it can be written even if the file is full.
NO_ID = " " * 36


class Chunk(NamedTuple):
    """Frames that are on disk.

    Attributes:
        hostname: The hostname in the packets; None for the handler's own.
        frame_id: The id under which the frames were sent; None if they never were.
        recovered: Whether a dead process left the frames.
        written_at: When the frames were written, in seconds since the epoch.
        frames: The frames, or none if the chunk is damaged.
    """

    id: int
    hostname: str | None
    frame_id: str | None
    records: int
    recovered: bool
    written_at: float
    frames: list[Frame]


# The values of an SQL row may be anything, because the file may be damaged.


def chunk_of(
    id: int,
    hostname: object,
    frame_id: object,
    records: object,
    recovered: object,
    place: object,
    sizes: str | None,
    body: object,
) -> Chunk:
    """Return the chunk in an SQL row."""
    frames: list[Frame] = []
    if isinstance(body, bytes) and records == records_of(records):
        with contextlib.suppress(ValueError, TypeError, OverflowError, RecursionError):
            frames = unpacked(body, sizes, records_of(records))
    return Chunk(
        id,
        hostname if isinstance(hostname, str) and hostname.isascii() else None,
        frame_id if isinstance(frame_id, str) and _FRAME_ID.fullmatch(frame_id) else None,
        records_of(records),
        bool(recovered),
        place / 1e9 if isinstance(place, int) else 0.0,
        frames,
    )


def records_of(number: object) -> int:
    """Return the number of records of a chunk, or 1 if the number is impossible."""
    return number if isinstance(number, int) and 1 <= number <= _MAX_RECORDS else 1


def is_stream_id(stream: object) -> TypeGuard[StreamId]:
    """Return whether the id can be on disk, where other processes know the stream by it."""
    if type(stream) is str:
        is_short = len(stream) <= MAX_STREAM_ID
        return is_short and not any("\ud800" <= character <= "\udfff" for character in stream)
    return stream is None or (type(stream) is int and -(2**63) <= stream < 2**63)


def records_in(frames: Sequence[Frame]) -> int:
    return len(_sizes(frames)) if _has_split(frames) else frame_count(frames)


def _has_split(frames: Sequence[Frame]) -> bool:
    return any(
        frame.split if isinstance(frame, Run) else isinstance(frame, PieceFrame) for frame in frames
    )


def packed(frames: Sequence[Frame], *, is_cut: bool = False) -> tuple[bytes, str | None, int]:
    """Return the body, the number of frames of each record, and the number of records.

    The second is JSON, or None if each record has one frame. If the last record is cut, because it
    goes on in the next chunk, its number is negative.
    """
    body = joined(frames)
    if not _has_split(frames):
        return body, None, frame_count(frames)
    sizes = _sizes(frames)
    if is_cut:
        sizes[-1] = -sizes[-1]
    return body, json.dumps(sizes), len(sizes)


def _sizes(frames: Sequence[Frame]) -> list[int]:
    sizes: list[int] = []
    last = None
    for frame in flattened(frames):
        record = frame.record if isinstance(frame, PieceFrame) else None
        if record is not None and record is last:
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = record
    return sizes


def unpacked(body: bytes, sizes: str | None, records: int) -> list[Frame]:
    """Return the frames of a body, the opposite of `packed`. Raises ValueError or TypeError."""
    frames = _split(body)
    if sizes is None:
        if len(frames) != records:
            raise ValueError("its records do not add up")
        return [Run(frames)]
    grouped: list[Frame] = []
    counts = json.loads(sizes)
    for count in counts:
        some = frames[len(grouped) : len(grouped) + max(1, abs(count))]
        grouped += linked(some, SplitRecord(len(some), goes_on=True) if count < 0 else None)
    is_whole = all(count >= 0 for count in counts[:-1])
    if len(grouped) != len(frames) or len(counts) != records or not is_whole:
        raise ValueError("its records do not add up")
    return grouped


def _split(body: bytes) -> list[bytes]:
    """Return the frames, each of which must be a packet: a receiver might refuse them all."""
    if not body.isascii():
        body.decode()
    found = _FRAME.findall(body)
    frames = [frame for frame, _ in found]
    for frame, length in found:
        if not frame or int(length) > MAX_PACKET_BYTES:
            raise ValueError("a frame has no header and newline, or is too long for a packet")
        if len(frame) != len(length) + 1 + int(length):
            raise ValueError("a frame does not end with its first newline")
    return frames
