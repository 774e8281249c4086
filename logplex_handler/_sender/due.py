"""When the next batch is due.

A batch is due once its first record has waited for `flush_interval`. A full batch waits for less,
and none waits if a caller flushes, the handler closes, or the handler has lines of its own to send.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from logplex_handler._buffer.waking_queue import Backlog

# Seconds after a request in which a full batch still waits, unless it is a large one. One request
# costs as much as writing 500 records, so with fewer requests each record costs less.
_LINGER = 0.25


class Urgency(IntEnum):
    """How urgent delivery is; the higher, the shorter the waits."""

    NONE = 0
    # A caller waits in `flush`, so retries come soon.
    FLUSHING = 1
    # The handler closes, so no batch waits for more records.
    CLOSING = 2


class UrgencyMonitor:
    """Knows whether callers wait. Any thread may use it: a single operation changes its dict."""

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
        """Mark a flush as waiting while the `with` block runs, until the deadline at most.

        The mark expires at the deadline even if Ctrl-C prevents its removal.
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
    """Return the seconds until the next batch is due, or None if there is nothing to send.

    The last request ended at `sent_at`. The handler's own lines, such as drop notices, are sent at
    once.
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
