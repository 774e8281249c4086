"""The source of a stream whose records a shipper takes from a relay.

The relay has each batch, with the frame ids of its parts, until its outcome is settled there. What
is put back is taken again later, by this shipper or another, as the same bytes under the same ids.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.waking_queue import Backlog
from logplex_handler._formatting.codec import Codec
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._relay import values
from logplex_handler._relay.parts import parts_of
from logplex_handler._relay.values import Fate, Outcome, Taken
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._sender.source import Lease, LeaseForm, Parts, Source, without_token
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, PieceFrame, flattened, rewritten
from logplex_handler._wire.packet import MAX_PACKET_BYTES

# Seconds that a request must have, or it is not begun.
_MIN_REQUEST = 1.0
# The destination of packets that are compared, whatever hostname and token they were sent with.
_SAME = replace(without_token(), hostname="-")


class Hands(Protocol):
    """The shipper, as its streams know it."""

    def time_left(self, lease: values.Lease) -> float:
        """Seconds that a request may take, so that the lease outlasts it; at most 0 if none."""

    def settle(self, outcome: Outcome) -> None:
        """Settle an outcome soon."""

    def settle_now(self, outcome: Outcome) -> bool:
        """Settle an outcome; False if the batch is another shipper's from now on."""


class RelayedDrops(DropReports):
    """Reports to the stream the drops that the relay counts, whoever has dropped the records."""

    __slots__ = ("reported", "unreported")

    def __init__(self, accumulator: Accumulator, diagnostics: Diagnostics) -> None:
        super().__init__(accumulator, diagnostics, None)
        self.unreported: Counter[str] = Counter()
        # Those of the present batch that were reported in the stream.
        self.reported: Mapping[str, int] = {}

    @property
    def is_due_in_stream(self) -> bool:
        return self.unreported.total() > 0 and self._in_notice is None

    def begin_stream_notice(self) -> Counter[str]:
        self._in_notice = self.unreported.copy()
        return self._in_notice

    def end_stream_notice(self, *, is_reported: bool) -> None:
        if self._in_notice is not None and is_reported:
            self.reported = self._in_notice
            self.unreported = Counter()
        self._in_notice = None


