"""Frames, which are their bytes: most records are one; those that are more, and the handler's own
lines, have a class that says so. Many records of one frame each go through as one run, so that
there is little to do for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


class Record:
    """A record whose frames are settled one by one; delivered when all of them are."""

    __slots__ = ("_frames_left", "_whole")

    def __init__(self, frames: int) -> None:
        self._frames_left = frames
        self._whole = True

    def settle(self, delivered: bool) -> bool | None:
        """None while frames are left, then whether the record was delivered."""
        self._frames_left -= 1
        self._whole = self._whole and delivered
        return None if self._frames_left else self._whole


class PieceFrame(bytes):
    """A frame of a record that has more than one."""

    record: Record


class OwnFrame(bytes):
    """A frame of the handler's own lines, which are no records of the application's."""


class HealthFrame(OwnFrame):
    """One of them that nobody misses if it is refused."""


def pieces(rendered: Sequence[bytes]) -> Sequence[bytes]:
    """The frames of one record, which know of each other if there are several."""
    if len(rendered) == 1:
        return rendered
    record = Record(len(rendered))
    frames = [PieceFrame(frame) for frame in rendered]
    for frame in frames:
        frame.record = record
    return frames


class Run(list[bytes]):
    """The frames of several records, each of which has one.

    Attributes:
        size: Bytes of all of them.
    """

    def __init__(self, frames: Iterable[bytes]) -> None:
        super().__init__(frames)
        self.size = sum(map(len, self))


Frame = bytes | Run


def size(frames: Iterable[Frame]) -> int:
    """Bytes of all of them."""
    return sum([frame.size if isinstance(frame, Run) else len(frame) for frame in frames])


def number(frames: Iterable[Frame]) -> int:
    """How many there are, with those of runs."""
    return sum([len(frame) if isinstance(frame, Run) else 1 for frame in frames])


def singles(frames: Iterable[Frame]) -> list[bytes]:
    """One by one, also those of runs."""
    one_by_one: list[bytes] = []
    for frame in frames:
        if isinstance(frame, Run):
            # All of them in C, as this is done for every record.
            one_by_one += frame
        else:
            one_by_one.append(frame)
    return one_by_one


def rewritten(frames: Iterable[Frame], change: Callable[[bytes], bytes]) -> list[Frame]:
    """Each frame changed; what belongs together still does."""
    return [_like(frame, change(frame)) for frame in singles(frames)]


def _like(frame: bytes, rewritten: bytes) -> bytes:
    if isinstance(frame, PieceFrame):
        piece = PieceFrame(rewritten)
        piece.record = frame.record
        return piece
    return type(frame)(rewritten)


def settled(frames: Iterable[Frame], *, delivered: bool) -> tuple[int, int]:
    """How many records are delivered, and how many dropped, with these frames."""
    whole = broken = 0
    for frame in frames:
        if isinstance(frame, PieceFrame):
            outcome = frame.record.settle(delivered)
            whole += outcome is True
            broken += outcome is False
        elif not isinstance(frame, OwnFrame):
            whole += number([frame]) * delivered
            broken += number([frame]) * (not delivered)
    return whole, broken
