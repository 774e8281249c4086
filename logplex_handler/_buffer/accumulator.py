"""One stream's bounded queue: callers put entries in, and a worker takes them out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from logplex_handler._buffer.contents import Backlog, Contents
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.wake_reasons import BATCH, LARGE
from logplex_handler._buffer.wake_ups import WakeUps
from logplex_handler._buffer.weighed_queue import FlushMark, WeighedQueue
from logplex_handler._wire.entry import Entry, Weigh


class Accumulator:
    """A queue of entries, bounded in bytes. Any thread may call any method.

    Args:
        pool: Memory that several accumulators share. Default: the whole limit is for this one.
        on_reclaimed: Called, without a lock, after entries were dropped for another accumulator.
    """

    __slots__ = (
        "_append", "_changed", "_contents", "_entries", "_latest_flush", "_limits",
        "_on_reclaimed", "_queue", "_under_way", "ledger", "lock", "wake_ups",
    )  # fmt: skip

    def __init__(
        self,
        limits: BufferLimits,
        weigh: Weigh,
        pool: MemoryPool | None = None,
        on_reclaimed: Callable[[], None] | None = None,
    ) -> None:
        self._limits = limits
        self._on_reclaimed = on_reclaimed
        # Guards the fields below, except for appending to the queue; held for a few operations
        # only. Re-entrant, because a garbage collection or a signal handler may run while it is
        # held, and may log.
        self.lock = threading.RLock()
        # Held during an operation. An entry logged by an interruption is only appended; the
        # interrupted operation does the rest. A lock rather than a flag, because `with` releases it
        # in C: an exception from a signal handler cannot leave it held.
        self._under_way = threading.Lock()
        # Notified when there may be room; None until a caller waits for room.
        self._changed: threading.Condition | None = None
        self.ledger = Ledger(self.lock)
        self._queue = WeighedQueue(weigh)
        self._entries = self._queue.entries
        self._append = self._entries.append
        self._contents = Contents(limits, pool, self._queue, self.ledger, self)
        self.wake_ups = WakeUps(limits, self._contents)
        # A mark after all entries queued when the last flush began; it stays after that flush ends.
        self._latest_flush: FlushMark | None = None

    def append(self, entry: Entry) -> bool:
        """Queue a light entry, and return whether to wake a worker.

        Called for every record, so it takes no lock and makes as few calls as possible.
        """
        self._append(entry)
        return len(self._entries) >= self.wake_ups.look_at and self._look()

    def put(
        self, entry: Entry, *, may_wait: bool = False, never_wakes: bool = False
    ) -> bool | None:
        """Queue an entry or count it as dropped, and return whether to wake a worker.

        An entry that `never_wakes` makes no batch due, and no other entry is dropped for it.
        Returns None, and queues nothing, if there is no room and the entry `never_wakes`, or its
        caller `may_wait` and it can fit later.
        """
        size, _ = self._queue.weigh(entry)
        with self.lock:
            if self._contents.rejected_as is not None:
                self._contents.count_rejected()
                return False
            if self._under_way.locked():
                self._append(entry)
                return True
            if never_wakes or may_wait:
                self._catch_up(weigh=True)
                fits = self._contents.fits(size)
                if not fits and (never_wakes or size <= self._limits.max_bytes):
                    self.wake_ups.is_room_wanted |= may_wait
                    return None
            if never_wakes:
                self._contents.add_never_waking()
            self._append(entry)
            return self._look(weigh=True)

    def drop(self, cause: str) -> bool:
        """Count a record that never became an entry as dropped; return whether to wake a worker."""
        with self.lock:
            if self._contents.rejected_as is not None:
                self._contents.count_rejected()
                return False
            self.ledger.drop(cause, never_taken=1)
            return self._look()

    def count_rejected(self) -> None:
        """Count a record that came after `reject_from_now`, without reporting it."""
        with self.lock:
            self._contents.count_rejected()

    def reject_from_now(self, cause: str) -> None:
        """Drop all further records, with this cause.

        A light entry that comes at the same moment may still be queued.
        """
        with self.lock:
            self._contents.rejected_as = cause
            self._notify()

    def begin_throttle(self, seconds: float) -> float:
        """The most seconds that a caller waits after it put an entry into a congested queue."""
        with self.lock:
            seconds = self.wake_ups.backpressure.begin_throttle(time.monotonic(), seconds)
            self._catch_up(replan=True)
            return seconds

    def end_throttle(self) -> None:
        """Note that the caller has waited."""
        with self.lock:
            self.wake_ups.backpressure.end_throttle(time.monotonic(), len(self._entries))
            self._catch_up(replan=True)

    def backlog(self) -> Backlog:
        """The entries that wait now."""
        with self.lock:
            self._catch_up()
            wake_ups, latest = self.wake_ups, self._latest_flush
            reasons = wake_ups.reasons()
            return Backlog(
                records=len(self._entries),
                full_batch=reasons & BATCH != 0,
                pressing=wake_ups.is_room_wanted or reasons & LARGE != 0 or wake_ups.is_congested,
                since=self._contents.since if self._entries else math.inf,
                flushing=latest is not None and not self._contents.has_left(latest),
            )

    def take(self, most: int) -> list[Entry]:
        """Take at most this many entries to send; they stay pending until they are settled.

        The weight of heavy entries still counts towards the bound. That of light ones does not,
        until `resize_taken` gives the size of their frames.
        """
        with self.lock:
            self._catch_up()
            with self._uninterrupted():
                taken = self._contents.take(most)
            self.wake_ups.taken()
            self._catch_up(replan=True)
        return taken

    def resize_taken(self, size: int, *, returned: Sequence[Entry] = ()) -> None:
        """Put the last of the taken entries back, in order; the others now use this many bytes."""
        contents = self._contents
        with self.lock:
            if not contents.in_transit:
                # The entries were abandoned meanwhile.
                return
            if returned:
                with self._uninterrupted():
                    contents.put_back(returned)
                self.wake_ups.put_back()
            contents.in_transit_bytes = size if contents.in_transit else 0
            if contents.must_shrink:
                self._shrink()
            self._catch_up(replan=True)

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
            through: Whether these are the last of their batch, so that all before have left too.
        """
        with self.lock:
            records = delivered + dropped
            if not self._contents.settle(records, recovered=recovered, through=through):
                # The records were abandoned meanwhile, or the batch was only a drop notice.
                return
            self.ledger.delivered += delivered
            if dropped:
                self.ledger.drop(cause, dropped)
            self.wake_ups.settled()
            self._catch_up(replan=True)
            self._notify()

    def count_recovered(self, records: int) -> None:
        """Count records on disk as accepted; they come before all others."""
        with self.lock:
            self._contents.recovered += records
            self._contents.recovered_left += records

    @property
    def recovered(self) -> int:
        """The number of records accepted from disk."""
        return self._contents.recovered

    def abandon(self, cause: str, *, unwritten: int | None = None) -> int:
        """Drop all remaining records for good; return how many.

        The request in progress is not waited for. If the taken records are on disk, they stay
        there, except for the number that is `unwritten`.
        """
        with self.lock:
            left = self._contents.abandon(cause, unwritten)
            self._catch_up(replan=True)
            self._notify()
            return left

    def fill_ratio(self) -> float:
        """The share of its memory in use, from 0 to 1."""
        with self.lock:
            self._catch_up(weigh=True)
            held = self._queue.weighed_bytes + self._contents.in_transit_bytes
            return held / self._limits.max_bytes

    def claim_drops(self) -> dict[str, int]:
        """Return all drops to report, by cause; from now on they count as reported."""
        with self.lock:
            self.wake_ups.claimed_drops()
            return self.ledger.claim_drops()

    def begin_flush(self) -> FlushMark:
        """Begin a flush of all queued entries. Pass the mark to `is_flushed`, then `end_flush`."""
        mark = FlushMark()
        with self.lock, self._uninterrupted():
            self._queue.add_mark(mark)
            if self._latest_flush is None:
                self._latest_flush = FlushMark()
                self._queue.add_mark(self._latest_flush)
            # An interruption may have begun a later flush.
            self._latest_flush.place = max(self._latest_flush.place, mark.place)
        return mark

    def is_flushed(self, mark: FlushMark) -> bool:
        """Whether all entries queued before the mark, and all records on disk, have left."""
        with self.lock:
            return not self._contents.recovered_left and self._contents.has_left(mark)

    def end_flush(self, mark: FlushMark) -> None:
        """Forget the mark."""
        with self.lock:
            self._queue.remove_mark(mark)

    def shrink(self) -> None:
        """Drop the oldest entries until no more bytes are used than are allowed now."""
        with self.lock:
            self._shrink()
        if self._on_reclaimed is not None and self.ledger.has_unreported:
            self._on_reclaimed()

    def wait_for_room(self, size: int, seconds: float) -> None:
        """Wait until an entry of this size fits or is rejected, or until the time is over."""
        with self.lock:
            if self._changed is None:
                self._changed = threading.Condition(self.lock)
            self._changed.wait_for(lambda: self._contents.is_over_or_fits(size), seconds)

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self.lock:
            self._catch_up()
            return self._contents.counts()

    def _look(self, *, weigh: bool = False) -> bool:
        """Process the appended entries, and return whether to wake a worker."""
        with self.lock:
            if self._under_way.locked():
                # The interrupted operation processes the entry, but perhaps wakes no worker.
                return True
            self._catch_up(weigh=weigh)
            return self.wake_ups.look() or self._contents.has_reclaimed

    # The caller of a method below holds the lock.

    def _uninterrupted(self) -> AbstractContextManager[object]:
        """While it is held, an entry logged by an interruption is only appended."""
        return nullcontext() if self._under_way.locked() else self._under_way

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _catch_up(self, *, weigh: bool = False, replan: bool = False) -> None:
        """Process the appended entries, and plan the next look if it may have changed."""
        if self._under_way.locked():
            return
        wake_ups = self.wake_ups
        with self._under_way:
            has_changed = self._contents.catch_up(
                weigh=weigh, knows_batch=wake_ups.woken_for & BATCH != 0
            )
        if has_changed or replan:
            wake_ups.plan_look()

    def _shrink(self) -> None:
        if self._under_way.locked():
            # The interrupted operation processes it with the next entry.
            return
        self._catch_up(weigh=True)
        with self._under_way:
            self._contents.make_room(0)
        self._catch_up(replan=True)
