"""One stream's bounded queue: callers put entries in, and a worker takes them out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.first_entries import Owner
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.memory_pool import MemoryPool, new_locks
from logplex_handler._buffer.parkable_queue import ParkableQueue
from logplex_handler._buffer.waking_queue import DROPS, FIRST, Backlog
from logplex_handler._buffer.weighed_queue import FlushMark
from logplex_handler._process.reentrancy import holding, is_held
from logplex_handler._wire.entry import Entry, Weigh


class Accumulator(ParkableQueue):
    """A queue of entries, bounded in bytes. Any thread may call any method.

    Args:
        pool: Memory that several accumulators share. Default: this one may use its whole limit.
    """

    __slots__ = ("_changed", "_under_way")

    def __init__(
        self,
        limits: BufferLimits,
        weigh: Weigh,
        pool: MemoryPool | None = None,
        owner: Owner | None = None,
    ) -> None:
        # `lock` guards all attributes, inherited ones, too, except `allowed`; only `entries.append`
        # needs no lock. Re-entrant, because a garbage collection or a signal handler may log while
        # it is held. `_under_way` is held under it during an operation. An entry that interrupts
        # that is only appended; the operation does the rest, or a worker if its accumulator has the
        # same locks. Not a flag: `with` releases a lock in C, whatever a signal handler raises.
        lock, self._under_way = new_locks() if pool is None else next(pool.locks)
        super().__init__(limits, weigh, pool, lock, owner)
        # Notified when there may be room. None until a caller waits for it.
        self._changed: threading.Condition | None = None

    def append(self, entry: Entry) -> bool:
        """Queue a light entry, and return whether to wake a worker."""
        self.entries.append(entry)
        return len(self.entries) >= self.look_at and self.look()

    def look(self, *, weigh: bool = False) -> bool:
        """Process the appended entries, and return whether to wake a worker."""
        with self.lock:
            if self._under_way.locked():
                # The interrupted operation processes the entry, but perhaps wakes no worker.
                return True
            with self._under_way:
                if self.woken_for == FIRST and not weigh and self._leave_to_worker():
                    return False
            if weigh or not self._note_first():
                self._catch_up(weigh=weigh)
                return self._has_news() or (self._pool is not None and bool(self._pool.to_shrink))
        # Without the lock, because the worker needs it.
        return self._tell_of_first()

    def put(
        self, entry: Entry, size: int = 0, frames: int = 0, may_wait: bool = False,
        never_wakes: bool = False,
    ) -> bool | None:  # fmt: skip
        """Queue or drop an entry, weighed if `frames` is 0; return whether to wake a worker.

        An entry that `never_wakes` makes no batch due, and no other entry is dropped for it.
        Returns None, and queues nothing, if there is no room and either the entry `never_wakes`, or
        its caller `may_wait` and the entry can fit later.
        """
        size, frames = (size, frames) if frames else self.weigh(entry)
        with self.lock:
            if self._rejected_as is not None:
                self._count_rejected()
                return False
            if self._under_way.locked():
                self._append(entry, size, frames)
                return True
            if self._append_between_looks(entry, size, frames):
                # A light entry may have been appended meanwhile, without a look.
                return len(self.entries) >= self.look_at and self.look()
            if never_wakes or may_wait:
                self._catch_up(weigh=True)
                if not self._fits(size) and (never_wakes or size <= self.limits.max_bytes):
                    if may_wait and not never_wakes:
                        self._is_room_wanted = True
                        # The caller wakes a worker, because a batch is due at once.
                        self.woken_for |= self._reasons()
                    return None
            if never_wakes and self.since == math.inf:
                self._never_waking += 1
            self._append(entry, size, frames)
            return self.look(weigh=never_wakes or may_wait)

    def drop(self, cause: str) -> bool:
        """Count a record that never became an entry as dropped; return whether to wake a worker."""
        with self.lock:
            if self._rejected_as is not None:
                self._count_rejected()
                return False
            self._own_ledger().drop(cause, never_taken=1)
            return self.look()

    def count_rejected(self) -> None:
        """Count a record that came after `reject_from_now`, without reporting it."""
        with self.lock:
            self._count_rejected()

    def reject_from_now(self, cause: str) -> Ledger:
        """Drop all further records, with this cause; return the ledger that counts them.

        A light entry that comes at the same moment may still be queued.
        """
        with self.lock:
            self._rejected_as = cause
            self._notify()
            return self._own_ledger()

    def begin_throttle(self, seconds: float) -> float:
        """Begin to throttle a caller; return the most seconds that it waits."""
        if is_held(self.lock):
            # While a signal handler waits, the call that it has interrupted keeps the worker out.
            return 0.0
        with self.lock:
            seconds = self._backpressure_of_its_own().begin_throttle(time.monotonic(), seconds)
            self._catch_up(replan=True)
            return seconds

    def end_throttle(self) -> None:
        with self.lock:
            if self.backpressure is not None:
                self.backpressure.end_throttle(time.monotonic(), self.queued)
            self._catch_up(replan=True)

    def backlog(self) -> Backlog:
        with self.lock:
            self._catch_up()
            return self._backlog()

    def take(self, most: int) -> list[Entry]:
        """Take at most `most` entries to send; they stay pending until they are settled.

        Heavy entries still count towards the bound; light ones do again from `resize_taken` on.
        """
        with self.lock:
            if self._is_abandoned:
                self._catch_up()
            with self._uninterrupted():
                taken = self._take(most)
            # First, because it may drop entries that would make a batch full.
            self._catch_up()
            self._note_taken()
        return taken

    def resize_taken(self, size: int, *, returned: Sequence[Entry] = ()) -> None:
        """Put the last of the taken entries back, in order; the others now use `size` bytes."""
        with self.lock:
            if not self.in_transit:
                # The entries were abandoned meanwhile.
                return
            if returned:
                with self._uninterrupted():
                    self._put_back(returned)
                # The worker knows these entries without being woken.
                self.woken_for |= FIRST
            self.in_transit_bytes = size if self.in_transit else 0
            if self._pool is not None and not self._fits(0):
                self._shrink()
            self._catch_up(replan=True)
            if not self.entries:
                self._release()

    def settle(
        self,
        *,
        delivered: int = 0,
        dropped: int = 0,
        cause: str = "refused",
        recovered: bool = False,
        through: bool = True,
    ) -> None:
        """Count the outcomes of taken records. Their memory is free once all of them are counted.

        Args:
            through: Whether these are the last of their batch: all earlier records have left, too.
        """
        with self.lock:
            if not self._settle(delivered + dropped, recovered=recovered, through=through):
                # The records were abandoned meanwhile, or the batch was only a drop notice.
                return
            self.delivered += delivered
            if dropped:
                self._own_ledger().drop(cause, dropped)
            self._note_room()
            self._catch_up(replan=True)
            self._notify()

    def count_recovered(self, records: int) -> None:
        """Count records on disk as accepted; they come before all others."""
        with self.lock:
            self.recovered += records
            self._recovered_left += records

    def count_unforeseen(self, records: int) -> None:
        """Count as taken the records that another program has put on disk among the taken ones."""
        with self.lock:
            self.taken += records
            self.in_transit += records

    def abandon(self, cause: str, *, unwritten: int | None = None) -> int:
        """Drop all remaining records for good; return how many.

        It does not wait for a request. Taken records on disk stay there, but for `unwritten` ones.
        """
        with self.lock:
            with self._uninterrupted():
                left = self._abandon(cause, unwritten)
            self._catch_up(replan=True)
            self._notify()
            return left

    def fill_ratio(self) -> float:
        """Return the share of the memory in use, from 0 to 1."""
        with self.lock:
            self._catch_up(weigh=True)
            return (self.weighed_bytes + self.in_transit_bytes) / self.limits.max_bytes

    def claim_drops(self) -> Mapping[str, int]:
        """Return all drops to report, by cause; from now on they count as reported."""
        with self.lock:
            # The next drop wakes a worker again.
            self.woken_for &= ~DROPS
            return self.ledger.claim_drops()

    def begin_flush(self) -> FlushMark:
        """Begin a flush of all queued entries. Pass the mark to `is_flushed`, then `end_flush`."""
        mark = FlushMark()
        with self.lock, self._uninterrupted():
            self._add_mark(mark)
            if self._latest_flush is None:
                self._latest_flush = FlushMark()
                self._add_mark(self._latest_flush)
            # An interruption may have begun a later flush.
            self._latest_flush.place = max(self._latest_flush.place, mark.place)
        return mark

    def is_flushed(self, mark: FlushMark) -> bool:
        """Return whether all entries queued before the mark, and all records on disk, have left."""
        with self.lock:
            return not self._recovered_left and self._has_left(mark)

    def end_flush(self, mark: FlushMark) -> None:
        with self.lock:
            self._remove_mark(mark)

    def shrink(self, patience: float) -> bool:
        # An interrupted operation may use this accumulator, or one with the same locks.
        is_in_use = is_held(self.lock) and self._under_way.locked()
        if is_in_use or not holding(self.lock, patience, self._shrink):
            return False
        if (owner := self.owner) is not None and self.ledger.has_unreported:
            owner.after_reclaim()
        return True

    def wait_for_room(self, size: int, seconds: float) -> bool:
        """Wait until an entry of this size fits or is rejected, or return False after `seconds`."""
        with self.lock:
            self._changed = self._changed or threading.Condition(self.lock)
            return self._changed.wait_for(
                lambda: self._rejected_as is not None or self._fits(size), seconds
            )

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Return the records accepted, delivered, pending and dropped by cause, at one moment."""
        with self.lock:
            self._catch_up()
            return self._counts()

    # The caller of a method below holds the lock.

    def _uninterrupted(self) -> AbstractContextManager[object]:
        """Return a context in which an entry that an interruption logs is only appended."""
        return nullcontext() if self._under_way.locked() else self._under_way

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _catch_up(self, *, weigh: bool = False, replan: bool = False) -> None:
        """Process the appended entries, and plan the next look if it may have changed."""
        if self._under_way.locked():
            if replan:
                # If another accumulator's operation was interrupted, it plans no look at this one.
                self.look_at = 0
            return
        if not self.entries:
            self.look_at = self.heavy = self.heavy_bytes = self.heavy_frames = 0
            if self.allowed and self._pool is not None and not self.in_transit:
                self._release()
            return
        with self._under_way:
            has_changed = self._process(weigh=weigh, knows_batch=self._knows_batch)
        if has_changed or replan:
            self._plan_look()

    def _shrink(self) -> None:
        if self._under_way.locked():
            # The queue shrinks when the next entry is processed.
            return
        self._catch_up(weigh=True)
        with self._under_way:
            self._make_room(0)
        self._catch_up(replan=True)
