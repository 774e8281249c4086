"""Decides whether to wake a worker, and whether to throttle callers."""

from __future__ import annotations

from logplex_handler._buffer.backpressure import NO_CONGESTION, PATIENCE_WITH_A_DISK, Backpressure
from logplex_handler._buffer.contents import Contents
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.wake_reasons import (
    BATCH,
    DROPS,
    FIRST,
    LARGE,
    ROOM,
    WakeReasons,
    next_look,
    wake_reasons,
)


class WakeUps:
    """The reasons for which a worker was woken, and when to look for others.

    The owner guards it. A worker is woken once for each reason, and not again until it has taken
    entries. While the queue is congested, every look wakes it.

    Attributes:
        woken_for: The reasons for which a worker was woken.
        is_room_wanted: Whether a caller waits for room.
        look_at: The length of the queue from which a light entry is a reason to look.
    """

    __slots__ = (
        "_contents", "_limits", "backpressure", "is_room_wanted", "look_at", "woken_for",
    )  # fmt: skip

    def __init__(self, limits: BufferLimits, contents: Contents) -> None:
        self._limits = limits
        self._contents = contents
        self.backpressure = (
            Backpressure(PATIENCE_WITH_A_DISK) if limits.has_disk else Backpressure()
        )
        self.woken_for: WakeReasons = 0
        self.is_room_wanted = False
        # Read without a lock after a light entry was appended. Only `taken` lowers it while the
        # queue is not empty, and a worker looks again after taking and before it sleeps. So either
        # the caller or the worker sees an entry that was appended meanwhile. (Without a global
        # interpreter lock the two are ordered by the lock that a deque has of its own.)
        self.look_at = 0

    @property
    def is_short_of_room(self) -> bool:
        """Whether half of the room was in use when a worker was last woken."""
        return self.woken_for & ROOM != 0

    @property
    def is_congested(self) -> bool:
        """Whether entries come faster than they are taken, and throttling the callers helps."""
        backpressure = self.backpressure
        return len(self._contents.queue.entries) >= backpressure.congested_at or (
            self.woken_for & ROOM != 0 and backpressure.has_patience
        )

    @property
    def is_nearly_empty(self) -> bool:
        """Whether throttling can stop."""
        return len(self._contents.queue.entries) < NO_CONGESTION and not self.woken_for & ROOM

    def reasons(self) -> WakeReasons:
        """All present reasons, whether or not a worker was woken for them."""
        return wake_reasons(self._contents, self._limits, is_room_wanted=self.is_room_wanted)

    def look(self) -> bool:
        """Whether to wake a worker, for a new reason or because of congestion."""
        reasons = self.reasons()
        is_news = reasons & ~self.woken_for != 0
        self.woken_for |= reasons
        self.plan_look()
        return is_news or self.is_congested

    def plan_look(self) -> None:
        """Compute when there may be another reason."""
        self.look_at = next_look(
            self._contents,
            self._limits,
            self.woken_for,
            congested_at=self.backpressure.congested_at,
            may_throttle=self.backpressure.has_patience,
        )

    def taken(self) -> None:
        """Note that a worker took entries, and so knows the remaining ones without being woken."""
        self.backpressure.taken(len(self._contents.queue.entries))
        self.is_room_wanted = False
        self.woken_for = (self.reasons() & (FIRST | BATCH | LARGE)) | (self.woken_for & DROPS)

    def put_back(self) -> None:
        """Note that a worker put entries back, and so knows them without being woken."""
        self.woken_for |= FIRST

    def settled(self) -> None:
        """Note that records were settled, so that there may be room."""
        if self.woken_for & ROOM and not self.reasons() & ROOM:
            self.woken_for &= ~ROOM

    def claimed_drops(self) -> None:
        """Note that all drops are claimed; the next one wakes a worker again."""
        self.woken_for &= ~DROPS
