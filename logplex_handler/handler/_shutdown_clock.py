"""How long flushing and closing may take: at shutdown, one deadline for both.

`logging.shutdown` and what stands for it flush a handler first, then close it.
"""

from __future__ import annotations

import math
import time

# Seconds: a `close` that comes so soon after a `flush` belongs to the same shutdown.
_SAME_SHUTDOWN = 1.0


class ShutdownClock:
    """Counts the seconds down, from the first `flush` of a shutdown on.

    Args:
        timeout: How many there are.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # On the monotonic clock: when the last flush was begun, and ended.
        self._began = self._ended = -math.inf
        # Whether the whole process is about to end.
        self._for_all = False

    def start(self) -> None:
        """The process is about to end: whoever flushes or closes next, however late, has the rest
        of the time from now on."""
        self._for_all = True
        self._began = time.monotonic()
        self._ended = math.inf

    def left_to_flush(self) -> float:
        """The seconds that a flush may take; `flushed` is to be called when it is over."""
        now = time.monotonic()
        if not (self._for_all and now - self._ended < _SAME_SHUTDOWN):
            self._began = now
        return self._left(self._began, now)

    def flushed(self) -> None:
        """The flush is over."""
        self._ended = time.monotonic()

    def left_to_close(self) -> float:
        """The seconds that closing may take."""
        now = time.monotonic()
        return self._left(self._began if now - self._ended < _SAME_SHUTDOWN else now, now)

    def _left(self, began: float, now: float) -> float:
        return max(0.0, began + self.timeout - now)
