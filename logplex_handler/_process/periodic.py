"""Something that is done once per interval, in a thread of its own."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

# Part of the interval over which processes are spread: a thousand of them speak within six seconds
# of each minute, and one that counts by the minute still gets one report of each for every minute.
_SPREAD = 0.1
# Seconds: a shorter interval is taken for this one, as no thread wakes more often.
_LEAST = 0.01


def next_time(now: float, interval: float, offset: float) -> float:
    """The first moment after now that is the offset behind a whole multiple of the interval."""
    return (math.floor((now - offset) / interval) + 1) * interval + offset


class Periodic:
    """Calls `act` at times that are aligned to the interval, and a last time when it is stopped.

    Args:
        interval: Seconds between two calls.
        act: What is to be done; no exception may come out of it.
    """

    def __init__(self, interval: float, act: Callable[[], object]) -> None:
        self._interval = interval = max(interval, _LEAST)
        self._act = act
        # Of this process alone: the state of `random` itself may be the same in all that were
        # forked from one.
        self._offset = random.SystemRandom().uniform(0, interval * _SPREAD)
        # Guards `_thread`, which is there once it is started. Re-entrant because a garbage
        # collection or a signal under it may come here again.
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin, unless it has begun, is stopped, or there is no thread to be had."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is not None or self._stopped.is_set():
                return
            self._thread = threading.Thread(
                target=self._work, name="logplex_handler.periodic", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                # The interpreter is about to exit, or the system has no thread left.
                self._thread = None

    def stop(self, seconds: float) -> bool | None:
        """Stop, and wait for the last call; whether it has ended within so many seconds.

        None if there is no thread that would make it.
        """
        self._stopped.set()
        with self._starting:
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return None
        thread.join(seconds)
        return not thread.is_alive()

    def _work(self) -> None:
        due = next_time(time.time(), self._interval, self._offset)
        # Never longer than an interval, wherever somebody sets the clock meanwhile.
        while not self._stopped.wait(min(self._interval, max(0.0, due - time.time()))):
            now = time.time()
            # It may wake a little too early; it is a clock set back if it is far too early.
            if now >= due or due - now > self._interval:
                self._act()
                due = next_time(time.time(), self._interval, self._offset)
        self._act()
