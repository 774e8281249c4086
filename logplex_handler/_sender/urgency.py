"""How urgent delivery is: whether a caller flushes, or the handler closes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Urgency(IntEnum):
    """How urgent delivery is; the higher, the shorter the waits."""

    NONE = 0
    # A caller flushes, so the next attempt comes soon.
    FLUSHING = 1
    # The handler closes, so no batch waits for more records.
    CLOSING = 2


class UrgencyMonitor:
    """Knows which callers wait. Any thread may use it: each operation is a single one on a dict."""

    def __init__(self) -> None:
        # When the wait of each flush ends, on the monotonic clock.
        self._deadlines: dict[object, float] = {}
        self._is_closing = False

    @property
    def current(self) -> Urgency:
        """The urgency at this moment."""
        if self._is_closing:
            return Urgency.CLOSING
        if self._deadlines and max([*self._deadlines.values(), 0.0]) > time.monotonic():
            return Urgency.FLUSHING
        return Urgency.NONE

    @contextmanager
    def flush_until(self, deadline: float) -> Iterator[None]:
        """A caller waits for a flush within the `with` block, at most until the deadline.

        The deadline holds even if Ctrl-C keeps the block from being left in order.
        """
        flush = object()
        self._deadlines[flush] = deadline
        try:
            yield
        finally:
            self._deadlines.pop(flush, None)

    def close(self) -> None:
        """Note that the handler closes."""
        self._is_closing = True
