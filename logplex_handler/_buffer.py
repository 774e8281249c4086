"""One stream's bounded queue, and the books of its records.

An entry is opaque here: what it holds and makes is known to the `weigh` that the buffer is given.

Most entries are *light*: known to hold at most `LIGHT` bytes and to make one packet. A light entry
is appended without a lock and not weighed until there are so many that the bound, or a batch by its
size, could be reached; where the sender keeps up, that is never. So a queue is a part that was
weighed, and light entries behind it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from logplex_handler._books import Books
from logplex_handler._crowd import NO_CROWD, Crowd
from logplex_handler._weight import LIGHT

Entry = tuple[Any, ...]
# The bytes of memory that an entry holds, and the packets that it will make. The same each time.
Weigh = Callable[[Entry], tuple[int, int]]
OnFull = Literal["drop_oldest", "drop_newest", "block"]


# Entries that are weighed beyond what is needed, so as not to be there again at the next one.
_WEIGHED_IN_ADVANCE = 512


@dataclass(frozen=True)
class BufferLimits:
    """How much may wait, and what a full buffer does.

    Attributes:
        max_bytes: Memory that entries may hold, those being sent included.
        on_full: Who gives way, or `block` to wait.
        batch_frames: Packets that make a batch due.
        batch_bytes: Bytes that make a batch due.
    """

    max_bytes: int
    on_full: OnFull
    batch_frames: int
    batch_bytes: int


@dataclass(frozen=True)
class Waiting:
    """What waits at one moment, for whoever decides when to send it.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether they make a batch due by their number or size, or are in the way.
        pressing: Whether somebody waits for their room, or they come faster than they are taken.
        since: When the first of them came that is a reason to send, on the monotonic clock.
        flushing: Whether some of them, or of those being sent, are to be flushed.
        somebody_waits: Whether somebody waits for them at this moment.
        unheard_drops: Whether there were drops since `drops` was last called.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool
    somebody_waits: bool
    unheard_drops: bool