class TakenSource(Source):
    """Hands out what the shipper has taken, one batch at a time.

    The exchange with the relay calls `offer` and `put_back`, both while no thread delivers.

    Args:
        end_cause: Returns why the stream has ended; empty if it has not.

    Attributes:
        is_lost: Whether another shipper may have the batch, so that no request may be made of it.
    """

    __slots__ = ("_carried", "_drops", "_end_cause", "_hands", "_taken", "_tried", "is_lost")

    def __init__(
        self,
        accumulator: Accumulator,
        form: LeaseForm,
        codec: Codec,
        hands: Hands,
        drops: RelayedDrops,
        end_cause: Callable[[], str],
    ) -> None:
        super().__init__(accumulator, form, codec)
        self._hands = hands
        self._drops = drops
        self._end_cause = end_cause
        self._taken: Taken | None = None
        # Delivered and dropped records that are in no outcome yet.
        self._carried = (0, 0)
        # Whether a request may have been made of what was taken.
        self._tried = False
        self.is_lost = False

    def offer(self, taken: Taken) -> None:
        """Have this delivered. What was offered before is settled or put back."""
        self._taken = taken
        self._tried = taken.again
        self.is_lost = False
        self._carried = (0, 0)
        self._drops.unreported, self._drops.reported = Counter(taken.unreported), {}
        self._accumulator.count_recovered(_records(frames for _, frames in taken.requests))

    def put_back(self, seconds: float) -> None:
        """Have the batch taken again after so many seconds."""
        taken, self._taken = self._taken, None
        _, _, pending, _ = self._accumulator.counts()
        self._accumulator.count_recovered(-pending)
        if taken is None:
            return
        fate = Fate.LATER if self._tried else Fate.UNDONE
        reported = self._drops.reported
        self._hands.settle(
            Outcome(taken, fate, reported=reported, parts=taken.parts, again_in=max(0.0, seconds))
        )

    @property
    def has_taken(self) -> bool:
        return self._taken is not None

    @property
    def is_empty(self) -> bool:
        return False

    def backlog(self) -> Backlog:
        backlog = self._accumulator.backlog()
        if self._taken is None:
            return backlog
        # It is due: the relay has let it wait for more.
        return backlog._replace(records=max(1, self._taken.records), since=0.0)

    def age(self) -> float:
        return 0.0 if self._taken is None else self._taken.waited

    def time_left(self) -> float:
        if self._taken is None or self.is_lost:
            return 0.0
        seconds = self._hands.time_left(self._taken.lease)
        return seconds if seconds >= _MIN_REQUEST else 0.0

    def takes_own_lines(self, lease: Lease) -> bool:
        return lease.is_new

    def fill(self, lease: Lease, room: int) -> None:
        if self._taken is None or not lease.is_new:
            return
        taken = self._taken
        lease.since = min(lease.since, time.monotonic() - taken.waited)
        lease.recovered = True
        for frame_id, frames in taken.requests:
            addressed = self._addressed(frames, lease.destination)
            lease.parts.append((frame_id, addressed))
        self._tried = True

    def replace(self, lease: Lease, left: Parts) -> None:
        taken = self._taken
        if taken is None:
            return
        comparable = [
            (id, rewritten(some, lambda frame: self.readdress(frame, lease.destination, _SAME)))
            for id, some in left
        ]
        parts = parts_of(comparable, self._addressed(taken.frames, _SAME))
        if not parts:
            # Only lines of the shipper's own are left.
            delivered, dropped = self._carried
            self._carried = (delivered + lease.delivered, dropped + lease.dropped)
            return
        held = self._outcome(taken, lease, Fate.HELD)
        held = replace(held, parts=parts)
        if self._hands.settle_now(held):
            self._taken = held.rest
        else:
            self.is_lost = True

    def forget(self, lease: Lease) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            self._hands.settle(self._outcome(taken, lease, Fate.DONE))

    def discard(self) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            self._hands.settle(Outcome(taken, Fate.ENDED, dropped={self._end_cause(): 0}))

    def readdress(self, frame: bytes, old: Destination, new: Destination) -> bytes:
        has_token = self._taken is not None and any(one.has_token for one in self._taken.chunks)
        token = old.token.encode() if has_token else b""
        return _readdressed(frame, token, new, has_token=has_token)

    def _outcome(self, taken: Taken, lease: Lease, fate: Fate) -> Outcome:
        delivered, dropped = self._carried
        delivered, dropped = delivered + lease.delivered, dropped + lease.dropped
        self._carried = (0, 0)
        reported, self._drops.reported = self._drops.reported, {}
        causes = {"refused": dropped} if dropped else {}
        return Outcome(taken, fate, delivered=delivered, dropped=causes, reported=reported)

    def _addressed(self, frames: Sequence[Frame], destination: Destination) -> list[Frame]:
        """The frames with the hostname and the token of their destination, if it has such."""
        taken = self._taken
        has_token = taken is not None and any(chunk.has_token for chunk in taken.chunks)
        if destination.hostname is None and not has_token:
            return list(frames)
        placeholder = without_token().token.encode()
        return rewritten(
            frames,
            lambda frame: _readdressed(frame, placeholder, destination, has_token=has_token),
        )


def _readdressed(frame: bytes, token: bytes, new: Destination, *, has_token: bool) -> bytes:
    """The frame with the hostname of the destination and, in the place of a token, its token."""
    parts = frame.split(b" ", 5)
    if len(parts) < 6:
        return frame
    if new.hostname is not None:
        parts[3] = new.hostname.encode()
    if has_token and parts[4] == token:
        parts[4] = new.token.encode()
    packet = b" ".join(parts[1:])
    if len(packet) > MAX_PACKET_BYTES:
        # It keeps its own hostname; with the other one, it would be refused.
        parts[3] = frame.split(b" ", 4)[3]
        packet = b" ".join(parts[1:])
    return b"%d %b" % (len(packet), packet)


def _records(requests: Iterable[Sequence[Frame]]) -> int:
    """The number of records that have these frames, each of which may have several."""
    plain = 0
    split = set()
    for frames in requests:
        for frame in flattened(frames):
            if isinstance(frame, PieceFrame):
                split.add(id(frame.record))
            else:
                plain += 1
    return plain + len(split)
