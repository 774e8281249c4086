"""When callers are throttled, and for how long.

A thread that logs without a pause yields the interpreter only every five milliseconds, and eight
such threads every forty. The worker needs the interpreter each time it has sent or received data.
If entries come faster than they are taken, their callers are throttled: they pause together, for a
moment at a time.
"""

from __future__ import annotations

import sys

# Numbers of queued entries: from the first on, a queue is congested; below the second, it no longer
# is. After throttling, callers are throttled again when the queue has grown by the third.
_CONGESTED = 6144
NO_CONGESTION = 1024
_MORE = 256
# The longest throttling, in seconds, during which no entries are taken: after it, the receiver
# probably does not answer. A disk may be busy for longer, but it does answer.
_PATIENCE = 0.03
PATIENCE_WITH_A_DISK = 1.0


class Backpressure:
    """Whether a queue is congested, and how long callers then wait. The owner guards it.

    Args:
        patience: Seconds of throttling without a take, after which throttling stops.

    Attributes:
        congested_at: The number of queued entries from which the queue is congested.
    """

    __slots__ = ("_left", "_patience", "_until", "congested_at")

    def __init__(self, patience: float = _PATIENCE) -> None:
        self.congested_at = _CONGESTED
        # When the current wait ends, on the monotonic clock.
        self._until = 0.0
        self._patience = self._left = patience

    @property
    def has_patience(self) -> bool:
        return self._left > 0

    def begin_throttle(self, now: float, seconds: float) -> float:
        """Return how long the caller waits, in seconds; later callers wait for the same moment."""
        if now >= self._until:
            self._until = now + seconds
            self._left -= seconds
            self.congested_at = NO_CONGESTION
        return self._until - now

    def end_throttle(self, now: float, queued: int) -> None:
        """Record that the wait is over for at least one caller."""
        if queued >= NO_CONGESTION and now < self._until:
            return
        self.congested_at = max(_CONGESTED, queued + _MORE) if self._left > 0 else sys.maxsize

    def taken(self, queued: int) -> None:
        """Record that entries were taken, and how many are left."""
        if self._left <= 0:
            self.congested_at = max(_CONGESTED, queued)
        self._left = self._patience
