"""The batch of one stream that is being sent, and the lease that it was made of.

One thread at a time calls the methods that change the batch.
"""

from __future__ import annotations

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._sender.batch import Batch, Part, Refusal
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._sender.source import Lease, Source
from logplex_handler._wire.codec import Codec
from logplex_handler._wire.destination import Destination


class InFlight:
    """A stream's batch, at most one at a time, from its first record to its last answer.

    Args:
        accumulator: Its ledger counts the outcomes.
        source: Provides the records.
        own_lines: The handler's own lines in the stream.
        max_bytes: Bytes of a request's body before compression.

    Attributes:
        destination: The destination of the batch; None while it is unknown.
    """

    __slots__ = (
        "_accumulator",
        "_batch",
        "_codec",
        "_is_filling",
        "_lease",
        "_max_bytes",
        "_source",
        "destination",
        "own_lines",
    )  # fmt: skip

    def __init__(
        self,
        accumulator: Accumulator,
        source: Source,
        own_lines: OwnLines,
        max_bytes: int,
        codec: Codec,
    ) -> None:
        self._accumulator = accumulator
        self._source = source
        self.own_lines = own_lines
        self._max_bytes = max_bytes
        self._codec = codec
        self.destination: Destination | None = None
        self._batch: Batch | None = None
        # The lease of the batch; there is one as long as there is a batch.
        self._lease: Lease | None = None
        self._is_filling = False

    def set_destination(self, destination: Destination) -> None:
        """Send to this destination from now on, including the present batch."""
        batch, lease = self._batch, self._lease
        if batch is not None and lease is not None:
            old = lease.destination
            batch.rewrite(lambda frame: self._codec.readdress(frame, old, destination))
            lease.destination = destination
        self.destination = destination
        self._source.set_hostname(destination.hostname)

    @property
    def has_batch(self) -> bool:
        """Whether there is a batch that is not settled yet."""
        return self._batch is not None

    @property
    def has_own_lines(self) -> bool:
        """Whether lines of the handler's own are due."""
        return self.own_lines.are_due

    @property
    def is_busy(self) -> bool:
        """Whether health lines wait, or a batch is being made or sent."""
        return self.own_lines.has_health or self._is_filling or self._batch is not None

    @property
    def pending(self) -> int:
        """Records that wait or are being sent."""
        return self._accumulator.counts()[2]

    def backlog(self) -> Backlog:
        """The records that wait in the source."""
        return self._source.backlog()

    def readable_in(self, now: float) -> float:
        """Seconds until the source may be read; 0 if it may be now."""
        return self._source.readable_in(now)

    def next_part(self) -> Part | None:
        """The part to send now, perhaps of a new batch; None if nothing waits."""
        batch, destination = self._batch, self.destination
        if destination is None:
            return None
        if batch is None or self._lease is None:
            self._begin(destination)
        elif batch.all_refused:
            self._begin_again(batch, self._lease)
        return None if self._batch is None else self._batch.next_part

    def _begin(self, destination: Destination) -> None:
        """Make a batch, if anything waits."""
        lease = Lease(self._source, self._accumulator, destination)
        try:
            self._is_filling = True
            lease.fill(self._source.max_bytes, self.own_lines)
        finally:
            # The taken records are sent even if a signal interrupted this.
            frames = lease.take_frames()
            if frames:
                self._lease = lease
                self._batch = Batch(frames, self._max_bytes, lease.frame_id)
            self._is_filling = False

    def _begin_again(self, batch: Batch, lease: Lease) -> None:
        """Add records to a batch whose frames were all refused, to find the faulty ones."""
        room = self._source.max_bytes - batch.size
        try:
            if room > 0:
                lease.fill(room, self.own_lines)
        finally:
            batch.restart(lease.take_frames())
        lease.replace(batch.left)

    @property
    def refusal(self) -> Refusal:
        """The consequence of a refusal of the part being sent."""
        return Refusal(0, is_of_all=False) if self._batch is None else self._batch.refusal

    def part_accepted(self) -> None:
        """Note that the part that was sent is accepted."""
        batch = self._batch
        if batch is not None:
            self._settle(batch, *batch.part_accepted())

    def part_refused(self) -> None:
        """Note that the part that was sent is refused: halve it, or set its single frame apart.

        A batch whose frames are all refused is kept, to begin again with more.
        """
        batch = self._batch
        if batch is not None:
            batch.part_refused()
            if not batch.all_refused:
                self._settle(batch, 0, 0)

    def _settle(self, batch: Batch, delivered: int, broken: int) -> None:
        """Settle records: those that are delivered, and those with a refused frame."""
        lease = self._lease
        if batch.next_part is None:
            more_delivered, more_broken = batch.drop_refused()
            self._batch = self._lease = None
            self.own_lines.settle(delivered=batch.notice_accepted)
            if lease is not None:
                lease.ack(delivered + more_delivered, broken + more_broken)
        elif lease is not None:
            lease.replace(batch.left, delivered, broken)

    def discard_batch(self) -> None:
        """Discard the batch and all waiting records, because the stream has ended."""
        self._batch = self._lease = None
        self._source.discard()

    def persist(self) -> int | None:
        """Write all remaining records to disk, because the process ends; see `Source.persist`."""
        batch, lease = self._batch, self._lease
        if batch is not None and lease is not None:
            lease.release(batch.left)
        return self._source.persist()
