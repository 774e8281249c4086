"""How far the delivery has come, for callers that wait for it."""

from __future__ import annotations

import threading

from logplex_handler.streams.stream import Stream


class Progress:
    """Counts the tasks that are done, and wakes the callers that wait for those of a stream.

    Attributes:
        done: How many tasks are done.
    """

    def __init__(self) -> None:
        # Guards the fields below, and is notified when one changes that is waited for. Re-entrant
        # because a signal handler may flush. It is not the lock that guards the scheduler: a wait
        # lets go of the lock, even where the signal has struck in the middle of a change.
        self._condition = threading.Condition(threading.RLock())
        self.done = 0
        # A list, as several callers may wait for the same stream.
        self._awaited: list[Stream] = []

    def note(self, stream: Stream) -> None:
        """A task of the stream is done."""
        with self._condition:
            self.done += 1
            if stream in self._awaited:
                self._condition.notify_all()

    def end(self) -> None:
        """Nothing is done any more: nobody needs to wait."""
        with self._condition:
            self._condition.notify_all()

    def wait(self, stream: Stream, done: int, seconds: float) -> bool:
        """Wait for a task of the stream to be done, unless more are done than that.

        Returns:
            Whether more are, of whatever stream.
        """
        with self._condition:
            if self.done == done:
                self._awaited.append(stream)
                try:
                    self._condition.wait(seconds)
                finally:
                    self._awaited.remove(stream)
            return self.done != done
