"""When to wake a worker, and when callers pause briefly for it."""

from __future__ import annotations

import math
import threading
import time
from typing import NamedTuple, TypeAlias

from logplex_handler._buffer.backpressure import (
    NO_CONGESTION,
    PATIENCE_WITH_A_DISK,
    Backpressure,
)
from logplex_handler._buffer.bounded_queue import BoundedQueue, BufferLimits
from logplex_handler._buffer.first_entries import FEW, MORE, Owner
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.weighed_queue import FlushMark
from logplex_handler._wire.entry import LIGHT, Entry, Weigh

# The number of looks at the queue while the second half of the room fills, if no entries are taken.
# At each look, the caller may be throttled, so that the room lasts longer than the throttling.
_LOOKS_WHILE_HALF_FULL = 64
# The fewest entries between two looks at a queue that is nearly half full.
_LEAST_BETWEEN_LOOKS = 64

# Reasons to wake a worker, as bits of one number. (With an enum.Flag, each look would cost half as
# much again.) FIRST: an entry waits, so a batch is due in `flush_interval`.
FIRST = 1
# There is a full batch, or a caller waits for room.
BATCH = 2
# There is a large batch, or a full one while memory is scarce.
LARGE = 4
# Half of the room is in use.
ROOM = 8
# There are drops to report.
DROPS = 16

WakeReasons: TypeAlias = int


def wake_reasons(queue: BoundedQueue, *, is_room_wanted: bool = False) -> WakeReasons:
    """Return all present reasons to wake a worker, whether or not one was woken for them."""
    reasons = DROPS if queue.ledger.has_unreported else 0
    limits = queue.limits
    if queue.entries:
        if queue.since != math.inf:
            reasons |= FIRST
        frames = queue.frames
        is_full_by_bytes = queue.known_bytes >= limits.batch_bytes
        if frames >= limits.batch_frames or is_full_by_bytes or is_room_wanted:
            reasons |= BATCH
            if frames >= limits.large_batch_frames or is_full_by_bytes or queue.is_memory_scarce:
                reasons |= LARGE
    # Without a disk, there is no need to estimate: light entries are weighed once they might fill
    # the room.
    held = queue.likely_bytes if limits.has_disk else queue.known_bytes
    return reasons | ROOM if held > queue.half_of_room else reasons


