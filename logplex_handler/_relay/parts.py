"""The parts of a batch, each of which is the body of one request."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from logplex_handler._wire.frames import Frame, OwnFrame, PieceFrame, SplitRecord, flattened


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a batch, which is the body of one request.

    Attributes:
        ranges: Which frames, counted from 0 among all frames of the batch: for each run of them
            the first, and the one behind the last.
    """

    frame_id: str
    ranges: tuple[tuple[int, int], ...]

    def frames_of(self, frames: list[bytes]) -> list[bytes]:
        return [frame for start, stop in self.ranges for frame in frames[start:stop]]


def parts_of(
    left: Sequence[tuple[str, Sequence[Frame]]], frames: Sequence[Frame]
) -> tuple[Part, ...]:
    """The parts that are left, each given by its frame id and its frames.

    Lines of the handler's own, which are in no chunk, are left out.

    Args:
        frames: All frames of the batch in their order, with the same hostname and token as those
            that are left.
    """
    places: dict[bytes, deque[int]] = {}
    for place, frame in enumerate(flattened(frames)):
        places.setdefault(frame, deque()).append(place)
    parts = []
    for frame_id, some in left:
        ranges: list[tuple[int, int]] = []
        for frame in flattened(some):
            if isinstance(frame, OwnFrame):
                continue
            # Of frames with the same bytes, any will do.
            place = places[frame].popleft()
            if ranges and ranges[-1][1] == place:
                ranges[-1] = (ranges[-1][0], place + 1)
            else:
                ranges.append((place, place + 1))
        if ranges:
            parts.append(Part(frame_id, tuple(ranges)))
    return tuple(parts)


def relinked(parts: Sequence[Sequence[bytes]]) -> list[list[Frame]]:
    """The frames, each record of several frames linked to those that are left of it."""
    left = Counter(
        id(frame.record) for part in parts for frame in part if isinstance(frame, PieceFrame)
    )
    records = {record: SplitRecord(number) for record, number in left.items()}

    def linked_again(frame: bytes) -> bytes:
        if isinstance(frame, PieceFrame):
            old, frame = frame.record, PieceFrame(frame)
            frame.record = records[id(old)]
        return frame

    return [[linked_again(frame) for frame in part] for part in parts]
