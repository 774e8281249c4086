"""When a stream's next batch is due: a pure decision."""

from __future__ import annotations

import math

from logplex_handler._buffer.contents import Backlog
from logplex_handler._sender.urgency import Urgency

# Seconds after a request that the next batch may wait once it is due, unless it is a large one. One
# request costs as much as writing 500 records, so with fewer requests each record costs less.
_LINGER = 0.25


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

    Args:
        now: This moment, on the monotonic clock.
        flush_interval: Seconds that the first record of a batch waits for more.
        sent_at: When the last request was over, on the monotonic clock.
        has_own_lines: Whether lines of the handler's own wait, which are sent at once.
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
