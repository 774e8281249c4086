"""A queue for one thread, whose `get` ends in time.

That of `queue.SimpleQueue` may wait for ever, whatever its time-out: if the thread loses the
processor for so long that nothing of the time-out is left, CPython takes that for no time-out.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Mailbox(Generic[_Item]):
    """Items for one thread. Others put them, also in a signal handler or a garbage collection."""

    __slots__ = ("_items", "_nothing_new")

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        # Held unless an item was put since the reader last waited.
        self._nothing_new = threading.Lock()
        self._nothing_new.acquire()

    def put(self, item: _Item) -> None:
        """Add an item, and wake the reader."""
        self._items.append(item)
        # It is released already if the reader has not waited since an earlier item.
        with contextlib.suppress(RuntimeError):
            self._nothing_new.release()

    def get(self, seconds: float = 0.0) -> _Item:
        """Return the next item; raise `queue.Empty` if there is none within these seconds."""
        longest = min(max(seconds, 0.0), threading.TIMEOUT_MAX)
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                # It may have been released for an item that was returned without a wait.
                if not self._nothing_new.acquire(timeout=longest):
                    raise queue.Empty from None
