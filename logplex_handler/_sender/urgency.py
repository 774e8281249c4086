"""How urgent delivery is, and when the next batch is due."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from logplex_handler._buffer.waking_queue import Backlog

# Seconds after a request that the next batch may wait once it is due, unless it is a large one. One
# request costs as much as writing 500 records, so with fewer requests each record costs less.
_LINGER = 0.25


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
        self._is_closing = True


def next_batch_due_in(
    backlog: Backlog,
    urgency: Urgency,
    now: float,
    *,
    flush_interval: float,
    sent_at: float,
    has_own_lines: bool,
) -> float | None:
    """Seconds until the next batch is due; None if there is nothing to send.

    The last request was over at `sent_at`. Lines of the handler's own are sent at once.
    """
    is_flushing = urgency is Urgency.CLOSING or backlog.flushing
    if has_own_lines or (is_flushing and backlog.records):
        return 0.0
    if backlog.pressing and backlog.full_batch:
        return 0.0
    due_at = backlog.since + flush_interval
    if backlog.full_batch:
        due_at = min(due_at, sent_at + _LINGER)
    return None if due_at == math.inf else max(0.0, due_at - now)
