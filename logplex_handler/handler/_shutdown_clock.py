"""How long flushing and closing may take: at shutdown they share one deadline.

`logging.shutdown`, like every other end of a process, first flushes a handler and then closes it.
"""

from __future__ import annotations

import math
import time

# Seconds between a `flush` and a `close` of the same shutdown, at most.
_SAME_SHUTDOWN = 1.0


class ShutdownClock:
    """Counts down the seconds of a whole shutdown from its first `flush`."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # When the last flush began and ended, on the monotonic clock.
        self._began = self._ended = -math.inf
        # Whether the whole process is about to end.
        self._for_process = False

    def start(self) -> None:
        """Start the shutdown of the process: further flushes and closing, however late they come,
        have the time that is left from now on.
        """
        self._for_process = True
        self._began = time.monotonic()
        self._ended = math.inf

    def left_to_flush(self) -> float:
        """Seconds that a flush may take. The caller reports its end with `flushed`."""
        now = time.monotonic()
        if not (self._for_process and now - self._ended < _SAME_SHUTDOWN):
            self._began = now
        return self._left(self._began, now)

    def flushed(self) -> None:
        self._ended = time.monotonic()

    def left_to_close(self) -> float:
        now = time.monotonic()
        return self._left(self._began if now - self._ended < _SAME_SHUTDOWN else now, now)

    def _left(self, began: float, now: float) -> float:
        return max(0.0, began + self.timeout - now)
