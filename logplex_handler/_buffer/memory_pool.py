"""Memory that the accumulators of all streams share.

If memory runs out, the accumulator that uses the most drops entries, so that one customer's outage
does not use up the memory of the others.
"""

from __future__ import annotations

import heapq
import threading
from itertools import cycle
from typing import TYPE_CHECKING

from logplex_handler._process.reentrancy import holding

if TYPE_CHECKING:
    from logplex_handler._buffer.bounded_queue import BoundedQueue
    from logplex_handler._buffer.first_entries import FirstEntries

# A holder also gets 1/64 of the remaining bytes, so that it rarely asks again; less if there are
# many holders, so that the first ones leave something to the others.
_SHARE = 64
_SHARES_OF_A_HOLDER = 4
# If no holder can give way, 1/4 of all bytes is reserved for holders that use little, which is at
# most 1/256 of all. In any case, it is not given in advance to holders that weigh nothing.
_KEPT = 4
_LITTLE = 256
# Memory is scarce if less than this share of all bytes is left. Even holders that may take only
# half of the rest still have room then.
_SCARCE = 3 / 4
# The longest wait for the lock, in seconds. After it, the pool acts as if no bytes were left.
_PATIENCE = 0.05
# How many holders are asked to give way at a time, beginning with the one that may use most.
_TRIES = 8
# The locks that all holders share: with so many, threads that use different holders rarely wait for
# each other. With locks of its own, each of 50,000 holders would be two objects more for every
# garbage collection.
_LOCKS = 64


def new_locks() -> tuple[threading.RLock, threading.Lock]:
    """Return the locks of one accumulator, or of several. `Accumulator` says what they guard."""
    return threading.RLock(), threading.Lock()


