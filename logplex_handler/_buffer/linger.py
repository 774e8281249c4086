"""How long the oldest entry of a queue waits."""

from __future__ import annotations

import math
import time


class Linger:
    """The clock of a queue. The owner guards it.

    Attributes:
        since: When the first entry came that is a reason to send, on the monotonic clock. Infinite
            if there is none.
    """

    __slots__ = ("_never_waking", "_since_before_take", "since")

    def __init__(self) -> None:
        self.since = self._since_before_take = math.inf
        # Entries at the front of the queue that are no reason to send.
        self._never_waking = 0

    @property
    def is_running(self) -> bool:
        """Whether such an entry came."""
        return self.since != math.inf

    def add_never_waking(self) -> None:
        """An entry that is no reason to send is about to be queued."""
        if self.since == math.inf:
            self._never_waking += 1

    def look(self, queued: int) -> None:
        """Start the clock if one of so many entries is a reason to send."""
        if self.since == math.inf and queued > self._never_waking:
            self.since = time.monotonic()

    def dropped_oldest(self) -> None:
        """The entry at the front was dropped."""
        self._never_waking = max(0, self._never_waking - 1)

    def taken(self, records: int, *, left: int) -> None:
        """So many entries were taken from the front, and so many are left."""
        self._never_waking = max(0, self._never_waking - records)
        self._since_before_take = self.since
        if not left:
            self.since = math.inf

    def put_back(self) -> None:
        """Entries that were taken are at the front again, as old as they were."""
        self.since = min(self.since, self._since_before_take, time.monotonic())

    def dropped_all(self) -> None:
        """All entries were dropped."""
        self._never_waking = 0
