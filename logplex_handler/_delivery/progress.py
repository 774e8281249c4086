"""The progress of delivery, for callers that wait for it."""

from __future__ import annotations

import threading

from logplex_handler.streams.stream import Stream


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