class MemoryPool:
    """A number of bytes, which are allotted to holders.

    Args:
        max_bytes: The total.
        may_reclaim: Whether a holder can give way. If not, no holder gets more than half of the
            remaining bytes, and some are reserved for holders that use little.
        first_entries: Has workers reserve memory for first entries, in place of callers.

    Attributes:
        to_shrink: Holders whose bytes were reduced since the last call of `shrink_holders`.
        locks: The locks of the next holders, without an end.
    """

    def __init__(
        self, max_bytes: int, *, may_reclaim: bool, first_entries: FirstEntries | None = None
    ) -> None:
        self.first_entries = first_entries
        self._max_bytes = max_bytes
        self._may_reclaim = may_reclaim
        # Guards `_left`, `_holders`, `_most`, `to_shrink` and each holder's `allowed`. It is
        # acquired under an accumulator's lock, and nothing is called while it is held. A signal
        # handler or a garbage collection may still interrupt its holder and log. That needs another
        # accumulator's lock, whose owner may wait for this one. Therefore no thread waits for this
        # lock for long.
        self._lock = threading.RLock()
        self._left = max_bytes - (0 if first_entries is None else first_entries.kept_bytes)
        # The first holder gets 1/64 of all bytes.
        self._shares = _SHARE * self._left // max_bytes
        # The holders with bytes by their `id`, and a heap of them, the largest first; an item whose
        # bytes differ from its holder's `allowed` is outdated. The heap has numbers only, so that
        # garbage collections leave its items out.
        self._holders: dict[int, BoundedQueue] = {}
        self._most: list[tuple[int, int]] = []
        self.to_shrink: set[BoundedQueue] = set()
        # The locks that holders get in turn.
        self.locks = cycle([new_locks() for _ in range(_LOCKS)])

    def reserve(self, holder: BoundedQueue, needed: int) -> None:
        """Let a holder use `needed` bytes, perhaps at the expense of the one that may use most.

        The holder may get some more, or no more than before.
        """
        holding(self._lock, _PATIENCE, self._reserve, holder, needed)

    def _reserve(self, holder: BoundedQueue, needed: int) -> None:
        more = needed - holder.allowed
        if not self._may_reclaim:
            if self._may_have(holder, needed):
                self._allow(holder, more)
        elif more <= self._left:
            shares = max(self._shares, _SHARES_OF_A_HOLDER * len(self._holders))
            self._allow(holder, max(more, self._left // shares))
        else:
            self._reclaim(holder, needed)

    def reserve_exactly(self, holder: BoundedQueue, needed: int) -> None:
        """Let a holder use `needed` bytes and no more, at nobody's expense, unless few are left."""
        if needed <= self._left - self._max_bytes // _KEPT:
            holding(self._lock, _PATIENCE, self._reserve_exactly, holder, needed)

    def _reserve_exactly(self, holder: BoundedQueue, needed: int) -> None:
        if holder.allowed < needed <= self._left:
            self._allow(holder, needed - holder.allowed)

    def _may_have(self, holder: BoundedQueue, needed: int) -> bool:
        left = self._left - (needed - holder.allowed)
        if needed <= self._max_bytes // _LITTLE:
            return left >= 0
        return needed <= left - self._max_bytes // _KEPT

    def _reclaim(self, holder: BoundedQueue, needed: int) -> None:
        """Take the missing bytes from a holder that may use most, if it keeps at least as many."""
        passed = []
        more = needed - holder.allowed
        for _ in range(_TRIES):
            largest = self._largest()
            if largest is None:
                break
            passed.append(largest)
            if largest.allowed - needed < more:
                # Nor can the others, which may use less: if all use the same, none gives way.
                break
            spare = largest.allowed - max(needed, largest.in_transit_bytes)
            if largest is not holder and spare >= more:
                self._allow(largest, -more)
                self.to_shrink.add(largest)
                self._allow(holder, more)
                break
        for one in passed:
            self._note(one)

    def _allow(self, holder: BoundedQueue, more: int) -> None:
        self._left -= more
        holder.allowed += more
        if holder.allowed:
            self._holders[id(holder)] = holder
        else:
            self._holders.pop(id(holder), None)
        self._note(holder)

    def _note(self, holder: BoundedQueue) -> None:
        if self._may_reclaim and holder.allowed:
            heapq.heappush(self._most, (-holder.allowed, id(holder)))
            if len(self._most) > 64 + 4 * len(self._holders):
                # Of a copy, because a garbage collection may log, and so add a holder.
                most = [(-one.allowed, id(one)) for one in list(self._holders.values())]
                heapq.heapify(most)
                self._most = most

    def _largest(self) -> BoundedQueue | None:
        while self._most:
            allowed, key = heapq.heappop(self._most)
            holder = self._holders.get(key)
            if holder is not None and -allowed == holder.allowed:
                return holder
        return None

    def release(self, holder: BoundedQueue, kept: int) -> None:
        """Take back the bytes above `kept`. A call may do nothing, so repeat it later."""
        if holder.allowed > kept:
            holding(self._lock, _PATIENCE, self._release, holder, kept)

    def _release(self, holder: BoundedQueue, kept: int) -> None:
        self._allow(holder, min(0, kept - holder.allowed))

    def park(self, holder: BoundedQueue, needed: int) -> bool:
        """Forget a holder, for which `needed` bytes stay allotted until another one has them.

        Returns:
            False, if there are not as many, or the lock is in use.
        """
        done: list[bool] = []
        return holding(self._lock, _PATIENCE, self._park, holder, needed, done) and bool(done)

    def _park(self, holder: BoundedQueue, needed: int, done: list[bool]) -> None:
        if needed - holder.allowed <= self._left:
            self._allow(holder, needed - holder.allowed)
            self._holders.pop(id(holder), None)
            done.append(True)

    def resume(self, holder: BoundedQueue) -> None:
        """Have a holder again, whose bytes were allotted to it, or to a parked one, before."""
        holding(self._lock, _PATIENCE, self._allow, holder, 0)

    @property
    def is_scarce(self) -> bool:
        """Whether holders should return the bytes that they do not need."""
        return self._left < self._max_bytes * _SCARCE

    def shrink_holders(self) -> None:
        """Shrink all holders whose bytes were reduced since the last call.

        A holder in use is left to the next call: this caller, or the one that uses the holder, may
        be a signal handler whose interrupted call holds a lock.
        """
        to_shrink: set[BoundedQueue] = set()
        if self.to_shrink and holding(self._lock, _PATIENCE, self._take_to_shrink, to_shrink):
            in_use = {holder for holder in to_shrink if not holder.shrink(_PATIENCE)}
            # A single operation on the set, which needs no lock.
            self.to_shrink.update(in_use)

    def _take_to_shrink(self, taken: set[BoundedQueue]) -> None:
        taken |= self.to_shrink
        self.to_shrink = set()
