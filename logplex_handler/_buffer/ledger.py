"""The outcomes of records: the counts behind `Stats`, and which drops were not reported yet."""

from __future__ import annotations

import threading
from collections import defaultdict


class Ledger:
    """Counts records that have left the queue, or never came to it. Any thread may call it.

    Near the recursion limit any call may fail, so the counts of one event are written without a
    call between.

    Args:
        lock: The lock of the owner, so that it can read these counts together with its own.
            Default: a lock that nobody shares.
    """

    __slots__ = ("_dropped", "_lock", "_reportable", "delivered", "has_unreported", "never_taken")

    def __init__(self, lock: threading.RLock | None = None) -> None:
        # Guards all counts. Re-entrant, as a signal or a garbage collection under it may log.
        self._lock = threading.RLock() if lock is None else lock
        self.delivered = 0
        # Records that were dropped from the queue, or before they came to it.
        self.never_taken = 0
        self._dropped = defaultdict[str, int](int)
        # Without the rejected ones.
        self._reportable = defaultdict[str, int](int)
        self.has_unreported = False

    def drop(self, cause: str, records: int = 1, *, never_taken: int = 0) -> None:
        """Count records as dropped; the drop is to be reported."""
        with self._lock:
            # The first drop of a cause adds a key, which is a call.
            self._dropped[cause] += 0
            self._reportable[cause] += 0
            self.never_taken += never_taken
            self._dropped[cause] += records
            self._reportable[cause] += records
            self.has_unreported = True

    def count_rejected(self, cause: str) -> None:
        """Count a record that came when no records were taken; that is not reported."""
        with self._lock:
            self._dropped[cause] += 0
            self.never_taken += 1
            self._dropped[cause] += 1

    def report_drops(self) -> dict[str, int]:
        """All drops that are to be reported, by cause. From now on they count as reported."""
        with self._lock:
            self.has_unreported = False
            return dict(self._reportable)

    def total_reportable(self) -> int:
        """How many drops there ever were that are to be reported."""
        with self._lock:
            return sum(self._reportable.values())

    def dropped_by_cause(self) -> dict[str, int]:
        """All drops, the rejected records included."""
        with self._lock:
            return dict(self._dropped)