class Buffer:
    """A queue of entries with a bound in bytes. Every method may be called from any thread."""

    def __init__(self, limits: BufferLimits, weigh: Weigh) -> None:
        self._limits = limits
        self._weigh = weigh
        # Guards every attribute below, but for appending to the queue, and is held for a few
        # operations only. It is re-entrant because a garbage collection or a signal may strike
        # under it, and what they run may log: that entry is appended, and for as long as `_busy`
        # says so, all else is left to the operation that was interrupted.
        self._lock = threading.RLock()
        # Notified when records leave: for those who flush, and for those who wait for room.
        self._changed = threading.Condition(self._lock)
        self._busy = False
        self._books = Books()
        self._queue: deque[Entry] = deque()
        # Of the entries at its front that were weighed.
        self._weighed = 0
        self._weighed_bytes = 0
        self._weighed_frames = 0
        # How long the queue is when a light entry is a reason to look. Who appends reads it after
        # that, and who writes it sees the queue after that, so that none is overlooked, with a
        # global interpreter lock or without.
        self._look_at = 0
        # The first entry that is not quiet starts the clock; there are so many before it.
        self._first_at = self._taken_first_at = math.inf
        self._quiet = 0
        # Of what was taken to be sent: how much there is, and how many entries came before it.
        self._sending = 0
        self._sending_bytes = 0
        self._sending_from = 0
        # All that ever left the queue at its front.
        self._left = 0
        self._flush_mark = 0
        self._flushers = 0
        # Why records are dropped as they come, if they are; and how many had come before.
        self._turned_away: str | None = None
        self._turned_away_from = 0
        self._crowd = Crowd()
        self._crowded = False
        self._room_wanted = False
        self._woken_for_first = self._woken_for_batch = self._woken_for_drops = False

    def put_light(self, entry: Entry) -> bool:
        """Queue a light entry; whether the sender should be woken for it."""
        queue = self._queue
        queue.append(entry)
        return len(queue) >= self._look_at and self._look()

    def put(self, entry: Entry, *, may_wait: bool = False, quiet: bool = False) -> bool | None:
        """Queue an entry or count it as dropped; whether the sender should be woken for it.

        A `quiet` entry is no reason to send: it goes with the next batch that there is, and nothing
        gives way to it. None if there is no room for it, or for one whose caller `may_wait`: then
        nothing has been done.
        """
        size, _ = self._weigh(entry)
        with self._lock:
            if self._turned_away is not None:
                self.turn_down()
                return False
            if quiet or may_wait:
                self._tidy(weigh=True)
                if not self._fits(size) and (quiet or size <= self._limits.max_bytes):
                    self._room_wanted |= may_wait
                    return None
            if quiet and self._first_at == math.inf:
                self._quiet += 1
            self._queue.append(entry)
            return self._look(weigh=True)

    @property
    def crowded(self) -> bool:
        """Whether entries were coming faster than leaving when somebody was last to be woken."""
        return self._crowded

    def wait_for_less_of_a_crowd(self, seconds: float) -> None:
        """Let others take entries for so long at most, together with all who put more meanwhile.

        Where nothing is taken for a while, nobody waits until something is.
        """
        with self._lock:
            seconds = self._crowd.stand_back(time.monotonic(), seconds)
            self._tidy()
            self._changed.wait_for(
                lambda: self._turned_away is not None or len(self._queue) < NO_CROWD, seconds
            )
            self._crowd.go_on(time.monotonic(), len(self._queue))
            self._tidy()

    def refuse(self, cause: str) -> bool:
        """Drop a record that never became an entry; whether the sender should be woken for it."""
        with self._lock:
            if self._turned_away is not None:
                self.turn_down()
                return False
            self._books.drop(cause, never_queued=1)
            return self._news()

    def turn_down(self) -> None:
        """Count a record of which nobody is told: there is no stream any more, or none yet."""
        with self._lock:
            if self._turned_away is not None:
                self._books.turn_down(self._turned_away)

    def turn_away(self, cause: str) -> None:
        """From now on every record is turned down, with this cause."""
        with self._lock:
            self._turned_away_from = self._left + len(self._queue)
            self._turned_away = cause
            self._tidy()
            self._changed.notify_all()

    @property
    def turned_away(self) -> str | None:
        """Why records are dropped as they come, if they are."""
        return self._turned_away

    def waiting(self) -> Waiting:
        """What waits now."""
        with self._lock:
            self._tidy()
            return Waiting(
                records=len(self._queue),
                full_batch=self._full_batch(),
                pressing=self._room_wanted or len(self._queue) >= self._crowd.at,
                since=self._first_at if self._queue else math.inf,
                flushing=self._removed() < self._flush_mark,
                somebody_waits=self._flushers > 0,
                unheard_drops=self._books.unheard,
            )

    def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries to send; they stay in the books until they are settled.

        What they weigh stays in the bound; the light ones are let out of it until `holds` says what
        they have become.
        """
        taken: list[Entry] = []
        queue = self._queue
        with self._lock:
            self._tidy()
            number = min(most, len(queue))
            size, frames = self._weight_of(min(number, self._weighed))
            if not self._sending:
                self._sending_from = self._left
            self._busy = True
            try:
                while len(taken) < number:
                    taken.append(queue.popleft())
            finally:
                number = len(taken)
                self._weighed = max(0, self._weighed - number)
                self._weighed_bytes -= size
                self._weighed_frames -= frames
                self._sending += number
                self._sending_bytes += size
                self._left += number
                self._busy = False
            self._quiet = max(0, self._quiet - number)
            self._taken_first_at = self._first_at
            if not queue:
                self._first_at = math.inf
            self._crowd.taken(len(queue))
            self._room_wanted = False
            self._woken_for_first = self._clock_runs()
            self._woken_for_batch = self._full_batch()
            self._tidy()
            self._changed.notify_all()
        return taken

    def holds(self, size: int) -> None:
        """What was taken holds so many bytes now."""
        with self._lock:
            if self._sending:
                self._sending_bytes = size
                self._tidy()

    def give_back(self, entries: list[Entry]) -> None:
        """Put the last of the taken entries back, in their order."""
        with self._lock:
            if not self._sending:
                # They were abandoned meanwhile.
                return
            for entry in reversed(entries):
                size, frames = self._weigh(entry)
                self._weighed_bytes += size
                self._weighed_frames += frames
                self._weighed += 1
                self._sending -= 1
                self._left -= 1
                self._queue.appendleft(entry)
            self._first_at = min(self._first_at, self._taken_first_at, time.monotonic())
            self._woken_for_first = self._clock_runs()
            self._tidy()

    def settle(self, *, delivered: int = 0, dropped: int = 0, cause: str = "refused") -> None:
        """Count records that were taken. Their memory is free when all of them are counted."""
        with self._lock:
            if not self._sending:
                # They were abandoned meanwhile, or the batch was a notice alone.
                return
            self._sending -= delivered + dropped
            self._books.delivered += delivered
            if dropped:
                self._books.drop(cause, dropped)
            if not self._sending:
                self._sending_bytes = 0
            self._tidy()
            self._changed.notify_all()

    def abandon(self, cause: str) -> int:
        """Drop all that is left, for good; how many. What was being sent is not waited for."""
        with self._lock:
            self._tidy()
            left = self._sending + len(self._queue)
            self._sending = self._sending_bytes = 0
            self._weighed = self._weighed_bytes = self._weighed_frames = 0
            for _ in range(len(self._queue)):
                self._left += 1
                self._queue.popleft()
            if left:
                self._books.drop(cause, left)
            self._tidy()
            self._changed.notify_all()
            return left

    def ever_dropped(self) -> int:
        """How many drops there ever were that are to be told of."""
        with self._lock:
            return sum(self._books.to_be_told.values())

    def drops(self) -> dict[str, int]:
        """All these drops by cause, for whoever tells of them."""
        with self._lock:
            self._woken_for_drops = False
            return self._books.hear()

    def begin_flush(self) -> int:
        """Have what is queued now sent at once; the mark for `wait_until_removed`."""
        with self._lock:
            # What is too heavy leaves a gap in the queue, so that has to be seen before.
            self._tidy(weigh=True)
            self._flush_mark = self._left + self._weighed
            self._flushers += 1
            return self._flush_mark

    def end_flush(self) -> None:
        """Nobody waits any more for what `begin_flush` has asked for."""
        with self._lock:
            self._flushers -= 1

    def wait_until_removed(self, mark: int, seconds: float) -> bool:
        """Wait until all that was queued before the mark has left; False when time is over."""
        with self._lock:
            return self._changed.wait_for(lambda: self._removed() >= mark, seconds)

    def wait_for_room(self, size: int, seconds: float) -> None:
        """Wait until an entry of this size fits or is turned away, or the time is over."""
        with self._lock:
            self._changed.wait_for(
                lambda: self._turned_away is not None or self._fits(size), seconds
            )

    def books(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self._lock:
            self._tidy()
            queued = len(self._queue)
            accepted = self._left + queued + self._books.never_queued
            pending = queued + self._sending
            return accepted, self._books.delivered, pending, self._books.dropped_by_cause()

    def _look(self, *, weigh: bool = False) -> bool:
        """See to what was appended; whether there is something to wake the sender for."""
        with self._lock:
            self._tidy(weigh=weigh)
            news = self._news()
            self._look_at = self._next_look()
            return news

    # The methods below are called with the lock held.

    def _tidy(self, *, weigh: bool = False) -> None:
        """See to what was appended; weigh it if that is asked for, or a limit may be reached.

        Who is not told of news leaves it to the next look.
        """
        if self._busy:
            return
        self._busy = True
        try:
            if self._turned_away is not None:
                self._turn_down_late_ones()
            elif self._first_at == math.inf and len(self._queue) > self._quiet:
                self._first_at = time.monotonic()
            self._weigh_some(weigh)
        finally:
            self._busy = False
        self._look_at = self._next_look()

    def _next_look(self) -> int:
        """How long the queue is when a limit may be reached; 0 if somebody is to be woken."""
        if not (self._woken_for_first and self._clock_runs()) or self._turned_away is not None:
            return 0
        limits = self._limits
        room = limits.max_bytes - self._at_most_held()
        look_at = limits.batch_frames - self._weighed_frames + self._weighed
        if self._woken_for_batch:
            return min(self._crowd.at, len(self._queue) + max(0, room // LIGHT) + 1)
        room = min(room, limits.batch_bytes - self._at_most_queued())
        return min(look_at, len(self._queue) + max(0, room // LIGHT) + 1)

    def _may_reach_a_limit(self) -> bool:
        return self._at_most_held() > self._limits.max_bytes or (
            self._at_most_queued() >= self._limits.batch_bytes and not self._woken_for_batch
        )

    def _at_most_queued(self) -> int:
        return self._weighed_bytes + (len(self._queue) - self._weighed) * LIGHT

    def _at_most_held(self) -> int:
        return self._at_most_queued() + self._sending_bytes

    def _fits(self, size: int) -> bool:
        """Whether there is room for it beside what was weighed."""
        return self._weighed_bytes + self._sending_bytes + size <= self._limits.max_bytes

    def _weigh_some(self, everything: bool) -> None:
        """Weigh what may reach a limit, and some more; or everything."""
        queue = self._queue
        enough = self._weighed
        while self._weighed < len(queue) and (
            everything or self._may_reach_a_limit() or self._weighed < enough
        ):
            if self._may_reach_a_limit():
                enough = self._weighed + _WEIGHED_IN_ADVANCE
            size, frames = self._weigh(queue[self._weighed])
            if not self._fits(size):
                self._make_room(size)
            if self._fits(size):
                self._weighed_bytes += size
                self._weighed_frames += frames
                self._weighed += 1
            else:
                self._books.drop("buffer_full", never_queued=1)
                del queue[self._weighed]

    def _make_room(self, size: int) -> None:
        """Have the oldest give way, if they may, and if that is enough."""
        limits = self._limits
        if limits.on_full != "drop_oldest" or self._sending_bytes + size > limits.max_bytes:
            return
        while self._weighed and not self._fits(size):
            oldest, frames = self._weight_of(1)
            self._books.drop("buffer_full")
            self._weighed -= 1
            self._weighed_bytes -= oldest
            self._weighed_frames -= frames
            self._left += 1
            self._queue.popleft()

    def _weight_of(self, number: int) -> tuple[int, int]:
        """What so many of the first entries weigh."""
        size = frames = 0
        for index in range(number):
            more, more_frames = self._weigh(self._queue[index])
            size += more
            frames += more_frames
        return size, frames

    def _turn_down_late_ones(self) -> None:
        while self._left + len(self._queue) > self._turned_away_from:
            self.turn_down()
            self._queue.pop()

    def _clock_runs(self) -> bool:
        return bool(self._queue) and self._first_at != math.inf

    def _full_batch(self) -> bool:
        limits = self._limits
        frames = self._weighed_frames + len(self._queue) - self._weighed
        return (
            frames >= limits.batch_frames
            or self._weighed_bytes >= limits.batch_bytes
            or (self._room_wanted and bool(self._queue))
        )

    def _removed(self) -> int:
        """How many entries have left of those that were ever queued, without a gap."""
        return self._sending_from if self._sending else self._left

    def _news(self) -> bool:
        """Whether there is something that the sender was not woken for yet.

        Three wake-ups at most for a batch: the first entry starts the clock, the last one makes it
        due, and drops are to be told.
        """
        first = not self._woken_for_first and self._clock_runs()
        full = not self._woken_for_batch and self._full_batch()
        drops = not self._woken_for_drops and self._books.unheard
        self._woken_for_first |= first
        self._woken_for_batch |= full
        self._woken_for_drops |= drops
        self._crowded = len(self._queue) >= self._crowd.at
        return first or full or drops or self._crowded
