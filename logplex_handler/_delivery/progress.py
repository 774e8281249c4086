"""The progress of the workers, which callers that flush wait for."""

from __future__ import annotations

import threading

from logplex_handler._process.countdown import Countdown
from logplex_handler.streams.stream import Stream


class Progress:
    """The number of finished tasks, for which callers may wait."""

    def __init__(self) -> None:
        # Guards `done` and `_awaited`; notified when a task of an awaited stream is finished.
        # Re-entrant, because a signal handler may flush. It is not the scheduler's lock: waiting
        # releases the lock, even if a signal interrupted a change of the scheduler.
        self._condition = threading.Condition(threading.RLock())
        self.done = 0
        # A list, because several callers may wait for the same stream.
        self._awaited: list[Stream] = []

    def note(self, stream: Stream) -> None:
        with self._condition:
            self.done += 1
            if stream in self._awaited:
                self._condition.notify_all()

    def end(self) -> None:
        """Wake all waiting callers, because no more tasks follow."""
        with self._condition:
            self._condition.notify_all()

    def wait(self, stream: Stream, done: int, countdown: Countdown, seconds: float) -> bool:
        """Wait until a task of the stream is finished, unless more tasks are finished already.

        Returns:
            Whether more tasks are finished, of any stream.
        """
        with self._condition:
            if self.done == done:
                self._awaited.append(stream)
                try:
                    if not self._condition.wait(seconds):
                        countdown.waited(seconds)
                finally:
                    self._awaited.remove(stream)
            return self.done != done
