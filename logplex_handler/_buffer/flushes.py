"""What is to be sent at once, and whether it has left."""

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
        # Behind all that was queued when a flush was last begun; it stays when that has ended.
        self._latest = FlushMark()
        contents.queue.add_mark(self._latest)

    def begin(self) -> FlushMark:
        """Have what is queued now sent at once. The mark is for `is_over`, and then for `end`."""
        mark = FlushMark()
        with self._lock:
            self._contents.queue.add_mark(mark)
            # An interruption may have begun a later one.
            self._latest.place = max(self._latest.place, mark.place)
        return mark

    def begin_and_end(self) -> None:
        """Have what is queued now sent at once, though nobody waits for it."""
        self.end(self.begin())

    def is_over(self, mark: FlushMark) -> bool:
        """Whether all that was queued before the mark has left, and all that was on disk."""
        with self._lock:
            recovered_left = self._contents.in_transit.recovered_left
            return not recovered_left and self._contents.has_left(mark)

    def end(self, mark: FlushMark) -> None:
        """Forget the mark."""
        with self._lock:
            self._contents.queue.remove_mark(mark)

    @property
    def is_wanted(self) -> bool:
        """Whether something is left that is to be sent at once."""
        return not self._contents.has_left(self._latest)
