"""How much all streams' buffers may hold together, and how much of it each may.

One that holds much gives way to one that holds less: a customer's outage does not eat the others'
memory.
"""

from __future__ import annotations

import threading
from typing import Protocol

# Of what is left, one asks for this share in advance, so as to ask seldom.
_SHARE = 64
# Seconds that one waits for the lock at most; then it is as if there were nothing left.
_PATIENCE = 0.05


class Holder(Protocol):
    """What may hold as many bytes as it says."""

    allowed: int

    def shrink(self) -> None:
        """See to it that no more is held than is allowed now."""


class Memory:
    """Bytes that are shared out among holders, never more than there are.

    Args:
        max_bytes: How many there are.
        may_squeeze: Whether one that holds much can give way. Otherwise nobody gets more than half
            of what nobody has, so that there is always something left for another.
    """

    def __init__(self, max_bytes: int, *, may_squeeze: bool) -> None:
        self._may_squeeze = may_squeeze
        # Guards all below, and each holder's `allowed`. It is taken under a buffer's lock, and
        # nothing is called under it. But what runs there may be interrupted by a signal or a
        # garbage collection that logs, and so wants another buffer's lock, whose owner waits for
        # this one: so nobody waits for it long.
        self._lock = threading.RLock()
        self._left = max_bytes
        self._holders: set[Holder] = set()
        self._squeezed: set[Holder] = set()

    def ask(self, holder: Holder, needed: int) -> None:
        """Let it hold so many bytes if that can be: at the cost of the one that may hold most.

        Or some more, or no more than before.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            self._ask(holder, needed)
        finally:
            self._lock.release()

    def _ask(self, holder: Holder, needed: int) -> None:
        more = needed - holder.allowed
        if not self._may_squeeze:
            if needed > self._left + holder.allowed - needed:
                return
            self._left -= more
        elif more <= self._left:
            more = max(more, self._left // _SHARE)
            self._left -= more
        else:
            # A copy: who interrupts this may add one.
            largest = max(list(self._holders), key=_allowed, default=holder)
            more = needed - holder.allowed
            if largest.allowed - more < needed:
                return
            largest.allowed -= more
            self._squeezed.add(largest)
        holder.allowed += more
        self._holders.add(holder)

    def give_back(self, holder: Holder, kept: int) -> None:
        """It needs no more than this. To be called again, as it may come to nothing once."""
        if holder.allowed <= kept or not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            self._left += max(0, holder.allowed - kept)
            holder.allowed = min(kept, holder.allowed)
            if not holder.allowed:
                self._holders.discard(holder)
        finally:
            self._lock.release()

    @property
    def is_squeezed(self) -> bool:
        """Whether there is something to `relieve`."""
        return bool(self._squeezed)

    def relieve(self) -> None:
        """Have those shrink that may hold less since this was last called.

        Not to be called under a lock.
        """
        if self._squeezed and self._lock.acquire(timeout=_PATIENCE):
            try:
                squeezed, self._squeezed = self._squeezed, set()
            finally:
                self._lock.release()
            for holder in squeezed:
                holder.shrink()


def _allowed(holder: Holder) -> int:
    return holder.allowed
