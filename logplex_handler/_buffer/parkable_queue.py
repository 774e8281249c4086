"""A queue that can be kept as a tuple while its stream waits in a long line."""

from __future__ import annotations

import math
from typing import TypeAlias

from logplex_handler._buffer.bounded_queue import NO_DROPS
from logplex_handler._buffer.first_entries import Owner
from logplex_handler._buffer.waking_queue import FIRST, WakingQueue
from logplex_handler._wire.entry import Entry

# What is kept of a queue: the bytes that its entries may use, when the first one came, and these.
ParkedEntries: TypeAlias = tuple[int, float, tuple[Entry, ...]]

# The most entries of a queue that is kept as a tuple.
_MOST = 8


class ParkableQueue(WakingQueue):
    """A waking queue that becomes a tuple, and another queue later."""

    __slots__ = ()

    def park(self) -> ParkedEntries | None:
        """Return what is to be kept, or None if there is more than a few entries.

        The owner holds the lock. The queue keeps its entries, too, since a caller may still have
        it: the next entry there wakes a worker. Its bytes stay allotted to what is kept.
        """
        pool = self._pool
        self._catch_up(weigh=True)
        if (
            pool is None
            or self.weighed < self.queued
            or self.since == math.inf
            or not 0 < self.queued <= _MOST
            or self.taken
            or self.recovered
            or self.ledger is not NO_DROPS
            or self.backpressure is not None
            or self._latest_flush is not None
            or self._is_room_wanted
            or self._never_waking
            or self._rejected_as is not None
            or not pool.park(self, self.weighed_bytes)
        ):
            return None
        # First, so that an entry that is appended meanwhile is kept or wakes a worker.
        self.woken_for = self.look_at = 0
        return self.allowed, self.since, tuple(self.entries[self.gone :])

    def _catch_up(self, *, weigh: bool = False, replan: bool = False) -> None:
        """Process the appended entries; `Accumulator` does."""
        raise NotImplementedError

    def take_up(self, owner: Owner) -> None:
        """Have an owner again, since it is used after all."""
        if self._pool is not None and self.owner is None:
            self._pool.resume(self)
        self.owner = owner

    def resume(self, kept: ParkedEntries) -> None:
        """Take the entries of another queue, before anybody else has this one."""
        self.allowed, self.since, entries = kept
        # Until `take_up`: another one may be used after all.
        self.owner = None
        self.entries += entries
        for entry in entries:
            self._keep_next(*self.weigh(entry))
        self.woken_for = FIRST
        self._plan_look()