def next_look(
    queue: BoundedQueue, woken_for: WakeReasons, *, congested_at: int, may_throttle: bool
) -> int:
    """Return the queue length at which light entries may be a new reason, or fill the room.

    The length includes dropped entries. It is 0 if the next entry is a reason in any case. Callers
    that `may_throttle` are throttled while half of the room is in use.
    """
    entries = len(queue.entries)
    if not (entries and woken_for & FIRST) or queue.since == math.inf:
        return 0
    limits, most_bytes = queue.limits, queue.most_bytes
    more = (queue.most_unweighed(knows_batch=woken_for & BATCH != 0) - most_bytes) // LIGHT
    if limits.has_disk or queue.known_bytes:
        if woken_for & ROOM:
            if may_throttle:
                left = queue.allowed - queue.in_transit_bytes - most_bytes
                more = min(more, left // queue.usual_bytes // _LOOKS_WHILE_HALF_FULL)
        elif limits.has_disk:
            left = queue.half_of_room - queue.likely_bytes
            more = min(more, left // queue.usual_bytes)
        else:
            left = queue.half_of_room - queue.known_bytes
            more = min(more, max(_LEAST_BETWEEN_LOOKS, left // LIGHT))
    look_at = min(queue.gone + congested_at, entries + max(0, more) + 1)
    if not woken_for & LARGE:
        is_enough = not woken_for & BATCH or queue.is_memory_scarce
        wanted = limits.batch_frames if is_enough else limits.large_batch_frames
        look_at = min(look_at, entries + wanted - queue.frames)
    return look_at


class Backlog(NamedTuple):
    """The waiting records, from which a worker decides when to send.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether the records' number or size makes a batch due, or a caller waits for
            room.
        pressing: Whether the records make a large batch, or a full one while memory is scarce, or
            come faster than they are taken; or whether a caller waits for room.
        since: When the first record that makes a batch due came, on the monotonic clock.
        flushing: Whether a flush waits for some of the records, or of those in transit.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool


# The state of a queue whose callers were never throttled.
_CALM = Backpressure()


class WakingQueue(BoundedQueue):
    """A bounded queue that knows when to wake a worker, and when to throttle callers.

    A worker is woken once for each reason, and not again until it has taken entries. While the
    queue is congested, every look wakes one.

    Attributes:
        owner: What has the queue; workers are told of it.
        woken_for: The reasons for which a worker was woken.
        look_at: The length of the queue from which a light entry is a reason to look.
        backpressure: None until callers are throttled for the first time.
    """

    __slots__ = (
        "_is_room_wanted", "_latest_flush", "backpressure", "look_at", "owner", "woken_for",
    )  # fmt: skip

    def __init__(
        self,
        limits: BufferLimits,
        weigh: Weigh,
        pool: MemoryPool | None,
        lock: threading.RLock,
        owner: Owner | None,
    ) -> None:
        super().__init__(limits, weigh, pool, lock)
        self.owner = owner
        self.backpressure: Backpressure | None = None
        self.woken_for: WakeReasons = 0
        # Whether a caller waits for room.
        self._is_room_wanted = False
        # Read without a lock after a light entry was appended. What lowers it while the queue is
        # not empty looks again afterwards: a worker before it sleeps, a caller of `put` at once. So
        # one of them, or the caller that appends, sees an entry that was appended meanwhile.
        # (Without a global interpreter lock, the list's own lock orders the two.)
        self.look_at = 0
        # A mark after all entries queued when the last flush began; it stays after that flush ends.
        self._latest_flush: FlushMark | None = None

    @property
    def is_short_of_room(self) -> bool:
        """Whether half of the room was in use when a worker was last woken."""
        return self.woken_for & ROOM != 0

    @property
    def is_congested(self) -> bool:
        """Whether entries come faster than they are taken, and throttling the callers helps."""
        backpressure = self.backpressure or _CALM
        return self.queued >= backpressure.congested_at or (
            self.is_short_of_room and backpressure.has_patience
        )

    @property
    def is_nearly_empty(self) -> bool:
        return self.queued < NO_CONGESTION and not self.is_short_of_room

    @property
    def _knows_batch(self) -> bool:
        is_full_by_bytes = self.known_bytes >= self.limits.batch_bytes
        return is_full_by_bytes or self.woken_for & BATCH != 0

    def _backpressure_of_its_own(self) -> Backpressure:
        if self.backpressure is None:
            has_disk = self.limits.has_disk
            self.backpressure = Backpressure(PATIENCE_WITH_A_DISK) if has_disk else Backpressure()
        return self.backpressure

    def _reasons(self) -> WakeReasons:
        return wake_reasons(self, is_room_wanted=self._is_room_wanted)

    def _has_news(self) -> bool:
        """Return whether to wake a worker, for a new reason or because of congestion."""
        reasons = self._reasons()
        is_news = reasons & ~self.woken_for != 0
        self.woken_for |= reasons
        self._plan_look()
        return is_news or self.is_congested

    def _note_first(self) -> bool:
        """Note that the first entry waits, and return whether that was all that there was to do.

        Then the worker that looks at the queue reserves memory for the entry, or weighs it.
        """
        first = None if self._pool is None else self._pool.first_entries
        if (
            first is None
            or self.owner is None
            or self.since != math.inf
            or self.queued != 1
            or self.woken_for
            or not self.taken
            or self.heavy
            or self._never_waking
            or self._is_abandoned
            or len(first.waiting) >= first.most_waiting
        ):
            return False
        self.since = time.monotonic()
        self.woken_for = FIRST
        self.look_at = FEW + 1
        return True

    def _leave_to_worker(self) -> bool:
        """Leave all entries to the worker that was told of the first one; return whether it may be.

        It may if memory is reserved for them and for more, which needs no look at them. If few
        bytes are left, all are weighed, and must fit into what is reserved or kept for a few.
        """
        pool, number = self._pool, self.queued
        first = None if pool is None else pool.first_entries
        if (
            pool is None
            or first is None
            or self.in_transit
            or self.heavy
            or self._is_abandoned
            or self.ledger.has_unreported
            or number >= first.most_unseen
        ):
            return False
        most = min(number + MORE, first.most_unseen)
        if not self.weighed:
            pool.reserve_exactly(self, most * LIGHT)
        if self.weighed or self.allowed < most * LIGHT:
            room = self.allowed or FEW * LIGHT
            while self.weighed < number and self.weighed_bytes <= room:
                self._keep_next(*self.weigh(self.entries[self.gone + self.weighed]))
            left = room - self.weighed_bytes
            if left < 0:
                return False
            most = min(number + left // LIGHT, first.most_unseen)
        self.look_at = self.gone + most + 1
        return True

    def _tell_of_first(self) -> bool:
        """Tell a worker of the first entry; return whether the caller must wake one, too."""
        # Read once: the stream may just be let go of.
        owner, first = self.owner, None if self._pool is None else self._pool.first_entries
        if first is None or owner is None:
            return True
        return first.put(owner, self.since)

    def look_again(self) -> None:
        """Look at the next entry as if no worker had been woken."""
        with self.lock:
            self.woken_for = self.look_at = 0

    def _plan_look(self) -> None:
        backpressure = self.backpressure or _CALM
        self.look_at = next_look(
            self,
            self.woken_for,
            congested_at=backpressure.congested_at,
            may_throttle=backpressure.has_patience,
        )

    def _append_between_looks(self, entry: Entry, size: int, frames: int) -> bool:
        """Append an entry, unless the next look is due with it; return whether it was appended."""
        # The number of light entries whose places it takes, at least one.
        entries, look_at, places = self.entries, self.look_at, size // self.usual_bytes + frames
        if len(entries) + places >= look_at:
            return False
        self.look_at = look_at - places + 1
        # What `_append` does, without its call.
        if size > LIGHT or frames > 1:
            self.heavy += 1
            self.heavy_bytes += size
            self.heavy_frames += frames
        entries.append(entry)
        return True

    def _note_taken(self) -> None:
        """Record that a worker took entries, and so knows the others without being woken."""
        if self.backpressure is not None:
            self.backpressure.taken(self.queued)
        self._is_room_wanted = False
        known = self._reasons() & (FIRST | BATCH | LARGE) if self.entries else 0
        self.woken_for = known | (self.woken_for & DROPS)
        self.look_at = 0

    def _note_room(self) -> None:
        if self.is_short_of_room and not self._reasons() & ROOM:
            self.woken_for &= ~ROOM

    def _backlog(self) -> Backlog:
        latest, since, queued = self._latest_flush, self.since, self.queued
        # Those that matter here need an entry.
        reasons = self._reasons() if queued else 0
        if since == math.inf and queued > self._never_waking:
            # An interrupted operation, perhaps of another queue, keeps this one from catching up.
            since = time.monotonic()
        return Backlog(
            records=queued,
            full_batch=reasons & BATCH != 0,
            pressing=self._is_room_wanted or reasons & LARGE != 0 or self.is_congested,
            since=since if self.entries else math.inf,
            flushing=latest is not None and not self._has_left(latest),
        )
