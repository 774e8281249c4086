"""News of streams, for workers that sleep, and progress, for callers that wait for it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

from logplex_handler.streams.stream import Stream


class News:
    """A queue that holds each stream at most once. Any thread may use it."""

    def __init__(self) -> None:
        # A SimpleQueue rather than a condition, because its `put` is in C: a garbage collection or
        # a signal handler may interrupt it, log, and come back here. None only wakes a worker.
        self._queue: queue.SimpleQueue[Stream | None] = queue.SimpleQueue()
        # The streams in the queue. Adding and removing are single operations on a set.
        self._queued: set[Stream] = set()

    def put(self, stream: Stream) -> None:
        """Add news of a stream. One notice is enough, because a worker looks at everything."""
        if stream not in self._queued:
            self._queued.add(stream)
            self._queue.put(stream)

    def wake(self) -> None:
        """Wake one worker without news."""
        self._queue.put(None)

    def wait(self, seconds: float | None) -> Stream | None:
        """Sleep until there is news; None if `wake` was called or the time is over."""
        with contextlib.suppress(queue.Empty):
            return self._got(self._queue.get(timeout=seconds))
        return None

    def drain(self) -> Iterator[Stream]:
        """Return all news, without waiting."""
        with contextlib.suppress(queue.Empty):
            while True:
                stream = self._got(self._queue.get_nowait())
                if stream is not None:
                    yield stream

    def _got(self, stream: Stream | None) -> Stream | None:
        # Before the worker looks at the stream, so that a later change is news again.
        if stream is not None:
            self._queued.discard(stream)
        return stream


class Progress:
    """Counts the finished tasks, and wakes the callers that wait for a task of a stream.

    Attributes:
        done: The number of finished tasks.
    """

    def __init__(self) -> None:
        # Guards the fields below; notified when a field changes that a caller waits for.
        # Re-entrant, because a signal handler may flush. It is not the scheduler's lock: waiting
        # releases the lock, even if a signal interrupted a change of the scheduler.
        self._condition = threading.Condition(threading.RLock())
        self.done = 0
        # A list, as several callers may wait for the same stream.
        self._awaited: list[Stream] = []

    def note(self, stream: Stream) -> None:
        """Note that a task of the stream is finished."""
        with self._condition:
            self.done += 1
            if stream in self._awaited:
                self._condition.notify_all()

    def end(self) -> None:
        """Note that no more tasks follow, so that no caller waits."""
        with self._condition:
            self._condition.notify_all()

    def wait(self, stream: Stream, done: int, seconds: float) -> bool:
        """Wait until a task of the stream is finished, unless more tasks are finished already.

        Returns:
            Whether more tasks are finished, of any stream.
        """
        with self._condition:
            if self.done == done:
                self._awaited.append(stream)
                try:
                    self._condition.wait(seconds)
                finally:
                    self._awaited.remove(stream)
            return self.done != done
