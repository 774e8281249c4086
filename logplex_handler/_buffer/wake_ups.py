"""Whether a worker is to be woken, and whether callers are to be throttled."""

from __future__ import annotations

from logplex_handler._buffer.backpressure import NO_CONGESTION, PATIENCE_WITH_A_DISK, Backpressure
from logplex_handler._buffer.due import BATCH, DROPS, FIRST, LARGE, ROOM, Reasons, due, next_look
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.snapshot import Snapshot


class WakeUps:
    """The reasons for which a worker was woken, and when to look for others. The owner guards it.

    A worker is woken for each reason once, and not again until it has taken entries. While the
    queue is congested, it is woken for every entry that looks.

    Attributes:
        reported: The reasons for which a worker was woken.
        is_room_wanted: Whether a caller waits for room.
        look_at: How long the queue is when a light entry is a reason to look.
    """

    __slots__ = ("_limits", "backpressure", "is_room_wanted", "look_at", "reported")

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        self.backpressure = (
            Backpressure(PATIENCE_WITH_A_DISK) if limits.has_disk else Backpressure()
        )
        self.reported: Reasons = 0
        self.is_room_wanted = False
        # Read without a lock, after a light entry was appended. Only `taken` lowers it while the
        # queue is not empty, and a worker that takes looks again before it sleeps, so an entry that
        # was appended meanwhile is seen by one of the two. (Without a global interpreter lock the
        # two are ordered by the lock that a deque has of its own.)
        self.look_at = 0

    def reasons(self, now: Snapshot) -> Reasons:
        """All reasons that there are, whether or not a worker was woken for them."""
        return due(now, self._limits, is_room_wanted=self.is_room_wanted)

    def look(self, now: Snapshot) -> bool:
        """Whether a worker is to be woken, for a reason that is new or for congestion."""
        reasons = self.reasons(now)
        is_news = reasons & ~self.reported != 0
        self.reported |= reasons
        self.predict(now)
        return is_news or self.is_congested(now.entries)

    def predict(self, now: Snapshot) -> None:
        """See when there may be another reason."""
        self.look_at = next_look(
            now,
            self._limits,
            self.reported,
            congested_at=self.backpressure.congested_at,
            may_throttle=self.backpressure.has_patience,
        )

    def taken(self, now: Snapshot) -> None:
        """A worker took entries, so it knows what is left without being woken for it."""
        self.backpressure.taken(now.entries)
        self.is_room_wanted = False
        self.reported = (self.reasons(now) & (FIRST | BATCH | LARGE)) | (self.reported & DROPS)
        self.predict(now)

    def put_back(self) -> None:
        """A worker put entries back, which it knows without being woken."""
        self.reported |= FIRST

    def settled(self, now: Snapshot) -> None:
        """Records were settled, so there may be room though nothing was taken."""
        if self.is_short_of_room and not self.reasons(now) & ROOM:
            self.reported &= ~ROOM
        self.predict(now)

    def drops_reported(self) -> None:
        """All drops were reported; for the next one a worker is woken again."""
        self.reported &= ~DROPS

    @property
    def is_short_of_room(self) -> bool:
        """Whether half of the room was taken when a worker was last woken."""
        return self.reported & ROOM != 0

    def is_congested(self, queued: int) -> bool:
        """Whether entries come faster than they are taken, and throttling their callers helps."""
        return queued >= self.backpressure.congested_at or (
            self.is_short_of_room and self.backpressure.has_patience
        )

    def is_nearly_empty(self, queued: int) -> bool:
        """Whether throttling any longer is of no use."""
        return queued < NO_CONGESTION and not self.is_short_of_room
