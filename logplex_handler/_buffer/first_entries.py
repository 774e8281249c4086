"""The first entries of queues, which callers leave to a worker.

Nearly all records of many customers' streams come alone. Each is the first entry of its queue, so a
worker must be told of it, and memory must be reserved. A caller does only what cannot wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._wire.entry import LIGHT

# The entries that may follow the first one, with it, before a caller looks at the queue.
FEW = 2
# The number of further entries for which a caller that looks reserves memory in advance.
MORE = 8
# The share of the memory that is kept for entries without a reservation.
_SHARE = 16


class Owner(Protocol):
    """What has a queue."""

    def after_reclaim(self) -> None:
        """Be told, without a lock, that entries were dropped for another queue."""


class News(Protocol):
    """News of owners, for workers that look at them."""

    # When a sleeping worker will look by itself; infinite if none sleeps.
    next_look: float

    # Any, because only the workers know what the owners are.
    @property
    def streams(self) -> Mapping[Any, None]: ...

    def put(self, stream: Any, look_by: float) -> None: ...


class FirstEntries:
    """Has a worker look at the owners of first entries before a batch of them is due.

    Attributes:
        waiting: The owners that no worker has looked at since news of them.
        most_waiting: The number of them from which on callers leave nothing to a worker.
        kept_bytes: The memory that the entries of so many may use.
        most_unseen: The most entries of a queue that are certainly no full batch.
    """

    __slots__ = (
        "_flush_interval", "_news", "kept_bytes", "most_unseen", "most_waiting", "waiting",
    )  # fmt: skip

    def __init__(self, news: News, flush_interval: float, max_bytes: int, most_unseen: int) -> None:
        self._news = news
        self._flush_interval = flush_interval
        self.waiting = news.streams
        self.kept_bytes = max_bytes // _SHARE
        self.most_waiting = self.kept_bytes // (FEW * LIGHT)
        self.most_unseen = most_unseen

    def put(self, owner: Owner, since: float) -> bool:
        """Tell a worker; return whether none sleeps, so that there may be none at all."""
        self._news.put(owner, since + self._flush_interval)
        return self._news.next_look == math.inf


def first_entries(limits: BufferLimits, news: News, flush_interval: float) -> FirstEntries | None:
    """Return who is told of first entries; None if a few entries may already be a full batch.

    With a disk, another thread must be told of them, too.
    """
    fewest_bytes = min(limits.batch_bytes, limits.max_bytes // 4)
    most = min(limits.batch_frames - 1, (fewest_bytes - 1) // LIGHT)
    if limits.has_disk or limits.on_full != "drop_oldest" or most < FEW:
        return None
    return FirstEntries(news, flush_interval, limits.max_bytes, most)
