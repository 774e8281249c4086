"""One batch: its parts, and the outcome of each record in it.

A batch is a stack of parts, each of which is the body of one request. A part that the receiver
refuses is halved until the faulty frames are alone. Nothing here sends, waits or locks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from logplex_handler._wire.frames import (
    Frame,
    OwnFrame,
    flattened,
    frame_count,
    joined,
    rewritten,
    settle,
    total_bytes,
)
from logplex_handler._wire.packet import MAX_BODY_BYTES

# The refusals after an accepted part that still count as refusals of faulty frames: so many
# halvings find one frame among 65,536.
_MOST_HALVINGS = 16
# The refusals of a single frame, each right after another part was accepted, after which the frame
# is at fault: a receiver that refuses some requests at random must not cause the loss of a record.
_REFUSALS_OF_FAULT = 3
# The same for several frames that may have arrived, which would arrive again in halves.
_REFUSALS_OF_FAULT_WHEN_UNCERTAIN = 6
# The refusals of a part after which it alternates with a probe, a line that shows whether the
# stream is refused. A receiver that refuses the stream only for a moment gets no probe.
_DOUBTS_TO_PROBE = 3


def new_frame_id() -> str:
    """Return a frame id that no other request has."""
    return os.urandom(16).hex()


class Part:
    """The body of one request, with the same frames and the same id on every try.

    Attributes:
        number: The number of frames.
        tried: Whether the part was sent.
        maybe_delivered: Whether the last request may have arrived although no answer came.
        is_probe: Whether the part shows if the receiver takes the stream, and holds no record.
        doubts: The refusals right after another part was accepted or a probe was refused.
        is_uncertain: Whether a try ended without a clear answer, so that the part may have arrived.
    """

    __slots__ = (
        "doubts", "frame_id", "frames", "is_probe", "is_uncertain", "maybe_delivered", "number",
        "tried",
    )  # fmt: skip

    def __init__(
        self, frames: Sequence[Frame], frame_id: str | None = None, *, is_probe: bool = False
    ) -> None:
        self.frames = frames
        self.frame_id = frame_id or new_frame_id()
        self.number = frame_count(frames)
        self.is_probe = is_probe
        self.tried = self.maybe_delivered = self.is_uncertain = False
        self.doubts = 0

    @property
    def would_repeat(self) -> bool:
        """Whether its frames may have arrived, so that its halves would repeat them."""
        return self.number > 1 and self.is_uncertain

    @property
    def is_doubtful(self) -> bool:
        """Whether one more refusal shows that the part is at fault."""
        least = _REFUSALS_OF_FAULT_WHEN_UNCERTAIN if self.would_repeat else _REFUSALS_OF_FAULT
        return self.doubts + 1 >= least

    @property
    def body(self) -> bytes:
        """The bytes of the request: the frames, with nothing between them."""
        return joined(self.frames)


class Refusal(NamedTuple):
    """What the refusal of the next part means for its batch.

    Attributes:
        alone: The frames that were refused alone, with this part's; 0 if it has several frames, or
            if any frame was accepted.
        is_of_all: Whether no other part is left, and not one frame was accepted.
        is_of_part: Whether the receiver takes the stream, so that the part itself is at fault.
        probe_refused: Whether a probe was refused as a faulty frame is, so that a status about the
            URL may be about this part, too.
    """

    alone: int = 0
    is_of_all: bool = False
    is_of_part: bool = False
    probe_refused: bool = False


class Batch:
    """Frames that were taken together, in their order.

    Args:
        max_bytes: The largest size of a part, unless a single frame is larger.
        frame_id: The id under which the frames were sent before; if given, they stay one part,
            unless no receiver takes so long a body.

    Attributes:
        doubts: The refusals in a row that may concern the whole stream.
    """

    def __init__(self, frames: list[Frame], max_bytes: int, frame_id: str | None = None) -> None:
        self._max_bytes = max_bytes
        # Whether the last probe was refused as a faulty frame is; no part was accepted since.
        self._probe_refused = False
        self._start(frames, frame_id)

    @classmethod
    def of_parts(
        cls, own: list[Frame], parts: Sequence[tuple[str, list[Frame]]], max_bytes: int
    ) -> Batch:
        """A batch with the parts of one that was made before, and lines of the handler's own."""
        batch = cls(own, max_bytes)
        batch._parts[:0] = [Part(frames, frame_id) for frame_id, frames in reversed(parts)]
        return batch

    def _start(self, frames: list[Frame], frame_id: str | None = None) -> None:
        # The parts in reverse order: the last one is the next part.
        self._parts: list[Part]
        if frame_id is not None and total_bytes(frames) <= MAX_BODY_BYTES:
            self._parts = [Part(frames, frame_id)]
        elif total_bytes(frames) <= self._max_bytes:
            self._parts = [Part(frames)] if frames else []
        else:
            self._parts = [Part(part) for part in reversed(_packed(frames, self._max_bytes))]
        self._refused: list[Frame] = []
        self._any_accepted = False
        # The refusals since a part was accepted.
        self._refusals = _MOST_HALVINGS
        self.doubts = 0

    @property
    def next_part(self) -> Part | None:
        """The part to send next; None if each one is accepted or refused."""
        return self._parts[-1] if self._parts else None

    def part_accepted(self) -> tuple[int, int]:
        """Record that the next part was accepted.

        Returns:
            The numbers of records that are delivered now, and that are dropped now because another
            of their frames was refused.
        """
        self._any_accepted = True
        self._refusals = self.doubts = 0
        self._probe_refused = False
        return settle(self._parts.pop().frames, delivered=True)

    def part_refused(self) -> None:
        """Record that the next part was refused: halve it, or set its single frame apart."""
        part = self._parts.pop()
        if part.is_probe:
            # Now it is the frames' turn. What was accepted before shows nothing about them.
            self.doubts += 1
            self._probe_refused = True
            self._any_accepted = False
            return
        self._refusals += 1
        frames = flattened(part.frames)
        if len(frames) == 1:
            self._refused += frames
            return
        half = len(frames) // 2
        self._parts += [Part(frames[half:]), Part(frames[:half])]

    def part_doubted(self) -> None:
        """Record that the next part was refused, perhaps because its stream is: the part stays."""
        part = self._parts[-1]
        part.doubts += self._probe_refused or not self._refusals
        if part.is_probe:
            self._parts.pop()
            self._probe_refused = False
        self.doubts = self.doubts + 1 if self._refusals >= _MOST_HALVINGS else _DOUBTS_TO_PROBE
        self._refusals = _MOST_HALVINGS

    @property
    def _is_at_fault(self) -> bool:
        """Whether the next part itself is at fault if the receiver refuses it.

        The part is at fault if another part was accepted right before, several times over; or, if
        it can be halved, not long before. A part that may have arrived is not halved so soon: its
        frames would arrive again under other ids. But a receiver that had taken it would not refuse
        it several times over.
        """
        part = self._parts[-1]
        if part.number > 1 and not part.is_uncertain:
            return self._refusals < _MOST_HALVINGS
        return not (part.is_probe or self._refusals) and part.is_doubtful

    @property
    def wants_probe(self) -> bool:
        """Whether to send a probe next, to see if the receiver takes the stream."""
        part = self.next_part
        is_turn = self.doubts >= _DOUBTS_TO_PROBE and self.doubts % 2 == _DOUBTS_TO_PROBE % 2
        return is_turn and part is not None and not part.is_probe

    def probe(self, frame: OwnFrame) -> None:
        self._parts.append(Part([frame], is_probe=True))

    @property
    def has_notice(self) -> bool:
        """Whether a drop notice is left to send."""
        return any(type(frame) is OwnFrame for _, frames in self.left for frame in frames)

    @property
    def refusal(self) -> Refusal:
        if not self._parts:
            return Refusal()
        part = self._parts[-1]
        refusal = Refusal(
            is_of_part=self._is_at_fault,
            probe_refused=self._probe_refused and (part.is_doubtful or not part.would_repeat),
        )
        if self._any_accepted or part.number > 1 or part.is_probe:
            return refusal
        alone = len(self._refused) + 1
        return refusal._replace(alone=alone, is_of_all=len(self._parts) == 1)

    @property
    def is_over(self) -> bool:
        return not self._parts and not self._refused

    @property
    def all_refused(self) -> bool:
        """Whether no part is left and not one frame was accepted.

        In this case, the receiver may refuse the stream rather than these frames.
        """
        return not self._parts and not self._any_accepted

    @property
    def size(self) -> int:
        return sum([total_bytes(part.frames) for part in self._parts]) + total_bytes(self._refused)

    @property
    def left(self) -> list[tuple[str, Sequence[Frame]]]:
        """The frames that are not settled, as parts with frame ids; refused ones first."""
        refused = [(new_frame_id(), self._refused)] if self._refused else []
        return refused + [(part.frame_id, part.frames) for part in reversed(self._parts)]

    def rewrite(self, change: Callable[[bytes], bytes]) -> bool:
        """Change each frame that is not settled, because its destination has changed.

        The frames of one record still share it. Those that were refused are sent again.

        Returns:
            Whether there are such, so that the batch has a part more.
        """
        if self._parts and self._parts[-1].is_probe:
            self._parts.pop()
        self._refusals, self.doubts, self._probe_refused = _MOST_HALVINGS, 0, False
        refused, self._refused = self._refused, []
        self._parts += [Part(frames) for frames in reversed(_packed(refused, self._max_bytes))]
        for part in self._parts:
            part.frames = rewritten(part.frames, change)
        return bool(refused)

    def restart(self, more: Iterable[Frame] = ()) -> None:
        """Start again with the refused frames, followed by more; if there are none, with a probe.

        If some of the added frames are accepted, or the probe is, the faulty ones are known.
        """
        added = [*more]
        self._start([*self._refused, *added])
        if not added:
            self.doubts = _DOUBTS_TO_PROBE

    def drop_refused(self) -> tuple[int, int]:
        """Settle the frames that were refused alone; return the same as `part_accepted`."""
        refused, self._refused = self._refused, []
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
