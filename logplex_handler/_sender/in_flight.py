"""What of one stream is on its way: the batch being sent, and the lease that it holds.

One thread at a time calls what changes the batch.
"""

from __future__ import annotations

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._sender.batch import Batch, Part, Refusal
from logplex_handler._sender.drain import Readdress
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._sender.source import Lease, Source
from logplex_handler._wire.destination import Destination


class InFlight:
    """A stream's batch, of which there is one at most, from being filled to being settled.

    Args:
        accumulator: Its ledger says what became of records.
        source: Where records are taken from.
        own_lines: What the handler says in the stream by itself.
        max_bytes: Bytes of a request's body before compression.
        readdress: Makes a frame for one destination of that for another.

    Attributes:
        destination: Where the batch goes; None while that is not known.
    """

    __slots__ = (
        "_accumulator",
        "_batch",
        "_is_filling",
        "_lease",
        "_max_bytes",
        "_readdress",
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
        readdress: Readdress,
    ) -> None:
        self._accumulator = accumulator
        self._source = source
        self.own_lines = own_lines
        self._max_bytes = max_bytes
        self._readdress = readdress
        self.destination: Destination | None = None
        self._batch: Batch | None = None
        # There is one as long as there is a batch.
        self._lease: Lease | None = None
        self._is_filling = False

    def set_destination(self, destination: Destination) -> None:
        """Send there from now on, also what is in the batch."""
        batch, lease = self._batch, self._lease
        if batch is not None and lease is not None:
            old = lease.destination
            batch.rewrite(lambda frame: self._readdress(frame, old, destination))
            lease.destination = destination
        self.destination = destination
        self._source.set_hostname(destination.hostname)

    @property
    def has_batch(self) -> bool:
        """Whether there is a batch that is not settled yet."""
        return self._batch is not None

    @property
    def has_own_lines(self) -> bool:
        """Whether there is something to say in the stream: the handler's health, or drops."""
        return self.own_lines.are_due

    @property
    def is_busy(self) -> bool:
        """Whether lines on the handler's health have not left yet, once all records have."""
        return self.own_lines.has_health or self._is_filling or self._batch is not None

    @property
    def pending(self) -> int:
        """Records that wait, or are being sent."""
        return self._accumulator.counts()[2]

    def backlog(self) -> Backlog:
        """What waits to be taken."""
        return self._source.backlog()

    def readable_in(self, now: float) -> float:
        """Seconds until the next records may be taken; 0 if they may be now."""
        return self._source.readable_in(now)

    def next_part(self) -> Part | None:
        """What to send now; a new batch is taken if there is none. None if nothing waits."""
        batch, destination = self._batch, self.destination
        if destination is None:
            return None
        if batch is None or self._lease is None:
            self._begin(destination)
        elif batch.all_refused:
            self._begin_again(batch, self._lease)
        return None if self._batch is None else self._batch.next_part

    def _begin(self, destination: Destination) -> None:
        """Make a new batch, if anything waits."""
        lease = Lease(self._source, self._accumulator, destination)
        try:
            self._is_filling = True
            lease.fill(self._source.max_bytes, self.own_lines)
        finally:
            # What was taken is sent in any case, even if a signal has interrupted this.
            frames = lease.take_frames()
            if frames:
                self._lease = lease
                self._batch = Batch(frames, self._max_bytes, lease.frame_id)
            self._is_filling = False

    def _begin_again(self, batch: Batch, lease: Lease) -> None:
        """Add to a batch of which every frame was refused: then those at fault show."""
        room = self._source.max_bytes - batch.size
        try:
            if room > 0:
                lease.fill(room, self.own_lines)
        finally:
            batch.restart(lease.take_frames())
        lease.replace(batch.left)

    @property
    def refusal(self) -> Refusal:
        """What it would mean if the next part were refused."""
        return Refusal(0, is_of_all=False) if self._batch is None else self._batch.refusal

    def part_accepted(self) -> None:
        """The part that was sent is delivered."""
        batch = self._batch
        if batch is not None:
            self._settle(batch, *batch.part_accepted())

    def part_refused(self) -> None:
        """The part that was sent is refused as it is: it is halved, or its one frame kept apart.

        A batch of which every frame is refused stays as it is, to begin again with more.
        """
        batch = self._batch
        if batch is not None:
            batch.part_refused()
            if not batch.all_refused:
                self._settle(batch, 0, 0)

    def _settle(self, batch: Batch, delivered: int, broken: int) -> None:
        """So many records are delivered, or dropped because a part of theirs was refused."""
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
        """Forget what is being sent and what waits: the stream has ended."""
        self._batch = self._lease = None
        self._source.discard()

    def persist(self) -> int | None:
        """Write all that is left to disk, as the process ends.

        How many of the records that were taken could not be; None if there is no disk.
        """
        batch, lease = self._batch, self._lease
        if batch is not None and lease is not None:
            lease.release(batch.left)
        return self._source.persist()
