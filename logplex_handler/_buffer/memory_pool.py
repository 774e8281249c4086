"""Memory that the accumulators of all streams share.

One that holds much gives way to one that holds less: a customer's outage does not eat the others'
memory.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Protocol

# A holder gets this share of what is left beyond what it needs, so that it asks seldom.
_SHARE = 64
# Where no holder can give way, this part of all is kept for those that hold little; and what is
# little.
_KEPT = 4
_LITTLE = 256
# When less than this part of all is left, memory is scarce: even holders that may have only half of
# what is left have room then.
_SCARCE = 3 / 4
# Seconds to wait for the lock at most; then it is as if nothing were left.
_PATIENCE = 0.05
# Of the holders that may hold most, how many are asked to give way at a time.
_TRIES = 8


class Holder(Protocol):
    """What may hold as many bytes as are allowed.

    Attributes:
        allowed: Bytes that it may hold now.
        shrink: Drops what is more, if less is allowed than before.
    """

    allowed: int
    shrink: Callable[[], None]

    @property
    def in_flight(self) -> int:
        """How many of them it is sending, and so cannot do without."""


class MemoryPool:
    """Bytes that are shared out among holders, never more than there are.

    Args:
        max_bytes: How many there are.
        may_reclaim: Whether a holder can give way. Otherwise none gets more than half of what is
            left, and something is kept for those that hold little.
    """

    def __init__(self, max_bytes: int, *, may_reclaim: bool) -> None:
        self._max_bytes = max_bytes
        self._may_reclaim = may_reclaim
        # Guards all below, and each holder's `allowed`. It is taken under an accumulator's lock,
        # and nothing is called under it. But what runs there may be interrupted by a signal or a
        # garbage collection that logs, and so wants another accumulator's lock, whose owner waits
        # for this one: so no thread waits for it long.
        self._lock = threading.RLock()
        self._left = max_bytes
        # How many holders have something, and these by how much that is, the most first; items that
        # are not what their holder is allowed are of no use any more.
        self._holders = 0
        self._most: list[tuple[int, int, Holder]] = []
        self._numbers = itertools.count()
        self._to_shrink: set[Holder] = set()

    def reserve(self, holder: Holder, needed: int) -> None:
        """Allow a holder so many bytes if that can be, at the cost of the one that may hold most.

        It may be allowed some more, or no more than before.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            more = needed - holder.allowed
            if not self._may_reclaim:
                if self._may_have(holder, needed):
                    self._allow(holder, more)
            elif more <= self._left:
                self._allow(holder, max(more, self._left // _SHARE))
            else:
                self._reclaim(holder, needed)
        finally:
            self._lock.release()

    def _may_have(self, holder: Holder, needed: int) -> bool:
        left = self._left - (needed - holder.allowed)
        if needed <= self._max_bytes // _LITTLE:
            return left >= 0
        return needed <= left - self._max_bytes // _KEPT

    def _reclaim(self, holder: Holder, needed: int) -> None:
        """Take what is needed from one that may hold most, if that leaves it as much."""
        passed = []
        for _ in range(_TRIES):
            largest = self._largest()
            if largest is None:
                break
            passed.append(largest)
            more = needed - holder.allowed
            spare = largest.allowed - max(needed, largest.in_flight)
            if largest is not holder and spare >= more:
                self._allow(largest, -more)
                self._to_shrink.add(largest)
                self._allow(holder, more)
                break
        for one in passed:
            self._note(one)

    def _allow(self, holder: Holder, more: int) -> None:
        self._left -= more
        self._holders += not holder.allowed
        holder.allowed += more
        self._holders -= not holder.allowed
        self._note(holder)

    def _note(self, holder: Holder) -> None:
        if self._may_reclaim and holder.allowed:
            heapq.heappush(self._most, (-holder.allowed, next(self._numbers), holder))
            if len(self._most) > 64 + 4 * self._holders:
                valid = {item[2]: item for item in self._most if -item[0] == item[2].allowed}
                self._most = list(valid.values())
                heapq.heapify(self._most)

    def _largest(self) -> Holder | None:
        while self._most:
            allowed, _, holder = heapq.heappop(self._most)
            if -allowed == holder.allowed:
                return holder
        return None

    def release(self, holder: Holder, kept: int) -> None:
        """A holder needs no more than this. To be called again, as a call may do nothing."""
        if holder.allowed > kept and self._lock.acquire(timeout=_PATIENCE):
            try:
                self._allow(holder, min(0, kept - holder.allowed))
            finally:
                self._lock.release()

    @property
    def is_scarce(self) -> bool:
        """Whether no holder should have more than it needs."""
        return self._left < self._max_bytes * _SCARCE

    @property
    def has_reclaimed(self) -> bool:
        """Whether `shrink_holders` is to be called."""
        return bool(self._to_shrink)

    def shrink_holders(self) -> None:
        """Have the holders shrink that are allowed less since this was last called.

        Not to be called under a lock.
        """
        if self._to_shrink and self._lock.acquire(timeout=_PATIENCE):
            try:
                to_shrink, self._to_shrink = self._to_shrink, set()
            finally:
                self._lock.release()
            for holder in to_shrink:
                holder.shrink()
