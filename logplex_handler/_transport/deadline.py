"""The moment at which a request is given up, however slowly the other side answers.

The timeouts of requests and urllib3 apply to each read, so an answer that comes byte by byte could
take for ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# On the monotonic clock. Each thread (and greenlet) has its own.
_deadline: ContextVar[float] = ContextVar("logplex_handler_deadline", default=math.inf)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Within it, bounded connections raise TimeoutError once the deadline has passed."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def is_set() -> bool:
    """Whether there is a deadline here."""
    return _deadline.get() != math.inf


def bounded(timeout: float | None) -> float:
    """Seconds that one operation may take: its own timeout, or the time until the deadline.

    Raises:
        TimeoutError: Nothing is left.
    """
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer took too long as a whole")
    return left if timeout is None else min(timeout, left)
