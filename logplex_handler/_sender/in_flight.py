"""The batch of one stream that is being sent, and the lease that it was made from.

One thread at a time calls the methods that change the batch; any thread may call `add_health`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._formatting.codec import Codec
from logplex_handler._sender.batch import Batch, Part, Refusal
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._sender.retry_policy import Action, Decision
from logplex_handler._sender.source import Lease, Source
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import HealthFrame, OwnFrame
from logplex_handler.metrics.metric_pairs import count

# The most health lines that wait while nothing can be sent; a new one replaces the oldest.
_MOST_HEALTH_LINES = 60


class InFlight:
    """A stream's batch, at most one at a time, from its first record to its last answer.

    Attributes:
        destination: The destination of the batch; None while it is unknown.
        sent_since: When the oldest record of the batch sent last came, on the monotonic clock;
            infinite if a dead process left it.
    """

    __slots__ = (
        "_accumulator", "_codec", "_doubts", "_health_lines", "_is_filling", "_max_bytes",
        "_sending", "destination", "drop_reports", "sent_since", "source",
    )  # fmt: skip

    def __init__(
        self,
        accumulator: Accumulator,
        source: Source,
        drop_reports: DropReports,
        max_bytes: int,
        codec: Codec,
    ) -> None:
        self._accumulator = accumulator
        self.source = source
        self.drop_reports = drop_reports
        self._max_bytes = max_bytes
        self._codec = codec
        self.destination: Destination | None = None
        self._sending: tuple[Batch, Lease] | None = None
        self._is_filling = False
        # The doubts of a batch that its source has taken back, and may hand out again.
        self._doubts = 0
        self.sent_since = math.inf
        # None until the first one, because most streams never have any.
        self._health_lines: deque[bytes] | None = None

    def set_destination(self, destination: Destination) -> None:
        """Send to this destination from now on, including the present batch."""
        self._doubts = 0
        if self._sending is not None:
            batch, lease = self._sending
            old = lease.destination
            lease.is_outdated |= batch.rewrite(
                lambda frame: self.source.readdress(frame, old, destination)
            )
            lease.destination = destination
        self.destination = destination
        self.source.set_hostname(destination.hostname)

    def add_health(self, frames: list[bytes]) -> None:
        """Send health lines with the next batch. The caller must wake a worker."""
        if self._health_lines is None:
            self._health_lines = deque(maxlen=_MOST_HEALTH_LINES)
        self._health_lines.extend(frames)

    @property
    def has_batch(self) -> bool:
        return self._sending is not None

    @property
    def has_own_lines(self) -> bool:
        """Whether health lines wait, or a drop notice is due."""
        return bool(self._health_lines) or self.drop_reports.is_due_in_stream

    @property
    def is_idle(self) -> bool:
        """Whether there is certainly nothing to send."""
        return self._sending is None and self.source.is_empty and not self.has_own_lines

    @property
    def is_busy(self) -> bool:
        """Whether health lines wait, or a batch is being made or sent."""
        return bool(self._health_lines) or self._is_filling or self._sending is not None

    def age(self) -> float:
        """Return the age, in seconds, of the oldest record in the batch, or else waiting."""
        sending = self._sending
        return self.source.age() if sending is None else time.monotonic() - sending[1].since

    @property
    def pending(self) -> int:
        return self._accumulator.counts()[2]

    def next_part(self) -> Part | None:
        """Return the part to send now, perhaps of a new batch, or None if nothing waits."""
        if self.destination is None:
            return None
        if self._sending is not None and self._sending[0].is_over:
            # A signal interrupted the end of this batch.
            self._end(*self._sending)
        if self._sending is None:
            self._begin(self.destination)
        elif self._sending[0].all_refused:
            self._begin_again(*self._sending)
        if self._sending is not None and self._sending[1].is_outdated:
            self._settle_some(*self._sending, 0, 0)
        if self._sending is None:
            return None
        batch, lease = self._sending
        self.sent_since = math.inf if lease.recovered else lease.since
        if batch.wants_probe:
            batch.probe(self._probe(lease))
        return batch.next_part

    def _probe(self, lease: Lease) -> HealthFrame:
        """Return a line that shows whether a receiver takes the stream or refuses its URL."""
        line = count("logplex_handler.probe")
        return HealthFrame(self._codec.health_lines(line, lease.destination)[0])

    def _begin(self, destination: Destination) -> None:
        lease = Lease(destination)
        try:
            self._is_filling = True
            self._fill(lease, self.source.max_bytes)
        finally:
            # The taken records are sent even if a signal interrupted this.
            frames = lease.take_frames()
            if lease.parts:
                batch = Batch.of_parts(frames, lease.parts, self._max_bytes)
                batch.doubts, self._doubts = self._doubts, 0
                self._sending = (batch, lease)
            elif frames:
                frame_id = lease.frame_id or self.source.new_id()
                batch = Batch(frames, self._max_bytes, frame_id)
                # A body that is too long for a receiver is sent in parts, with other ids.
                lease.is_outdated = bool(frame_id) and batch.left[0][0] != frame_id
                self._sending = (batch, lease)
            self._is_filling = False

    def _begin_again(self, batch: Batch, lease: Lease) -> None:
        """Add records to a batch whose frames were all refused, to find the faulty ones.

        If none can be added, a probe shows whether the receiver takes the stream.
        """
        room = self.source.max_bytes - batch.size
        is_filled = False
        try:
            if room > 0:
                self._fill(lease, room)
            is_filled = True
        finally:
            # If a signal interrupted this before anything was taken, it is done again.
            if is_filled or lease.frames:
                lease.is_outdated = True
                batch.restart(lease.take_frames())
        self._settle_some(batch, lease, 0, 0)

    def _fill(self, lease: Lease, room: int) -> None:
        if self.source.takes_own_lines(lease):
            self._add_own_lines(lease)
        self.source.fill(lease, room)

    def _add_own_lines(self, lease: Lease) -> None:
        while self._health_lines:
            lease.frames.append(HealthFrame(self._health_lines.popleft()))
        if self.drop_reports.is_due_in_stream:
            try:
                dropped = self.drop_reports.begin_stream_notice()
                notice = self._codec.drop_notice(dropped, lease.destination)
                lease.frames += map(OwnFrame, notice)
            except BaseException:
                self.drop_reports.end_stream_notice(is_reported=False)
                raise

    @property
    def refusal(self) -> Refusal:
        return Refusal() if self._sending is None else self._sending[0].refusal

    def carry_out(self, decision: Decision) -> None:
        """Carry out the decision about the part that was sent.

        A batch whose frames are all refused is kept, and restarted with more.
        """
        if self._sending is None:
            return
        batch, lease = self._sending
        part = batch.next_part
        if part is None:
            return
        if decision.action is Action.ACCEPT:
            outcome = batch.part_accepted()
            if not part.is_probe:
                self._settle(batch, lease, *outcome)
        elif decision.action is Action.RETRY:
            part.is_uncertain = True
        elif decision.doubts_part:
            batch.part_doubted()
        elif decision.refuses_part:
            batch.part_refused()
            if not (part.is_probe or batch.all_refused):
                self._settle(batch, lease, 0, 0)

    def _settle(self, batch: Batch, lease: Lease, delivered: int, dropped: int) -> None:
        """Settle records: those that are delivered, and those with a refused frame."""
        if batch.next_part is not None:
            self._settle_some(batch, lease, delivered, dropped)
            return
        more_delivered, more_dropped = batch.drop_refused()
        lease.delivered = delivered + more_delivered
        lease.dropped = dropped + more_dropped
        self._end(batch, lease)

    def _end(self, batch: Batch, lease: Lease) -> None:
        # The lease is kept until the source has forgotten it, because only the lease knows the
        # chunks. A notice that was refused is not made again: the next one would be refused, too.
        self.drop_reports.end_stream_notice(is_reported=True)
        self.source.forget(lease)
        self._sending = None
        self._accumulator.settle(
            delivered=lease.delivered, dropped=lease.dropped, recovered=lease.recovered
        )

    def _settle_some(self, batch: Batch, lease: Lease, delivered: int, dropped: int) -> None:
        lease.delivered, lease.dropped = delivered, dropped
        self.source.replace(lease, batch.left)
        lease.is_outdated = False
        self._accumulator.settle(
            delivered=delivered, dropped=dropped, recovered=lease.recovered, through=False
        )

    def discard_batch(self) -> None:
        """Discard the batch and all waiting records, because the stream has ended."""
        self._sending = None
        self.source.discard()

    def leave_batch(self) -> None:
        """Forget the batch, which its source has taken back, but not what it has shown."""
        if self._sending is not None:
            batch, _ = self._sending
            self._doubts = batch.doubts
            self.drop_reports.end_stream_notice(is_reported=not batch.has_notice)
            self._sending = None

    def persist(self) -> Iterator[None]:
        """Write all remaining records to disk, because the process ends; see `Source.persist`."""
        if self._sending is not None:
            batch, lease = self._sending
            if lease.unwritten:
                self.source.replace(lease, batch.left)
        yield from self.source.persist()
