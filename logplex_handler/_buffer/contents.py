"""The contents of an accumulator, and the bound on their bytes."""

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

# Entries to weigh in advance, so that the next one need not be weighed at once.
_WEIGHED_IN_ADVANCE = 512


class Contents:
    """Waiting entries, and records in transit.

    Drops entries that exceed the bytes. The owner guards it, except for `allowed`, which the pool
    guards.

    Args:
        pool: Allots bytes to several accumulators. Default: this accumulator may use its whole
            limit.
        shrink: Called by the pool, without a lock, when less is allowed than before.

    Attributes:
        allowed: Bytes that entries and records in transit may hold now.
        rejected_as: The cause with which new records are dropped; None if they are queued.
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
        """Bytes that cannot be freed, because their records are being sent."""
        return self.in_transit.held_bytes

    @property
    def has_reclaimed(self) -> bool:
        """Whether the pool has holders to shrink."""
        return self._pool is not None and self._pool.has_reclaimed

    @property
    def must_shrink(self) -> bool:
        """Whether more bytes are used than the pool allows."""
        return self._pool is not None and not self.fits(0)

    def snapshot(self) -> Snapshot:
        """A snapshot of the contents."""
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
        """Whether all entries before the mark have left, and none of them is in transit."""
        taken = self.queue.taken
        # Entries appended after the end are dropped, so no flush waits for them.
        place = min(mark.place, taken) if self._is_abandoned else mark.place
        return self.in_transit.left(taken) >= place

    def catch_up(self, reported: Reasons, *, weigh: bool) -> bool:
        """Process the appended entries: start the clock, weigh all or as many as needed.

        Returns:
            Whether entries were weighed or dropped.
        """
        queue = self.queue
        if self._is_abandoned:
            for _ in range(queue.drop_all()):
                self.count_rejected()
        entries = len(queue.entries)
        self.linger.look(entries)
        has_changed = entries > queue.weighed and self._weigh(entries if weigh else 0, reported)
        if self._pool is not None and not queue.entries:
            self._pool.release(self, self.in_transit.held_bytes)
        return has_changed

    def count_rejected(self) -> None:
        """Count a rejected record."""
        if self.rejected_as is not None:
            self.ledger.count_rejected(self.rejected_as)

    def take(self, most: int) -> list[Entry]:
        """Take at most this many entries; they are in transit until they are settled."""
        before = self.queue.taken
        taken, size = self.queue.take(most)
        self.in_transit.add(len(taken), size, taken_before=before)
        self.linger.taken(len(taken), left=len(self.queue))
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put the entries taken last back to the front, in order."""
        self.queue.put_back(entries)
        self.in_transit.records -= len(entries)
        self.linger.put_back()

    def abandon(self, cause: str, unwritten: int | None) -> int:
        """Drop all waiting entries and the records in transit, or only this many of these."""
        self._is_abandoned = True
        queued = self.queue.drop_all()
        left = queued + self.in_transit.abandon(unwritten)
        self.linger.dropped_all()
        if left:
            self.ledger.drop(cause, left, never_taken=queued)
        return left

    def fits(self, size: int) -> bool:
        """Whether this many bytes fit in addition to the weighed entries."""
        needed = self.queue.weighed_bytes + self.in_transit.held_bytes + size
        if needed > self.allowed and self._pool is not None:
            self._pool.reserve(self, needed)
        return needed <= self.allowed

    def is_over_or_fits(self, size: int) -> bool:
        """Whether a caller that waits for this many bytes can go on."""
        return self.rejected_as is not None or self.fits(size)

    def _weigh(self, enough: int, reported: Reasons) -> bool:
        """Weigh until this many entries are weighed and no limit can be reached; then some more.

        Drop entries that do not fit, or others to make room for them. False if none was weighed.
        """
        queue, limits = self.queue, self._limits
        most = most_unweighed(limits, reported)
        if self._may_exceed(most) or (limits.has_disk and self._has_to_learn_usual_bytes()):
            enough = max(enough, queue.weighed + _WEIGHED_IN_ADVANCE)
        elif enough <= queue.weighed:
            return False
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
        return True

    def _may_exceed(self, most: int) -> bool:
        """Whether the entries may use more bytes than this, or than are allowed."""
        most_bytes = self.queue.most_bytes
        return most_bytes > most or most_bytes + self.in_transit.held_bytes > self.allowed

    def _has_to_learn_usual_bytes(self) -> bool:
        """Whether half of the room may be in use while the usual bytes are unknown."""
        half = half_of_room(self._limits, self.in_transit.held_bytes)
        return self.queue.usual_bytes == LIGHT and self.queue.most_bytes >= half

    def make_room(self, size: int) -> None:
        """Drop the oldest entries to free this many bytes, if they may be dropped and suffice."""
        if self._limits.on_full != "drop_oldest":
            return
        if self.in_transit.held_bytes + size > self.allowed and size:
            return
        while self.queue.weighed and not self.fits(size):
            # First, because it is the deepest call: if the recursion limit is near, nothing is left
            # half done.
            weight = self.queue.weight_of_oldest()
            self.ledger.drop("buffer_full", never_taken=1)
            self.linger.dropped_oldest()
            self.queue.drop_oldest(*weight)
