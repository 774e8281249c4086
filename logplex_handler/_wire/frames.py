"""Octet-counted frames, which are bytes.

Most records make one frame. Frames of records that make several, and of the handler's own lines,
have their own classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain


class SplitRecord:
    """A record with several frames; it is delivered if all of them are.

    Attributes:
        goes_on: Whether further frames are elsewhere, with which the record is settled.
        is_delivered: Whether all frames are that have an outcome.
    """

    __slots__ = ("_frames_left", "goes_on", "is_delivered")

    def __init__(self, frames: int, *, goes_on: bool = False, is_delivered: bool = True) -> None:
        self._frames_left = frames
        self.goes_on = goes_on
        self.is_delivered = is_delivered

    def settle(self, delivered: bool) -> bool | None:
        """Settle a frame; return whether the record is delivered, or None while frames are left."""
        self._frames_left -= 1
        self.is_delivered = self.is_delivered and delivered
        return None if self._frames_left or self.goes_on else self.is_delivered


class PieceFrame(bytes):
    """A single frame of a record with several frames."""

    record: SplitRecord


class OwnFrame(bytes):
    """A frame of the handler's own lines (drop notices, metrics), which are not records."""


class HealthFrame(OwnFrame):
    """A frame of the handler's own metrics, which tells of no drops."""


@lru_cache(maxsize=8)
def octet_counts(longest: int) -> tuple[list[str], list[bytes]]:
    """Return what a frame has before a packet of each length up to `longest`: as text, in bytes.

    Looking it up saves 700 instructions a packet, and fails for a packet that is too long.
    """
    numbers = range(longest + 1)
    return [f"{length} " for length in numbers], [b"%d " % length for length in numbers]


def linked(rendered: Sequence[bytes], record: SplitRecord | None = None) -> Sequence[bytes]:
    """Return the frames of one record; if there are several, each refers to the record."""
    if record is None:
        if len(rendered) == 1:
            return rendered
        record = SplitRecord(len(rendered))
    frames = [PieceFrame(frame) for frame in rendered]
    for frame in frames:
        frame.record = record
    return frames


class Run(list[bytes]):
    """Frames of whole records, kept together.

    Args:
        split: For each record with several frames, where they begin, and their number; in order.

    Attributes:
        size: The total bytes.
        records: The number of records.
    """

    def __init__(self, frames: Iterable[bytes], split: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(frames)
        self.split = (*split,)
        self.size = sum(map(len, self))
        self.records = len(self)
        for _, number in self.split:
            self.records -= number - 1

    @classmethod
    def of_one(cls, frames: Sequence[bytes]) -> Run:
        """The frames of one record, if there are any."""
        return cls(frames, [(0, len(frames))] if len(frames) > 1 else ())

    def by_record(self) -> list[Sequence[bytes]]:
        """Return the frames of each record."""
        records: list[Sequence[bytes]] = []
        place = 0
        for start, number in (*self.split, (len(self), 0)):
            records += [(frame,) for frame in self[place:start]]
            place = start + number
            if number:
                records.append(self[start:place])
        return records


Frame = bytes | Run
# The result of rendering: a run, for entries with one frame each; or the frames of one entry, of
# which there are none if it cannot be rendered.
Rendered = Run | list[bytes]


def total_bytes(frames: Iterable[Frame]) -> int:
    return sum([frame.size if isinstance(frame, Run) else len(frame) for frame in frames])


def frame_count(frames: Iterable[Frame]) -> int:
    """Return the number of frames, including those in runs."""
    return sum([len(frame) if isinstance(frame, Run) else 1 for frame in frames])


def flattened(frames: Iterable[Frame]) -> list[bytes]:
    """Return the single frames, including those in runs."""
    flat: list[bytes] = []
    for frame in frames:
        if isinstance(frame, Run):
            flat += chain.from_iterable(map(linked, frame.by_record())) if frame.split else frame
        else:
            flat.append(frame)
    return flat


def joined(frames: Iterable[Frame]) -> bytes:
    """Return the bytes of the frames, with nothing between them."""
    runs = [frame if isinstance(frame, Run) else (frame,) for frame in frames]
    return b"".join(chain.from_iterable(runs))


def rewritten(frames: Iterable[Frame], change: Callable[[bytes], bytes]) -> list[Frame]:
    """Return the single frames, each changed, with the same classes and the same records."""
    changed: list[Frame] = []
    for frame in flattened(frames):
        new = type(frame)(change(frame))
        if isinstance(frame, PieceFrame) and isinstance(new, PieceFrame):
            new.record = frame.record
        changed.append(new)
    return changed


def goes_on(frames: Sequence[Frame], after: Sequence[Frame] = ()) -> bool:
    """Return whether the last record goes on in the frames after these, or elsewhere."""
    last, *following = (*frames[-1:], *after[:1])
    if not isinstance(last, PieceFrame):
        return False
    return last.record.goes_on or any(
        isinstance(first, PieceFrame) and first.record is last.record for first in following
    )


def resumed(frames: Sequence[Frame], begun: SplitRecord) -> list[Frame]:
    """Return the frames, the first of which belong to a record that others have begun."""
    flat = flattened(frames)
    own = flat[0].record if isinstance(flat[0], PieceFrame) else None
    size = sum(isinstance(frame, PieceFrame) and frame.record is own for frame in flat) or 1
    rest = SplitRecord(
        size, goes_on=own is not None and own.goes_on, is_delivered=begun.is_delivered
    )
    return [*linked(flat[:size], rest), *flat[size:]]


def settle(frames: Iterable[Frame], *, delivered: bool) -> tuple[int, int]:
    """Settle frames; return how many records are delivered, and how many are dropped with them."""
    delivered_records = dropped_records = 0
    for frame in frames:
        if isinstance(frame, PieceFrame):
            outcome = frame.record.settle(delivered)
            delivered_records += outcome is True
            dropped_records += outcome is False
        elif not isinstance(frame, OwnFrame):
            records = frame.records if isinstance(frame, Run) else 1
            delivered_records += records * delivered
            dropped_records += records * (not delivered)
    return delivered_records, dropped_records
