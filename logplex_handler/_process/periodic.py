"""Calls a function once per interval, in its own thread."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable

from logplex_handler._process.contexts import new_thread
from logplex_handler._process.diagnostics import Diagnostics

# The part of the interval over which processes are spread. A thousand processes report within six
# seconds of each minute; a receiver that counts by the minute still gets one report of each process
# in every minute.
_SPREAD = 0.1
# The shortest interval, in seconds: a thread cannot wake more often.
_MIN_INTERVAL = 0.01


def next_time(now: float, interval: float, offset: float) -> float:
    """Return the next time that is a multiple of the interval plus the offset."""
    return (math.floor((now - offset) / interval) + 1) * interval + offset


class Periodic:
    """Calls a function at times aligned to the interval, and once more when it is stopped.

    The interval is in seconds. If the function raises, that is reported on stderr.
    """

    def __init__(self, interval: float, function: Callable[[], object]) -> None:
        self._interval = interval = max(interval, _MIN_INTERVAL)
        self._function = function
        self._diagnostics = Diagnostics()
        # SystemRandom, because processes forked from one parent may share the state of `random`.
        self._offset = random.SystemRandom().uniform(0, interval * _SPREAD)
        # Guards `_thread`, which is None until it is started. Re-entrant, because a garbage
        # collection or a signal handler may interrupt the holder and call `start`.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the calls, unless they were started or stopped, or no thread can be started.

        Start them again if the thread has died, of a clock that a test has replaced or for lack of
        memory.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            is_running = self._thread is not None and self._thread.is_alive()
            if is_running or self._stopped.is_set():
                return
            # The interpreter may be about to exit or allow no daemon threads, or the system cannot
            # start another thread.
            with contextlib.suppress(RuntimeError):
                thread = new_thread(self._work, "logplex_handler.periodic")
                thread.start()
                self._thread = thread

    def stop(self, seconds: float) -> bool | None:
        """Stop, and wait at most `seconds` for the last call.

        Returns:
            Whether the last call has ended; None if no thread makes it.
        """
        self._stopped.set()
        with self._lock:
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return None
        thread.join(seconds)
        return not thread.is_alive()

    def _work(self) -> None:
        due = next_time(time.time(), self._interval, self._offset)
        # Wait at most an interval, even if the clock is set back meanwhile.
        while not self._stopped.wait(min(self._interval, max(0.0, due - time.time()))):
            now = time.time()
            # The wait may end a little too early. If it ends far too early, the clock was set back.
            if now >= due or due - now > self._interval:
                self._call()
                due = next_time(time.time(), self._interval, self._offset)
        self._call()

    def _call(self) -> None:
        try:
            self._function()
        except BaseException as error:
            # Code of the application may raise anything, even what is meant to end a program.
            self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
