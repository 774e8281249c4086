"""How much of a hurry there is: nobody waits, somebody flushes, or all is closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Urgency(IntEnum):
    """The more there is of it, the less is waited for."""

    NONE = 0
    # Somebody waits for what is queued: the next try is never far off.
    FLUSHING = 1
    # There is no later: nothing waits for more to come.
    CLOSING = 2


class UrgencyMonitor:
    """Knows who waits. Any thread may ask it; what it has are single operations on a dict."""

    def __init__(self) -> None:
        # Those who flush, and until when.
        self._flushes: dict[object, float] = {}
        self._closing = False

    @property
    def current(self) -> Urgency:
        """How much there is just now."""
        if self._closing:
            return Urgency.CLOSING
        if self._flushes and max([*self._flushes.values(), 0.0]) > time.monotonic():
            return Urgency.FLUSHING
        return Urgency.NONE

    @contextmanager
    def flush_until(self, deadline: float) -> Iterator[None]:
        """Within it somebody waits, but not longer; so Ctrl-C anywhere does not make it last."""
        flush = object()
        self._flushes[flush] = deadline
        try:
            yield
        finally:
            self._flushes.pop(flush, None)

    def close(self) -> None:
        """From now on there is no later."""
        self._closing = True
