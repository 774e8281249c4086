"""One stream's bounded queue: callers put entries in, and a worker takes them out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from logplex_handler._buffer.contents import Contents
from logplex_handler._buffer.due import BATCH
from logplex_handler._buffer.flushes import Flushes
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._buffer.wake_ups import WakeUps
from logplex_handler._buffer.weighed_queue import WeighedQueue
from logplex_handler._wire.entry import Entry, Weigh


class Accumulator:
    """A queue of entries, bounded in bytes. Any thread may call any method.

    Args:
        pool: Memory that several accumulators share. Default: the whole limit is for this one.
        on_reclaimed: Called, without a lock, after entries were dropped for another accumulator.
    """

    __slots__ = (
        "_append", "_changed", "_contents", "_entries", "_limits", "_lock", "_on_reclaimed",
        "_queue", "_under_way", "_wake_ups", "flushes", "ledger",
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
        self._lock = threading.RLock()
        # Held during an operation. An entry logged by an interruption is only appended; the
        # interrupted operation does the rest. A lock rather than a flag, because `with` releases it
        # in C: an exception from a signal handler cannot leave it held.
        self._under_way = threading.Lock()
        # Notified when there may be room; None until a caller waits for room.
        self._changed: threading.Condition | None = None
        self.ledger = Ledger(self._lock)
        self._queue = WeighedQueue(weigh)
        self._entries = self._queue.entries
        self._append = self._entries.append
        self._contents = Contents(limits, pool, self._queue, self.ledger, self.shrink)
        self._wake_ups = WakeUps(limits)
        self.flushes = Flushes(self._lock, self._contents)

    def append(self, entry: Entry) -> bool:
        """Queue a light entry, and return whether to wake a worker.

        Called for every record, so it takes no lock and makes as few calls as possible.
        """
        self._append(entry)
        return len(self._entries) >= self._wake_ups.look_at and self._look()

    def put(
        self, entry: Entry, *, may_wait: bool = False, never_wakes: bool = False
    ) -> bool | None:
        """Queue an entry or count it as dropped, and return whether to wake a worker.

        An entry that `never_wakes` makes no batch due, and no other entry is dropped for it.
        Returns None, and queues nothing, if there is no room and the entry `never_wakes`, or its
        caller `may_wait` and it can fit later.
        """
        size, _ = self._queue.weigh(entry)
        with self._lock:
            if self._contents.rejected_as is not None:
                self._contents.count_rejected()
                return False
            if self._under_way.locked():
                self._append(entry)
                return True
            if never_wakes or may_wait:
                self._see(weigh=True)
                fits = self._contents.fits(size)
                if not fits and (never_wakes or size <= self._limits.max_bytes):
                    self._wake_ups.is_room_wanted |= may_wait
                    return None
            if never_wakes:
                self._contents.linger.add_never_waking()
            self._append(entry)
            return self._look(weigh=True)

    def drop(self, cause: str) -> bool:
        """Count a record that never became an entry as dropped; return whether to wake a worker."""
        with self._lock:
            if self._contents.rejected_as is not None:
                self._contents.count_rejected()
                return False
            self.ledger.drop(cause, never_taken=1)
            return self._look()

    def count_rejected(self) -> None:
        """Count a record that came after `reject_from_now`, without reporting it."""
        with self._lock:
            self._contents.count_rejected()

    def reject_from_now(self, cause: str) -> None:
        """Drop all further records, with this cause.

        A light entry that comes at the same moment may still be queued.
        """
        with self._lock:
            self._contents.rejected_as = cause
            self._notify()

    @property
    def is_congested(self) -> bool:
        """Whether entries come faster than they are taken, and throttling the callers helps."""
        return self._wake_ups.is_congested(len(self._queue))

    def begin_throttle(self, seconds: float) -> float:
        """The most seconds that a caller waits after it put an entry into a congested queue."""
        with self._lock:
            seconds = self._wake_ups.backpressure.begin_throttle(time.monotonic(), seconds)
            self._update()
            return seconds

    def end_throttle(self) -> None:
        """Note that the caller has waited."""
        with self._lock:
            self._wake_ups.backpressure.end_throttle(time.monotonic(), len(self._queue))
            self._update()

    @property
    def is_short_of_room(self) -> bool:
        """Whether half of the room was in use when a worker was last woken."""
        return self._wake_ups.is_short_of_room

    @property
    def is_nearly_empty(self) -> bool:
        """Whether throttling can stop."""
        return self._wake_ups.is_nearly_empty(len(self._queue))

    def backlog(self) -> Backlog:
        """The entries that wait now."""
        with self._lock:
            self._see()
            now = self._contents.snapshot()
            reasons = self._wake_ups.reasons(now)
            return Backlog(
                records=now.entries,
                full_batch=reasons & BATCH != 0,
                pressing=self._wake_ups.is_pressing(reasons, now.entries),
                since=self._contents.linger.since if now.entries else math.inf,
                flushing=self.flushes.is_wanted,
            )

    def take(self, most: int) -> list[Entry]:
        """Take at most this many entries to send; they stay pending until they are settled.

        The weight of heavy entries still counts towards the bound. That of light ones does not,
        until `keep` gives the size of their frames.
        """
        with self._lock:
            self._catch_up()
            with self._uninterrupted():
                taken = self._contents.take(most)
            self._catch_up()
            self._wake_ups.taken(self._contents.snapshot())
        return taken

    def keep(self, size: int, *, back: Sequence[Entry] = ()) -> None:
        """Put the last of the taken entries back, in order; the others now use this many bytes."""
        with self._lock:
            in_transit = self._contents.in_transit
            if not in_transit.records:
                # The entries were abandoned meanwhile.
                return
            if back:
                with self._uninterrupted():
                    self._contents.put_back(back)
                self._wake_ups.put_back()
            in_transit.held_bytes = size if in_transit.records else 0
            if self._contents.must_shrink:
                self._shrink()
            self._update()

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
            recovered: Whether a dead process left these records.
            through: Whether these are the last of their batch, so that all before have left too.
        """
        with self._lock:
            in_transit = self._contents.in_transit
            if not in_transit.settle(delivered + dropped, recovered=recovered, through=through):
                # The records were abandoned meanwhile, or the batch was only a drop notice.
                return
            self.ledger.delivered += delivered
            if dropped:
                self.ledger.drop(cause, dropped)
            self._catch_up()
            self._wake_ups.settled(self._contents.snapshot())
            self._notify()

    def recover(self, records: int) -> None:
        """Accept records from disk; they come before all others."""
        with self._lock:
            self._contents.in_transit.recover(records)

    def recovered(self) -> int:
        """The number of records accepted from disk."""
        return self._contents.in_transit.recovered

    def abandon(self, cause: str, *, unwritten: int | None = None) -> int:
        """Drop all remaining records for good; return how many.

        The request in progress is not waited for. If the taken records are on disk, they stay
        there, except for the number that is `unwritten`.
        """
        with self._lock:
            left = self._contents.abandon(cause, unwritten)
            self._update()
            self._notify()
            return left

    def fill_ratio(self) -> float:
        """The share of its memory in use, from 0 to 1."""
        with self._lock:
            self._see(weigh=True)
            now = self._contents.snapshot()
            return (now.weighed_bytes + now.in_transit_bytes) / self._limits.max_bytes

    def report_drops(self) -> dict[str, int]:
        """Return all drops to report, by cause; from now on they count as reported."""
        with self._lock:
            self._wake_ups.drops_reported()
            return self.ledger.report_drops()

    def shrink(self) -> None:
        """Drop the oldest entries until no more bytes are used than are allowed now."""
        with self._lock:
            self._shrink()
        if self._on_reclaimed is not None and self.ledger.has_unreported:
            self._on_reclaimed()

    def wait_for_room(self, size: int, seconds: float) -> None:
        """Wait until an entry of this size fits or is rejected, or until the time is over."""
        with self._lock:
            if self._changed is None:
                self._changed = threading.Condition(self._lock)
            self._changed.wait_for(lambda: self._contents.is_over_or_fits(size), seconds)

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self._lock:
            self._see()
            return self._contents.counts()

    def _look(self, *, weigh: bool = False) -> bool:
        """Process the appended entries, and return whether to wake a worker."""
        with self._lock:
            if self._under_way.locked():
                # The interrupted operation processes the entry, but perhaps wakes no worker.
                return True
            self._catch_up(weigh=weigh)
            is_due = self._wake_ups.look(self._contents.snapshot())
            return is_due or self._contents.has_reclaimed

    # The caller of a method below holds the lock.

    def _uninterrupted(self) -> AbstractContextManager[object]:
        """While it is held, an entry logged by an interruption is only appended."""
        return nullcontext() if self._under_way.locked() else self._under_way

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _see(self, *, weigh: bool = False) -> None:
        """Process the appended entries for a reader, without deciding about waking."""
        if self._catch_up(weigh=weigh):
            self._wake_ups.predict(self._contents.snapshot())

    def _update(self) -> None:
        """Process changes and appended entries, without deciding about waking."""
        self._catch_up()
        if not self._under_way.locked():
            self._wake_ups.predict(self._contents.snapshot())

    def _catch_up(self, *, weigh: bool = False) -> bool:
        """Process the appended entries; whether `look_at` is to be predicted anew."""
        if self._under_way.locked():
            return False
        with self._under_way:
            return self._contents.catch_up(self._wake_ups.reported, weigh=weigh)

    def _shrink(self) -> None:
        if self._under_way.locked():
            # The interrupted operation processes it with the next entry.
            return
        self._catch_up(weigh=True)
        with self._under_way:
            self._contents.make_room(0)
        self._update()
