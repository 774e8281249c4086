"""News of streams, which wakes sleeping workers."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from logplex_handler.streams.stream import Stream


class News:
    """News of streams, for workers that sleep. Each stream is in it at most once."""

    def __init__(self) -> None:
        # Each operation on it is a single one in C: a garbage collection or a signal handler may
        # interrupt `put`, log, and call it again, and Ctrl-C may end it.
        self.streams: dict[Stream, None] = {}
        # The sleeping workers: releasing such a lock wakes the worker, which looks at all streams.
        # Not a `Mailbox`, because several threads sleep.
        self._sleeping: dict[threading.Lock, None] = {}
        # An item makes one worker look: if none sleeps now, the next one that is about to sleep.
        self._wake_ups: deque[None] = deque()
        # When a sleeping worker will look at the news by itself, on the monotonic clock.
        self.next_look = math.inf

    def put(self, stream: Stream, look_by: float) -> None:
        """Add a stream, and wake a worker unless one will look by this time anyway."""
        self.streams[stream] = None
        # Read after the stream was added: a worker checks the streams after it has set `next_look`.
        if self.next_look > look_by and not self._wake_ups:
            self.wake_one()

    def wake_one(self) -> None:
        """Wake a worker without news."""
        try:
            self._wake_ups.append(None)
            for lock in reversed(list(self._sleeping)):
                # If it is released already, its worker has not noticed yet.
                with contextlib.suppress(RuntimeError):
                    lock.release()
                    return
        except BaseException:
            # A signal handler may have raised it before a worker was woken. The next call does so.
            self._wake_ups.clear()
            raise

    def wait(self, until: float) -> None:
        """Sleep until there is news, `wake_one` was called, or the time has come."""
        lock = threading.Lock()
        lock.acquire()
        self._sleeping[lock] = None
        # From here on, any news releases the lock.
        if not self.streams and not self._wake_ups:
            lock.acquire(timeout=-1 if until == math.inf else max(0.0, until - time.monotonic()))
        self._sleeping.pop(lock, None)
        with contextlib.suppress(IndexError):
            self._wake_ups.pop()

    def drain(self, look: Callable[[Stream], object]) -> None:
        """Look at all streams, without waiting. One is news again if Ctrl-C interrupts that."""
        while self.streams:
            for stream in list(self.streams):
                try:
                    # Removed before the look, so that a later change is news again.
                    self.streams.pop(stream, None)
                    look(stream)
                except BaseException:
                    self.put(stream, -math.inf)
                    raise
