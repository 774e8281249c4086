"""When callers wait a little for the worker.

A thread that logs without a pause lets no other one have the interpreter but every five
milliseconds, and eight of them every forty; the worker needs it after each thing that it has sent
or received. So where entries come faster than they are taken, their callers are throttled: they
wait together, for a moment at a time.
"""

from __future__ import annotations

import sys

# Entries that only queue up when they come faster than they are taken; so many that they do not;
# and how many more come before callers are throttled again.
_CONGESTED = 6144
NO_CONGESTION = 1024
_MORE = 256
# Seconds of throttling without a take, after which it seems to be of no use: the receiver does not
# answer, perhaps. A disk may be busy for longer, but it answers.
_PATIENCE = 0.03
PATIENCE_WITH_A_DISK = 1.0


class Backpressure:
    """Whether a queue is congested, and how long callers wait then. The owner guards it.

    Args:
        patience: Seconds of throttling without a take, after which it is of no use.

    Attributes:
        congested_at: How many entries are queued when it is.
    """

    __slots__ = ("_left", "_patience", "_until", "congested_at")

    def __init__(self, patience: float = _PATIENCE) -> None:
        self.congested_at = _CONGESTED
        # When the current wait ends, on the monotonic clock.
        self._until = 0.0
        self._patience = self._left = patience

    @property
    def has_patience(self) -> bool:
        """Whether throttling may be of use."""
        return self._left > 0

    def begin_throttle(self, now: float, seconds: float) -> float:
        """Seconds that the caller waits; others that come meanwhile wait until the same moment."""
        if now >= self._until:
            self._until = now + seconds
            self._left -= seconds
            self.congested_at = NO_CONGESTION
        return self._until - now

    def end_throttle(self, now: float, queued: int) -> None:
        """The wait is over, for one of the callers at least."""
        if queued >= NO_CONGESTION and now < self._until:
            return
        self.congested_at = max(_CONGESTED, queued + _MORE) if self._left > 0 else sys.maxsize

    def taken(self, queued: int) -> None:
        """Some entries were taken, and so many are left."""
        if self._left <= 0:
            self.congested_at = max(_CONGESTED, queued)
        self._left = self._patience
