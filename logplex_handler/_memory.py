"""How much all streams' buffers may hold together, and how much of it each may.

One that holds much gives way to one that holds less: a customer's outage does not eat the others'
memory.
"""

from __future__ import annotations

import threading
from typing import Protocol

# Of what is left, one asks for this share in advance, so as to ask seldom.
_SHARE = 64


class Holder(Protocol):
    """What may hold as many bytes as it says."""

    allowed: int

    def shrink(self) -> None:
        """See to it that no more is held than is allowed now."""


class Memory:
    """Bytes that are shared out among holders, never more than there are.

    What a holder is sending just now cannot give way: by so much more may be held for a while.

    Args:
        max_bytes: How many there are.
        may_squeeze: Whether one that holds much can give way. Otherwise nobody gets more than half
            of what nobody has, so that there is always something left for another.
    """

    def __init__(self, max_bytes: int, *, may_squeeze: bool) -> None:
        self._may_squeeze = may_squeeze
        # Guards all below, and each holder's `allowed`. It is taken under a buffer's lock, and
        # nothing is called under it.
        self._lock = threading.RLock()
        self._left = max_bytes
        self._holders: set[Holder] = set()
        self._squeezed: set[Holder] = set()

    def ask(self, holder: Holder, needed: int) -> None:
        """Let it hold so many bytes if that can be: at the cost of the one that may hold most.

        Or some more, or no more than before.
        """
        with self._lock:
            more = needed - holder.allowed
            if not self._may_squeeze:
                if needed > self._left + holder.allowed - needed:
                    return
                self._left -= more
            elif more <= self._left:
                more = max(more, self._left // _SHARE)
                self._left -= more
            else:
                largest = max(self._holders, key=_allowed, default=holder)
                if largest.allowed - more < needed:
                    return
                largest.allowed -= more
                self._squeezed.add(largest)
            holder.allowed += more
            self._holders.add(holder)

    def give_back(self, holder: Holder, kept: int) -> None:
        """It needs no more than this."""
        with self._lock:
            self._left += max(0, holder.allowed - kept)
            holder.allowed = min(kept, holder.allowed)
            if not holder.allowed:
                self._holders.discard(holder)

    @property
    def is_squeezed(self) -> bool:
        """Whether there is something to `relieve`."""
        return bool(self._squeezed)

    def relieve(self) -> None:
        """Have those shrink that may hold less since this was last called.

        Not to be called under a lock.
        """
        if self._squeezed:
            with self._lock:
                squeezed, self._squeezed = self._squeezed, set()
            for holder in squeezed:
                holder.shrink()


def _allowed(holder: Holder) -> int:
    return holder.allowed
