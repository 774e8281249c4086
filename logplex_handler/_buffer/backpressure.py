"""When those who log wait a little for the sender.

A thread that logs without a pause lets no other one have the interpreter but every five
milliseconds, and eight of them every forty; the sender needs it after each thing that it has sent
or received. So where records come faster than they are taken, those who put them stand back
together, for a moment at a time.
"""

from __future__ import annotations

import sys

# Records that only queue up when they come faster than they are taken; so many that they do not;
# and how many more come before anybody stands back again.
_CROWD = 6144
NO_CONGESTION = 1024
_MORE = 256
# Seconds that nobody takes any, after which standing back seems to be of no use: the receiver does
# not answer, perhaps. A disk may be busy for longer, but it answers.
_PATIENCE = 0.03
PATIENCE_WITH_A_DISK = 1.0


class Backpressure:
    """Whether a queue is crowded. Whoever owns it guards it.

    Args:
        patience: Seconds that nobody takes any, after which standing back is of no use.
    """

    __slots__ = ("_left", "_patience", "_until", "at")

    def __init__(self, patience: float = _PATIENCE) -> None:
        # How many are queued when it is.
        self.at = _CROWD
        self._until = 0.0
        self._patience = self._left = patience

    @property
    def has_patience(self) -> bool:
        """Whether standing back may be of use."""
        return self._left > 0

    def begin_throttle(self, now: float, seconds: float) -> float:
        """How long to wait, for one who has met a crowd; who comes meanwhile waits as long."""
        if now >= self._until:
            self._until = now + seconds
            self._left -= seconds
            self.at = NO_CONGESTION
        return self._until - now

    def end_throttle(self, now: float, queued: int) -> None:
        """The wait is over, for one of them at least."""
        if queued >= NO_CONGESTION and now < self._until:
            return
        self.at = max(_CROWD, queued + _MORE) if self._left > 0 else sys.maxsize

    def taken(self, queued: int) -> None:
        """Some were taken, and so many are left."""
        if self._left <= 0:
            self.at = max(_CROWD, queued)
        self._left = self._patience
