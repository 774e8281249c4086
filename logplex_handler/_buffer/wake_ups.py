"""Decides whether to wake a worker, and whether to throttle callers."""

from __future__ import annotations

from logplex_handler._buffer.backpressure import NO_CONGESTION, PATIENCE_WITH_A_DISK, Backpressure
from logplex_handler._buffer.due import BATCH, DROPS, FIRST, LARGE, ROOM, Reasons, due, next_look
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.snapshot import Snapshot


class WakeUps:
    """The reasons for which a worker was woken, and when to look for others.

    The owner guards it. A worker is woken once for each reason, and not again until it has taken
    entries. While the queue is congested, every look wakes it.

    Attributes:
        reported: The reasons for which a worker was woken.
        is_room_wanted: Whether a caller waits for room.
        look_at: The length of the queue from which a light entry is a reason to look.
    """

    __slots__ = ("_limits", "backpressure", "is_room_wanted", "look_at", "reported")

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        self.backpressure = (
            Backpressure(PATIENCE_WITH_A_DISK) if limits.has_disk else Backpressure()
        )
        self.reported: Reasons = 0
        self.is_room_wanted = False
        # Read without a lock after a light entry was appended. Only `taken` lowers it while the
        # queue is not empty, and a worker looks again after taking and before it sleeps. So either
        # the caller or the worker sees an entry that was appended meanwhile. (Without a global
        # interpreter lock the two are ordered by the lock that a deque has of its own.)
        self.look_at = 0

    def reasons(self, now: Snapshot) -> Reasons:
        """All present reasons, whether or not a worker was woken for them."""
        return due(now, self._limits, is_room_wanted=self.is_room_wanted)

    def is_pressing(self, reasons: Reasons, queued: int) -> bool:
        """Whether a full batch should not wait until it is a large one."""
        return reasons & LARGE != 0 or self.is_room_wanted or self.is_congested(queued)

    def look(self, now: Snapshot) -> bool:
        """Whether to wake a worker, for a new reason or because of congestion."""
        reasons = self.reasons(now)
        is_news = reasons & ~self.reported != 0
        self.reported |= reasons
        self.predict(now)
        return is_news or self.is_congested(now.entries)

    def predict(self, now: Snapshot) -> None:
        """Compute when there may be another reason."""
        self.look_at = next_look(
            now,
            self._limits,
            self.reported,
            congested_at=self.backpressure.congested_at,
            may_throttle=self.backpressure.has_patience,
        )

    def taken(self, now: Snapshot) -> None:
        """Note that a worker took entries, and so knows the remaining ones without being woken."""
        self.backpressure.taken(now.entries)
        self.is_room_wanted = False
        self.reported = (self.reasons(now) & (FIRST | BATCH | LARGE)) | (self.reported & DROPS)
        self.predict(now)

    def put_back(self) -> None:
        """Note that a worker put entries back, and so knows them without being woken."""
        self.reported |= FIRST

    def settled(self, now: Snapshot) -> None:
        """Note that records were settled, so that there may be room."""
        if self.is_short_of_room and not self.reasons(now) & ROOM:
            self.reported &= ~ROOM
        self.predict(now)

    def drops_reported(self) -> None:
        """Note that all drops were reported; the next one wakes a worker again."""
        self.reported &= ~DROPS

    @property
    def is_short_of_room(self) -> bool:
        """Whether half of the room was in use when a worker was last woken."""
        return self.reported & ROOM != 0

    def is_congested(self, queued: int) -> bool:
        """Whether entries come faster than they are taken, and throttling their callers helps."""
        return queued >= self.backpressure.congested_at or (
            self.is_short_of_room and self.backpressure.has_patience
        )

    def is_nearly_empty(self, queued: int) -> bool:
        """Whether throttling can stop."""
        return queued < NO_CONGESTION and not self.is_short_of_room
