"""What an accumulator holds, and how it is kept within its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logplex_handler._buffer.due import Reasons, half_of_room, most_unweighed
from logplex_handler._buffer.in_transit import InTransit
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.linger import Linger
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.snapshot import Snapshot
from logplex_handler._buffer.weighed_queue import FlushMark, WeighedQueue
from logplex_handler._wire.entry import LIGHT, Entry

# Entries that are weighed beyond what is needed, so as not to do it again for the next one.
_WEIGHED_IN_ADVANCE = 512


class Contents:
    """Entries that wait and records in transit. Those for which there are no bytes are dropped.

    The owner guards it, except for `allowed`, which the pool guards.

    Args:
        pool: Shares out bytes to several accumulators. Default: this one has all of its limit.
        shrink: Called by the pool, without a lock, when less is allowed than before.

    Attributes:
        allowed: Bytes that entries and records in transit may hold now.
        rejected_as: The cause of drop of records that come now; None if they are queued.
    """

    __slots__ = (
        "_is_abandoned", "_limits", "_pool", "allowed", "in_transit", "ledger", "linger", "queue",
        "rejected_as", "shrink",
    )  # fmt: skip

    def __init__(
        self,
        limits: BufferLimits,
        pool: MemoryPool | None,
        queue: WeighedQueue,
        ledger: Ledger,
        shrink: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._pool = pool
        self.queue = queue
        self.ledger = ledger
        self.shrink = shrink
        self.in_transit = InTransit()
        self.linger = Linger()
        self.allowed = limits.max_bytes if pool is None else 0
        self.rejected_as: str | None = None
        self._is_abandoned = False

    @property
    def in_flight(self) -> int:
        """Bytes that cannot be given away, as they are being sent."""
        return self.in_transit.held_bytes

    @property
    def has_reclaimed(self) -> bool:
        """Whether the pool has holders to shrink."""
        return self._pool is not None and self._pool.has_reclaimed

    @property
    def must_shrink(self) -> bool:
        """Whether more is held than the pool allows."""
        return self._pool is not None and not self.fits(0)

    def snapshot(self) -> Snapshot:
        """What there is now."""
        queue, pool = self.queue, self._pool
        entries = len(queue.entries)
        return Snapshot(
            entries,
            queue.weighed_frames + entries - queue.weighed,
            queue.weighed,
            queue.weighed_bytes,
            queue.usual_bytes,
            self.in_transit.held_bytes,
            self.allowed,
            entries > 0 and self.linger.is_running,
            pool is not None and pool.is_scarce,
            self.ledger.has_unreported,
        )

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause."""
        queued = len(self.queue)
        accepted = self.queue.taken + queued + self.ledger.never_taken + self.in_transit.recovered
        pending = queued + self.in_transit.pending
        return accepted, self.ledger.delivered, pending, self.ledger.dropped_by_cause()

    def has_left(self, mark: FlushMark) -> bool:
        """Whether all entries before the mark have left, none of them being in transit."""
        taken = self.queue.taken
        # What is appended after the end is dropped, so nobody waits for it.
        place = min(mark.place, taken) if self._is_abandoned else mark.place
        return self.in_transit.left(taken) >= place

    def catch_up(self, enough: int, reported: Reasons) -> None:
        """See to what was appended: start the clock, weigh, and release memory."""
        queue = self.queue
        if self._is_abandoned:
            for _ in range(queue.drop_all()):
                self.count_rejected()
        entries = len(queue.entries)
        self.linger.look(entries)
        if entries > queue.weighed:
            self._weigh(enough, reported)
        if self._pool is not None and not queue.entries:
            self._pool.release(self, self.in_transit.held_bytes)

    def count_rejected(self) -> None:
        """Count a record that came when records are rejected."""
        if self.rejected_as is not None:
            self.ledger.count_rejected(self.rejected_as)

    def take(self, most: int) -> list[Entry]:
        """Take up to so many entries; they are in transit until they are settled."""
        before = self.queue.taken
        taken, size = self.queue.take(most)
        self.in_transit.add(len(taken), size, taken_before=before)
        self.linger.taken(len(taken), left=len(self.queue))
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put the entries that were taken last to the front again, in their order."""
        self.queue.put_back(entries)
        self.in_transit.records -= len(entries)
        self.linger.put_back()

    def abandon(self, cause: str, unwritten: int | None) -> int:
        """Drop all that waits, and all in transit, or so many if the others are on disk."""
        self._is_abandoned = True
        queued = self.queue.drop_all()
        left = queued + self.in_transit.abandon(unwritten)
        self.linger.dropped_all()
        if left:
            self.ledger.drop(cause, left, never_taken=queued)
        return left

    def fits(self, size: int) -> bool:
        """Whether there is room for so many bytes beside what was weighed."""
        needed = self.queue.weighed_bytes + self.in_transit.held_bytes + size
        if needed > self.allowed and self._pool is not None:
            self._pool.reserve(self, needed)
        return needed <= self.allowed

    def _weigh(self, enough: int, reported: Reasons) -> None:
        """Weigh until so many entries are weighed and no limit may be reached; then some more.

        Entries that do not fit are dropped, or others for them.
        """
        queue, limits = self.queue, self._limits
        most = most_unweighed(limits, reported)
        if self._may_exceed(most) or (limits.has_disk and self._has_to_learn_usual_bytes()):
            enough = max(enough, queue.weighed + _WEIGHED_IN_ADVANCE)
        elif enough <= queue.weighed:
            return
        while queue.weighed < len(queue) and (queue.weighed < enough or self._may_exceed(most)):
            size, frames = queue.weight_of_next()
            if not self.fits(size):
                self.make_room(size)
            if self.fits(size):
                queue.keep_next(size, frames)
            else:
                self.ledger.drop("buffer_full", never_taken=1)
                queue.drop_next()
        queue.learn_usual_bytes()

    def _may_exceed(self, most: int) -> bool:
        """Whether the entries may hold more than this, or than what is allowed."""
        most_bytes = self.queue.most_bytes
        return most_bytes > most or most_bytes + self.in_transit.held_bytes > self.allowed

    def _has_to_learn_usual_bytes(self) -> bool:
        """Whether it is not known whether half of the room is taken."""
        half = half_of_room(self._limits, self.in_transit.held_bytes)
        return self.queue.usual_bytes == LIGHT and self.queue.most_bytes >= half

    def make_room(self, size: int) -> None:
        """Drop the oldest entries for so many bytes, if they may be dropped and are enough."""
        if self._limits.on_full != "drop_oldest":
            return
        if self.in_transit.held_bytes + size > self.allowed and size:
            return
        while self.queue.weighed and not self.fits(size):
            # First, as it is the deepest call: near the recursion limit nothing is done by half.
            weight = self.queue.weight_of_oldest()
            self.ledger.drop("buffer_full", never_taken=1)
            self.linger.dropped_oldest()
            self.queue.drop_oldest(*weight)
