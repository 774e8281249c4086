"""Memory that the accumulators of all streams share.

If memory runs out, the accumulator that uses the most drops entries, so that one customer's outage
does not use up the memory of the others.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logplex_handler._buffer.bounded_queue import BoundedQueue

# A holder also gets 1/64 of the remaining bytes, so that it rarely asks again.
_SHARE = 64
# If no holder can give way, 1/4 of all bytes is reserved for holders that use little, which is at
# most 1/256 of all.
_KEPT = 4
_LITTLE = 256
# Memory is scarce if less than this share of all bytes is left. Even holders that may take only
# half of the rest still have room then.
_SCARCE = 3 / 4
# The longest wait for the lock, in seconds. After it, the pool acts as if no bytes were left.
_PATIENCE = 0.05
# How many holders are asked to give way at a time, beginning with the one that may use most.
_TRIES = 8


class MemoryPool:
    """A number of bytes, which are allotted to holders.

    Args:
        max_bytes: The total.
        may_reclaim: Whether a holder can give way. If not, no holder gets more than half of the
            remaining bytes, and some are reserved for holders that use little.
    """

    def __init__(self, max_bytes: int, *, may_reclaim: bool) -> None:
        self._max_bytes = max_bytes
        self._may_reclaim = may_reclaim
        # Guards `_left`, `_holders`, `_most`, `_to_shrink` and each holder's `allowed`. It is
        # acquired under an accumulator's lock, and nothing is called while it is held. A signal
        # handler or a garbage collection may still interrupt its holder and log. That needs another
        # accumulator's lock, whose owner may wait for this one. Therefore no thread waits for this
        # lock for long.
        self._lock = threading.RLock()
        self._left = max_bytes
        # The number of holders with bytes, and a heap of them, the largest first; an item whose
        # number differs from its holder's `allowed` is outdated.
        self._holders = 0
        self._most: list[tuple[int, int, BoundedQueue]] = []
        self._numbers = itertools.count()
        self._to_shrink: set[BoundedQueue] = set()

    def reserve(self, holder: BoundedQueue, needed: int) -> None:
        """Let a holder use `needed` bytes, perhaps at the expense of the one that may use most.

        The holder may get some more, or no more than before.
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

    def _may_have(self, holder: BoundedQueue, needed: int) -> bool:
        left = self._left - (needed - holder.allowed)
        if needed <= self._max_bytes // _LITTLE:
            return left >= 0
        return needed <= left - self._max_bytes // _KEPT

    def _reclaim(self, holder: BoundedQueue, needed: int) -> None:
        """Take the missing bytes from a holder that may use most, if it keeps at least as many."""
        passed = []
        for _ in range(_TRIES):
            largest = self._largest()
            if largest is None:
                break
            passed.append(largest)
            more = needed - holder.allowed
            spare = largest.allowed - max(needed, largest.in_transit_bytes)
            if largest is not holder and spare >= more:
                self._allow(largest, -more)
                self._to_shrink.add(largest)
                self._allow(holder, more)
                break
        for one in passed:
            self._note(one)

    def _allow(self, holder: BoundedQueue, more: int) -> None:
        self._left -= more
        self._holders += not holder.allowed
        holder.allowed += more
        self._holders -= not holder.allowed
        self._note(holder)

    def _note(self, holder: BoundedQueue) -> None:
        if self._may_reclaim and holder.allowed:
            heapq.heappush(self._most, (-holder.allowed, next(self._numbers), holder))
            if len(self._most) > 64 + 4 * self._holders:
                valid = {item[2]: item for item in self._most if -item[0] == item[2].allowed}
                self._most = list(valid.values())
                heapq.heapify(self._most)

    def _largest(self) -> BoundedQueue | None:
        while self._most:
            allowed, _, holder = heapq.heappop(self._most)
            if -allowed == holder.allowed:
                return holder
        return None

    def release(self, holder: BoundedQueue, kept: int) -> None:
        """Take back the bytes above `kept`. A call may do nothing, so repeat it later."""
        if holder.allowed > kept and self._lock.acquire(timeout=_PATIENCE):
            try:
                self._allow(holder, min(0, kept - holder.allowed))
            finally:
                self._lock.release()

    @property
    def is_scarce(self) -> bool:
        """Whether holders should return the bytes that they do not need."""
        return self._left < self._max_bytes * _SCARCE

    @property
    def has_reclaimed(self) -> bool:
        return bool(self._to_shrink)

    def shrink_holders(self) -> None:
        """Shrink all holders whose bytes were reduced since the last call.

        A holder in use is left to the next call: this caller, or the one that uses the holder, may
        be a signal handler whose interrupted call holds a lock.
        """
        if self._to_shrink and self._lock.acquire(timeout=_PATIENCE):
            try:
                to_shrink, self._to_shrink = self._to_shrink, set()
            finally:
                self._lock.release()
            in_use = {holder for holder in to_shrink if not holder.shrink(_PATIENCE)}
            # A single operation on the set, which needs no lock.
            self._to_shrink.update(in_use)
