"""The flushes of an accumulator: which entries to send at once, and whether they have left."""

from __future__ import annotations

import threading

from logplex_handler._buffer.contents import Contents
from logplex_handler._buffer.weighed_queue import FlushMark


class Flushes:
    """The flushes of one accumulator. Any thread may call it.

    Args:
        lock: The lock of the accumulator, which guards its contents.
    """

    __slots__ = ("_contents", "_latest", "_lock")

    def __init__(self, lock: threading.RLock, contents: Contents) -> None:
        self._lock = lock
        self._contents = contents
        # A mark after all entries queued when the last flush began; it stays after that flush ends.
        self._latest = FlushMark()
        contents.queue.add_mark(self._latest)

    def begin(self) -> FlushMark:
        """Begin a flush of all queued entries. Pass the mark to `is_over`, and finally to `end`."""
        mark = FlushMark()
        with self._lock:
            self._contents.queue.add_mark(mark)
            # An interruption may have begun a later flush.
            self._latest.place = max(self._latest.place, mark.place)
        return mark

    def begin_and_end(self) -> None:
        """Begin a flush of all queued entries, for which no caller waits."""
        self.end(self.begin())

    def is_over(self, mark: FlushMark) -> bool:
        """Whether all entries queued before the mark, and all records on disk, have left."""
        with self._lock:
            recovered_left = self._contents.in_transit.recovered_left
            return not recovered_left and self._contents.has_left(mark)

    def end(self, mark: FlushMark) -> None:
        """Forget the mark."""
        with self._lock:
            self._contents.queue.remove_mark(mark)

    @property
    def is_wanted(self) -> bool:
        """Whether records of a flush are left."""
        return not self._contents.has_left(self._latest)
