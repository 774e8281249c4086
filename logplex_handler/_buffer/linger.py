"""How long the oldest entry of a queue waits."""

from __future__ import annotations

import math
import time


class Linger:
    """The clock of the queue's oldest entry. The owner guards it.

    Attributes:
        since: When the first entry that makes a batch due came, on the monotonic clock; infinite if
            there is none.
    """

    __slots__ = ("_never_waking", "_since_before_take", "since")

    def __init__(self) -> None:
        self.since = self._since_before_take = math.inf
        # Entries at the front of the queue that make no batch due.
        self._never_waking = 0

    @property
    def is_running(self) -> bool:
        """Whether an entry that makes a batch due came."""
        return self.since != math.inf

    def add_never_waking(self) -> None:
        """Note that an entry that makes no batch due is about to be queued."""
        if self.since == math.inf:
            self._never_waking += 1

    def look(self, queued: int) -> None:
        """Start the clock if one of this many entries makes a batch due."""
        if self.since == math.inf and queued > self._never_waking:
            self.since = time.monotonic()

    def dropped_oldest(self) -> None:
        """Note that the entry at the front was dropped."""
        self._never_waking = max(0, self._never_waking - 1)

    def taken(self, records: int, *, left: int) -> None:
        """Note how many entries were taken from the front, and how many are left."""
        self._never_waking = max(0, self._never_waking - records)
        self._since_before_take = self.since
        if not left:
            self.since = math.inf

    def put_back(self) -> None:
        """Note that taken entries are back at the front, with their age."""
        self.since = min(self.since, self._since_before_take, time.monotonic())

    def dropped_all(self) -> None:
        """Note that all entries were dropped."""
        self._never_waking = 0
