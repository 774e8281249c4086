"""The drops of records: their counts behind `Stats`, and those that are not reported yet."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

# Most streams never drop anything.
_NONE: Mapping[str, int] = MappingProxyType({})


class Ledger:
    """Counts of records that were dropped.

    Any thread may call it. Near the recursion limit, any call may fail, so the counts of one event
    are written without a call in between.

    Args:
        lock: The owner's lock, so that the owner can read these counts together with its own.
            Default: a new lock.
    """

    __slots__ = ("_dropped", "_lock", "_reportable", "has_unreported", "never_taken")

    def __init__(self, lock: threading.RLock | None = None) -> None:
        # Guards all attributes. Re-entrant, because a signal handler or a garbage collection may
        # log while it is held.
        self._lock = threading.RLock() if lock is None else lock
        # The number of records dropped from the queue, or before they entered it.
        self.never_taken = 0
        # All drops by cause, and those to report, which are not of rejected records. A new mapping
        # replaces the old one at each change.
        self._dropped = self._reportable = _NONE
        self.has_unreported = False

    def drop(self, cause: str, records: int = 1, *, never_taken: int = 0) -> None:
        """Count records as dropped; the drop must be reported."""
        with self._lock:
            dropped = _with(self._dropped, cause, records)
            reportable = _with(self._reportable, cause, records)
            self.never_taken += never_taken
            self._dropped, self._reportable = dropped, reportable
            self.has_unreported = True

    def count_rejected(self, cause: str) -> None:
        """Count a rejected record, without reporting it."""
        with self._lock:
            dropped = _with(self._dropped, cause, 1)
            self.never_taken += 1
            self._dropped = dropped

    def claim_drops(self) -> Mapping[str, int]:
        """Return all drops to report, by cause; from now on they count as reported."""
        with self._lock:
            self.has_unreported = False
            return self._reportable

    def total_reportable(self) -> int:
        return sum(self._reportable.values())

    def dropped_by_cause(self) -> dict[str, int]:
        return dict(self._dropped)


def _with(drops: Mapping[str, int], cause: str, records: int) -> Mapping[str, int]:
    return {**drops, cause: drops.get(cause, 0) + records}
