"""The contents of an accumulator, and the bound on their bytes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.weighed_queue import FlushMark, WeighedQueue
from logplex_handler._wire.entry import LIGHT, Entry

if TYPE_CHECKING:
    from logplex_handler._buffer.accumulator import Accumulator

# Entries to weigh in advance, so that the next one need not be weighed at once.
_WEIGHED_IN_ADVANCE = 512


@dataclass(frozen=True)
class Backlog:
    """The waiting records, from which a worker decides when to send.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether their number or size makes a batch due, or a caller waits for room.
        pressing: Whether they make a large batch, or a full one while memory is scarce, or a caller
            waits for room, or they come faster than they are taken.
        since: When the first of them that makes a batch due came, on the monotonic clock.
        flushing: Whether some of them, or of those in transit, belong to a flush.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool


class Contents:
    """Waiting entries, and records in transit.

    Drops entries that exceed the bytes. The owner guards it, except for `allowed`, which the pool
    guards.

    Args:
        pool: Allots bytes to several accumulators. Default: this accumulator may use its whole
            limit.

    Attributes:
        allowed: Bytes that entries and records in transit may hold now.
        rejected_as: The cause with which new records are dropped; None if they are queued.
        since: When the first entry that makes a batch due came, on the monotonic clock; infinite if
            there is none.
        in_transit: Records taken and not settled.
        in_transit_bytes: The bytes of memory that they use.
        recovered: All records ever taken over from dead processes.
        recovered_left: Those of them that are not settled.
    """

    __slots__ = (
        "_is_abandoned", "_limits", "_never_waking", "_owner", "_pool", "_settled",
        "_since_before_take", "_transit_start", "allowed", "in_transit", "in_transit_bytes",
        "ledger", "queue", "recovered", "recovered_left", "rejected_as", "since",
    )  # fmt: skip

    def __init__(
        self,
        limits: BufferLimits,
        pool: MemoryPool | None,
        queue: WeighedQueue,
        ledger: Ledger,
        owner: Accumulator,
    ) -> None:
        self._limits = limits
        self._pool = pool
        self.queue = queue
        self.ledger = ledger
        self._owner = owner
        self.allowed = limits.max_bytes if pool is None else 0
        self.rejected_as: str | None = None
        self._is_abandoned = False
        self.since = self._since_before_take = math.inf
        # Entries at the front of the queue that make no batch due.
        self._never_waking = 0
        self.in_transit = self.in_transit_bytes = 0
        # How many entries were taken before those in transit, and how many of these are settled
        # while others of their batch are not.
        self._transit_start = self._settled = 0
        self.recovered = self.recovered_left = 0

    def shrink(self) -> None:
        """Drop entries, because the pool allows less than before; called without a lock."""
        self._owner.shrink()

    @property
    def half_of_room(self) -> int:
        """Half of the bytes that may wait in addition to those in transit."""
        return (self._limits.max_bytes - self.in_transit_bytes) // 2

    @property
    def is_memory_scarce(self) -> bool:
        """Whether the memory that streams share is nearly used up."""
        return self._pool is not None and self._pool.is_scarce

    @property
    def has_reclaimed(self) -> bool:
        """Whether the pool has holders to shrink."""
        return self._pool is not None and self._pool.has_reclaimed

    @property
    def must_shrink(self) -> bool:
        """Whether more bytes are used than the pool allows."""
        return self._pool is not None and not self.fits(0)

    def most_unweighed(self, *, knows_batch: bool) -> int:
        """The number of bytes that entries may use before their exact weight matters.

        Args:
            knows_batch: Whether a worker was woken for a batch.
        """
        room = self.allowed - self.in_transit_bytes
        return room if knows_batch else min(room, self._limits.batch_bytes - 1)

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause."""
        queued = len(self.queue.entries)
        accepted = self.queue.taken + queued + self.ledger.never_taken + self.recovered
        pending = queued + self.in_transit + self.recovered_left
        return accepted, self.ledger.delivered, pending, self.ledger.dropped_by_cause()

    def has_left(self, mark: FlushMark) -> bool:
        """Whether all entries before the mark have left, and none of them is in transit."""
        taken = self.queue.taken
        # Entries appended after the end are dropped, so no flush waits for them.
        place = min(mark.place, taken) if self._is_abandoned else mark.place
        return (self._transit_start if self.in_transit else taken) >= place

    def add_never_waking(self) -> None:
        """Note that an entry that makes no batch due is about to be queued."""
        if self.since == math.inf:
            self._never_waking += 1

    def catch_up(self, *, weigh: bool, knows_batch: bool) -> bool:
        """Process the appended entries: start the clock, weigh all or as many as needed.

        Returns:
            Whether entries were weighed or dropped.
        """
        queue = self.queue
        if self._is_abandoned:
            for _ in range(queue.drop_all()):
                self.count_rejected()
        entries = len(queue.entries)
        if self.since == math.inf and entries > self._never_waking:
            self.since = time.monotonic()
        has_changed = entries > queue.weighed and self._weigh(
            everything=weigh, knows_batch=knows_batch
        )
        if self._pool is not None and not queue.entries:
            self._pool.release(self, self.in_transit_bytes)
        return has_changed

    def count_rejected(self) -> None:
        """Count a rejected record."""
        if self.rejected_as is not None:
            self.ledger.count_rejected(self.rejected_as)

    def take(self, most: int) -> list[Entry]:
        """Take at most this many entries; they are in transit until they are settled."""
        queue = self.queue
        before = queue.taken
        taken, size = queue.take(most)
        if not self.in_transit:
            self._transit_start = before
            # An earlier batch may be settled though none of its records was its last.
            self._settled = 0
        self.in_transit += len(taken)
        self.in_transit_bytes += size
        self._never_waking = max(0, self._never_waking - len(taken))
        self._since_before_take = self.since
        if not queue.entries:
            self.since = math.inf
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put the entries taken last back to the front, in order and with their age."""
        self.queue.put_back(entries)
        self.in_transit -= len(entries)
        self.since = min(self.since, self._since_before_take, time.monotonic())

    def settle(self, records: int, *, recovered: bool, through: bool) -> bool:
        """Remove records that have an outcome; False if they were abandoned before."""
        if recovered:
            if not self.recovered_left:
                return False
            self.recovered_left -= records
        else:
            if not self.in_transit:
                return False
            self.in_transit -= records
            self._settled += records
            if through:
                self._transit_start += self._settled
                self._settled = 0
        if not self.in_transit:
            self.in_transit_bytes = 0
        return True

    def abandon(self, cause: str, unwritten: int | None) -> int:
        """Drop all waiting entries and the records in transit, or only this many of these."""
        self._is_abandoned = True
        left = queued = self.queue.drop_all()
        self._never_waking = self.in_transit_bytes = 0
        if unwritten is None:
            left += self.in_transit + self.recovered_left
            self.in_transit = self.recovered_left = 0
        else:
            left += unwritten
            self.in_transit -= unwritten
        if left:
            self.ledger.drop(cause, left, never_taken=queued)
        return left

    def fits(self, size: int) -> bool:
        """Whether this many bytes fit in addition to the weighed entries."""
        needed = self.queue.weighed_bytes + self.in_transit_bytes + size
        if needed > self.allowed and self._pool is not None:
            self._pool.reserve(self, needed)
        return needed <= self.allowed

    def is_over_or_fits(self, size: int) -> bool:
        """Whether a caller that waits for this many bytes can go on."""
        return self.rejected_as is not None or self.fits(size)

    def _weigh(self, *, everything: bool, knows_batch: bool) -> bool:
        """Weigh all entries, or until no limit can be reached; then some more.

        Drop entries that do not fit, or others to make room for them. False if none was weighed.
        """
        queue, has_disk = self.queue, self._limits.has_disk
        if everything:
            enough = len(queue.entries)
        elif queue.most_bytes > self.most_unweighed(knows_batch=knows_batch) or (
            # With a disk it matters whether half of the room is taken.
            has_disk and queue.usual_bytes == LIGHT and queue.most_bytes >= self.half_of_room
        ):
            enough = queue.weighed + _WEIGHED_IN_ADVANCE
        else:
            return False
        while queue.weighed < len(queue.entries) and (
            queue.weighed < enough
            or queue.most_bytes > self.most_unweighed(knows_batch=knows_batch)
        ):
            size, frames = queue.weight_of_next()
            if not self.fits(size):
                self.make_room(size)
            if self.fits(size):
                queue.keep_next(size, frames)
            else:
                self.ledger.drop("buffer_full", never_taken=1)
                queue.drop_next()
        if has_disk:
            queue.learn_usual_bytes()
        return True

    def make_room(self, size: int) -> None:
        """Drop the oldest entries to free this many bytes, if they may be dropped and suffice."""
        if self._limits.on_full != "drop_oldest":
            return
        if self.in_transit_bytes + size > self.allowed and size:
            return
        while self.queue.weighed and not self.fits(size):
            # First, because it is the deepest call: if the recursion limit is near, nothing is left
            # half done.
            weight = self.queue.weight_of_oldest()
            self.ledger.drop("buffer_full", never_taken=1)
            self._never_waking = max(0, self._never_waking - 1)
            self.queue.drop_oldest(*weight)
