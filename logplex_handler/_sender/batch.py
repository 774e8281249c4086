"""One batch: its parts, and the outcome of each record in it.

A batch is a stack of parts, each of which is the body of one request. A part that the receiver
refuses is halved until the faulty frames are alone. Nothing here sends, waits or locks.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from logplex_handler._wire.frames import (
    Frame,
    OwnFrame,
    flattened,
    frame_count,
    rewritten,
    settle,
    total_bytes,
)


@dataclass
class Part:
    """The body of one request, with the same frames and the same id on every try.

    Attributes:
        tried: Whether there was a request.
        maybe_delivered: Whether the last request may have arrived although no answer came.
    """

    frames: Sequence[Frame]
    frame_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tried: bool = False
    maybe_delivered: bool = False

    @property
    def body(self) -> bytes:
        """The bytes of the request: the frames, with nothing between them."""
        return b"".join(flattened(self.frames))

    @property
    def number(self) -> int:
        """The number of frames."""
        return frame_count(self.frames)


class Refusal(NamedTuple):
    """The consequence of refusing a part for its batch.

    Attributes:
        alone: Frames that are refused alone by then, with none accepted; 0 if the part has several.
        is_of_all: Whether no part is left by then, and not one frame accepted.
    """

    alone: int
    is_of_all: bool


class Batch:
    """Frames that were taken together, in their order.

    Args:
        max_bytes: The largest size of a part, unless a single frame is larger.
        frame_id: The id under which the frames were sent before; they then stay one part.
    """

    def __init__(
        self, frames: Iterable[Frame], max_bytes: int, frame_id: str | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._notice_refused = False
        self._start(frames)
        if frame_id is not None:
            self._parts = [Part([*frames], frame_id)]

    def _start(self, frames: Iterable[Frame]) -> None:
        # The next part is the last one.
        frames = list(frames)
        fits = total_bytes(frames) <= self._max_bytes
        packed = [frames] if fits else _packed(frames, self._max_bytes)
        self._parts = [Part(part) for part in reversed(packed) if part]
        self._refused: list[Frame] = []
        self._any_accepted = False

    @property
    def next_part(self) -> Part | None:
        """The part to send next; None if each one is accepted or refused."""
        return self._parts[-1] if self._parts else None

    def part_accepted(self) -> tuple[int, int]:
        """Note that the next part is accepted.

        Returns:
            The number of records that are delivered now, and of those that are dropped now because
            another frame of theirs was refused.
        """
        self._any_accepted = True
        return settle(self._parts.pop().frames, delivered=True)

    def part_refused(self) -> None:
        """Note that the next part is refused: halve it, or set its single frame apart."""
        frames = flattened(self._parts.pop().frames)
        if len(frames) == 1:
            self._refused += frames
            return
        half = len(frames) // 2
        self._parts += [Part(frames[half:]), Part(frames[:half])]

    @property
    def notice_accepted(self) -> bool:
        """Whether no drop notice in it was refused."""
        return not self._notice_refused

    @property
    def refusal(self) -> Refusal:
        """The consequence of a refusal of the next part."""
        is_single = bool(self._parts) and self._parts[-1].number == 1
        if self._any_accepted or not is_single:
            return Refusal(0, is_of_all=False)
        return Refusal(len(self._refused) + 1, is_of_all=len(self._parts) == 1)

    @property
    def is_over(self) -> bool:
        """Whether every frame has an outcome."""
        return not self._parts and not self._refused

    @property
    def all_refused(self) -> bool:
        """Whether no part is left and not one frame was accepted.

        Then the receiver may refuse the stream rather than these frames.
        """
        return not self._parts and not self._any_accepted

    @property
    def size(self) -> int:
        """Bytes of the frames that are not settled."""
        return sum([total_bytes(part.frames) for part in self._parts]) + total_bytes(self._refused)

    @property
    def left(self) -> list[tuple[str, Sequence[Frame]]]:
        """The frames that are not settled, as parts with frame ids; refused ones first."""
        refused = [(str(uuid.uuid4()), self._refused)] if self._refused else []
        return refused + [(part.frame_id, part.frames) for part in reversed(self._parts)]

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Change each frame that is not settled; those of one record still share it."""
        for part in self._parts:
            part.frames = rewritten(part.frames, change)
        self._refused = rewritten(self._refused, change)

    def restart(self, more: Iterable[Frame] = ()) -> None:
        """Start again with the refused frames, followed by more.

        If some of these are accepted, the faulty frames are known.
        """
        self._start([*self._refused, *more])

    def drop_refused(self) -> tuple[int, int]:
        """Settle the frames that were refused alone; returns the same as `part_accepted`."""
        refused, self._refused = self._refused, []
        self._notice_refused |= OwnFrame in map(type, refused)
        return settle(refused, delivered=False)


def _packed(frames: Iterable[Frame], max_bytes: int) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    size = 0
    for frame in flattened(frames):
        if not parts or size + len(frame) > max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(frame)
        size += len(frame)
    return parts
