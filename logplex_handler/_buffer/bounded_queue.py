"""The entries that wait and the records in transit, and the bound on their bytes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.weighed_queue import FlushMark, WeighedQueue
from logplex_handler._wire.entry import LIGHT, Entry, Weigh

OnFull = Literal["drop_oldest", "drop_newest", "block"]

# The packets of a large batch, as a multiple of `batch_frames`. A batch that is due may wait a
# moment for them, because one large request costs less than several small ones.
LARGE_BATCH = 10
# The ledger of queues that have dropped nothing, as nearly all have not. It is never mutated.
NO_DROPS = Ledger()
# The number of entries to weigh in advance, so that the next one need not be weighed at once.
_WEIGHED_IN_ADVANCE = 512


@dataclass(frozen=True, repr=False)
class BufferLimits:
    """The number of bytes that may wait, and what a full accumulator does.

    Attributes:
        max_bytes: The bytes that entries may use, including those in transit.
        on_full: Whether to drop the oldest or the newest entry, or to make the caller wait.
        batch_frames: Packets that make a batch due.
        batch_bytes: Bytes that make a batch due.
        has_disk: Whether entries are written to disk. If so, a worker is woken when entries
            probably use half of the bytes, and callers are throttled for longer.
    """

    max_bytes: int
    on_full: OnFull
    batch_frames: int
    batch_bytes: int
    has_disk: bool = False

    @cached_property
    def large_batch_frames(self) -> int:
        """The number of packets of a large batch; smaller if that many may not fit."""
        room_for = max(self.batch_frames, self.max_bytes * 3 // 4 // LIGHT)
        return min(LARGE_BATCH * self.batch_frames, room_for)


class BoundedQueue(WeighedQueue):
    """A weighed queue that drops entries when they exceed its bytes.

    The owner guards it, except for `allowed`, which the pool guards.

    Args:
        pool: Allots bytes to several queues. Default: this one may use its whole limit.

    Attributes:
        allowed: Bytes that entries and records in transit may hold now.
        delivered: The number of records that the receiver has accepted.
        since: When the first entry that makes a batch due came, on the monotonic clock; infinite if
            there is none.
        in_transit: The number of records taken and not settled.
        in_transit_bytes: The bytes of memory that the records in transit use.
        recovered: The number of records ever taken over from dead processes.
    """

    __slots__ = (
        "_is_abandoned", "_never_waking", "_pool", "_recovered_left", "_rejected_as", "_settled",
        "_since_before_take", "_transit_start", "allowed", "delivered", "in_transit",
        "in_transit_bytes", "ledger", "limits", "lock", "recovered", "since",
    )  # fmt: skip

    def __init__(
        self, limits: BufferLimits, weigh: Weigh, pool: MemoryPool | None, lock: threading.RLock
    ) -> None:
        super().__init__(weigh)
        self.limits = limits
        self.lock = lock
        self.ledger = NO_DROPS
        self.delivered = 0
        self._pool = pool
        self.allowed = limits.max_bytes if pool is None else 0
        # The cause with which new records are dropped; None if they are queued.
        self._rejected_as: str | None = None
        self._is_abandoned = False
        self.since = self._since_before_take = math.inf
        # The number of entries at the front of the queue that make no batch due.
        self._never_waking = 0
        self.in_transit = self.in_transit_bytes = 0
        # How many entries were taken before those in transit, and how many of those in transit are
        # settled while others of their batch are not.
        self._transit_start = self._settled = 0
        self.recovered = self._recovered_left = 0

    @property
    def half_of_room(self) -> int:
        return (self.limits.max_bytes - self.in_transit_bytes) // 2

    @property
    def is_memory_scarce(self) -> bool:
        return self._pool is not None and self._pool.is_scarce

    def most_unweighed(self, *, knows_batch: bool) -> int:
        """Return the bytes that entries may use before their weight matters to a worker.

        To a worker that knows of a batch, it matters once they may fill the room.
        """
        room = self.allowed - self.in_transit_bytes
        return room if knows_batch else min(room, self.limits.batch_bytes - 1)

    def _counts(self) -> tuple[int, int, int, dict[str, int]]:
        queued, ledger = self.queued, self.ledger
        accepted = self.taken + queued + ledger.never_taken + self.recovered
        pending = queued + self.in_transit + self._recovered_left
        return accepted, self.delivered, pending, ledger.dropped_by_cause()

    def _has_left(self, mark: FlushMark) -> bool:
        """Return whether all entries before the mark have left, and none of them is in transit."""
        taken = self.taken
        # Entries appended after the stream's end are dropped, so no flush waits for them.
        place = min(mark.place, taken) if self._is_abandoned else mark.place
        return (self._transit_start if self.in_transit else taken) >= place

    def _process(self, *, weigh: bool, knows_batch: bool) -> bool:
        """Process the appended entries: start the clock, and weigh as many as needed.

        Returns whether memory was reserved, or entries were weighed or dropped.
        """
        if self._is_abandoned:
            for _ in range(self._drop_all()):
                self._count_rejected()
        queued = self.queued
        if self.since == math.inf and queued > self._never_waking:
            self.since = time.monotonic()
        if not queued or (queued <= self.weighed and self.allowed):
            return False
        pool, has_changed = self._pool, False
        if self.weighed and not self.allowed:
            # Weighed among the first few, for which no memory was reserved.
            if not self._fits(0):
                self._make_room(0)
            has_changed = True
        elif pool is not None and not (self.allowed or weigh or pool.is_scarce):
            # The first entry of a stream need not be weighed.
            pool.reserve(self, self.most_bytes + self.in_transit_bytes)
            has_changed = self.allowed > 0
        return has_changed | self._weigh(everything=weigh, knows_batch=knows_batch)

    def shrink(self, patience: float) -> bool:
        """Drop the oldest entries until the others use no more bytes than are allowed now.

        Returns:
            Whether that was done; False if the queue was in use for `patience` seconds.
        """
        raise NotImplementedError

    def _release(self) -> None:
        """Return the memory that a queue without entries does not need."""
        if self._pool is not None:
            self._pool.release(self, self.in_transit_bytes)

    def _own_ledger(self) -> Ledger:
        if self.ledger is NO_DROPS:
            self.ledger = Ledger(self.lock)
        return self.ledger

    def _count_rejected(self) -> None:
        if self._rejected_as is not None:
            self._own_ledger().count_rejected(self._rejected_as)

    def _take(self, most: int) -> list[Entry]:
        before = self.taken
        taken, size = self._take_first(min(most, self.queued))
        if not self.in_transit:
            self._transit_start = before
            # An earlier batch may have been settled without a last record.
            self._settled = 0
        self.in_transit += len(taken)
        self.in_transit_bytes += size
        self._never_waking = max(0, self._never_waking - len(taken))
        self._since_before_take = self.since
        if not self.entries:
            self.since = math.inf
        return taken

    def _put_back(self, entries: Sequence[Entry]) -> None:
        self._return_taken(entries)
        self.in_transit -= len(entries)
        self.since = min(self.since, self._since_before_take, time.monotonic())

    def _settle(self, records: int, *, recovered: bool, through: bool) -> bool:
        """Remove records that have an outcome, or return False if they were abandoned before."""
        if recovered:
            if not self._recovered_left:
                return False
            self._recovered_left -= records
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

    def _abandon(self, cause: str, unwritten: int | None) -> int:
        """Drop all waiting entries, and the records in transit or only the unwritten ones."""
        self._is_abandoned = True
        left = queued = self._drop_all()
        self._never_waking = self.in_transit_bytes = 0
        if unwritten is None:
            left += self.in_transit + self._recovered_left
            self.in_transit = self._recovered_left = 0
        else:
            left += unwritten
            self.in_transit -= unwritten
        if left:
            self._own_ledger().drop(cause, left, never_taken=queued)
        return left

    def _fits(self, size: int) -> bool:
        needed = self.weighed_bytes + self.in_transit_bytes + size
        if needed > self.allowed and self._pool is not None:
            self._pool.reserve(self, needed)
        return needed <= self.allowed

    def _weigh(self, *, everything: bool, knows_batch: bool) -> bool:
        """Weigh all entries, or some more than the limits need; return whether any was weighed.

        Entries that do not fit are dropped, or older ones to make room for them.
        """
        has_disk = self.limits.has_disk
        if everything:
            enough = self.queued
        elif self.most_bytes > self.most_unweighed(knows_batch=knows_batch) or (
            # With a disk, it matters whether half of the room is in use.
            has_disk and self.usual_bytes == LIGHT and self.most_bytes >= self.half_of_room
        ):
            enough = self.weighed + _WEIGHED_IN_ADVANCE
        else:
            return False
        while self.weighed < self.queued and (
            self.weighed < enough or self.most_bytes > self.most_unweighed(knows_batch=knows_batch)
        ):
            size, frames = self.weigh(self.entries[self.gone + self.weighed])
            if not self._fits(size):
                self._make_room(size)
            if size > LIGHT or frames > 1:
                self._count_heavy(-1, -size, -frames)
            if self._fits(size):
                self._keep_next(size, frames)
            else:
                self._own_ledger().drop("buffer_full", never_taken=1)
                self._drop_at(self.weighed)
        if has_disk:
            self._learn_usual_bytes()
        return True

    def _make_room(self, size: int) -> None:
        """Drop the oldest entries to free this many bytes, if that is allowed and suffices."""
        if self.limits.on_full != "drop_oldest":
            return
        if self.in_transit_bytes + size > self.allowed and size:
            return
        while self.weighed and not self._fits(size):
            # Weighed first, because that is the deepest call: near the recursion limit, nothing is
            # left half done.
            weight = self.weigh(self.entries[self.gone])
            self._own_ledger().drop("buffer_full", never_taken=1)
            self._never_waking = max(0, self._never_waking - 1)
            self._drop_oldest(*weight)
