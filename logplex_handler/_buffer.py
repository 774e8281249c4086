"""One stream's bounded queue, and the books of its records.

An entry is opaque here but for its first two items: the bytes of memory that it holds and the
packets that it will make.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

Entry = tuple[Any, ...]
OnFull = Literal["drop_oldest", "drop_newest", "block"]

_CAUSES = ("buffer_full", "refused", "inactive", "closed", "shutdown", "format_error")


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
        since: When the first of them came that is a reason to send, on the monotonic clock.
        flushing: Whether some of them, or of those being sent, are to be flushed.
        somebody_waits: Whether somebody waits for them at this moment.
        unheard_drops: Whether there were drops since `drops` was last called.
    """

    records: int
    full_batch: bool
    since: float
    flushing: bool
    somebody_waits: bool
    unheard_drops: bool


class Buffer:
    """A queue of entries with a bound in bytes. Every method may be called from any thread."""

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        # Guards every attribute below, and is held for a few operations only. It is re-entrant
        # because a garbage collection or a signal may strike under it, and what they run may log:
        # a nested `put` sees each operation either done or not begun. Near the recursion limit any
        # call may fail, so what belongs together in the books is written without a call between.
        lock = threading.RLock()
        # Notified when records leave: for those who flush, and for those who wait for room.
        self._changed = threading.Condition(lock)
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._queued_frames = 0
        self._first_at = math.inf
        # Of what was taken to be sent: how much there is, and how many entries came before it.
        self._sending = 0
        self._sending_bytes = 0
        self._sending_from = 0
        self._ever_queued = 0
        self._never_queued = 0
        self._flush_mark = 0
        self._flushers = 0
        self._delivered = 0
        self._dropped = dict.fromkeys(_CAUSES, 0)
        # Those of them to be told of, which are all but those turned away.
        self._drops = dict.fromkeys(_CAUSES, 0)
        self._turned_away: str | None = None
        self._room_wanted = False
        self._unheard_drops = False
        self._woken_for_first = self._woken_for_batch = self._woken_for_drops = False

    def put(self, entry: Entry, *, may_wait: bool = False, quiet: bool = False) -> bool | None:
        """Queue an entry or count it as dropped; whether the sender should be woken for it.

        A `quiet` entry is no reason to send: it goes with the next batch that there is, and nothing
        gives way to it. None if there is no room for it, or for one whose caller `may_wait`: then
        nothing has been done.
        """
        with self._changed:
            if self._turned_away is not None:
                self.turn_down()
                return False
            size = entry[0]
            if self._held() + size > self._limits.max_bytes:
                if quiet:
                    return None
                if may_wait and size <= self._limits.max_bytes:
                    self._room_wanted = True
                    return None
                if not self._make_room(size):
                    return self.refuse("buffer_full")
            if not self._queue:
                self._first_at = math.inf
            if not quiet and self._first_at == math.inf:
                self._first_at = time.monotonic()
            self._queue.append(entry)
            self._ever_queued += 1
            self._queued_bytes += size
            self._queued_frames += entry[1]
            return self._news()

    def refuse(self, cause: str) -> bool:
        """Drop a record that never became an entry; whether the sender should be woken for it."""
        with self._changed:
            if self._turned_away is not None:
                self.turn_down()
                return False
            self._never_queued += 1
            self._dropped[cause] += 1
            self._drops[cause] += 1
            self._unheard_drops = True
            return self._news()

    def turn_down(self) -> None:
        """Count a record of which nobody is told: there is no stream any more, or none yet."""
        with self._changed:
            if self._turned_away is not None:
                self._never_queued += 1
                self._dropped[self._turned_away] += 1

    def turn_away(self, cause: str) -> None:
        """From now on every record is turned down, with this cause."""
        with self._changed:
            self._turned_away = cause
            self._changed.notify_all()

    @property
    def turned_away(self) -> str | None:
        """Why records are dropped as they come, if they are."""
        return self._turned_away

    def waiting(self) -> Waiting:
        """What waits now."""
        with self._changed:
            return Waiting(
                records=len(self._queue),
                full_batch=self._full_batch(),
                since=self._first_at if self._queue else math.inf,
                flushing=self._removed() < self._flush_mark,
                somebody_waits=self._flushers > 0,
                unheard_drops=self._unheard_drops,
            )

    def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries to send; they stay in the books and the bound until settled."""
        taken: list[Entry] = []
        with self._changed:
            if not self._sending:
                self._sending_from = self._ever_queued - len(self._queue)
            while self._queue and len(taken) < most:
                entry = self._queue.popleft()
                self._move_to_sending(entry, 1)
                taken.append(entry)
            self._room_wanted = False
            self._woken_for_first = self._clock_runs()
            self._woken_for_batch = self._full_batch()
        return taken

    def give_back(self, entries: list[Entry]) -> None:
        """Put the last of the taken entries back, in their order."""
        with self._changed:
            if not self._sending:
                # They were abandoned meanwhile.
                return
            for entry in reversed(entries):
                self._queue.appendleft(entry)
                self._move_to_sending(entry, -1)
            # A quiet entry may have begun the queue anew meanwhile.
            self._first_at = min(self._first_at, time.monotonic())
            self._woken_for_first = self._clock_runs()

    def settle(self, *, delivered: int = 0, dropped: int = 0, cause: str = "refused") -> None:
        """Count records that were taken. Their memory is free when all of them are counted."""
        with self._changed:
            if not self._sending:
                # They were abandoned meanwhile, or the batch was a notice alone.
                return
            self._sending -= delivered + dropped
            self._delivered += delivered
            if dropped:
                self._drop(cause, dropped)
            if not self._sending:
                self._sending_bytes = 0
            self._changed.notify_all()

    def abandon(self, cause: str) -> int:
        """Drop all that is left, for good; how many. What was being sent is not waited for."""
        with self._changed:
            left = len(self._queue) + self._sending
            self._queue.clear()
            self._queued_bytes = self._queued_frames = self._sending = self._sending_bytes = 0
            if left:
                self._drop(cause, left)
            self._changed.notify_all()
            return left

    def ever_dropped(self) -> int:
        """How many drops there ever were that are to be told of."""
        with self._changed:
            return sum(self._drops.values())

    def drops(self) -> dict[str, int]:
        """All these drops by cause, for whoever tells of them."""
        with self._changed:
            self._unheard_drops = self._woken_for_drops = False
            return {cause: number for cause, number in self._drops.items() if number}

    def begin_flush(self) -> int:
        """Have what is queued now sent at once; the mark for `wait_until_removed`."""
        with self._changed:
            self._flush_mark = self._ever_queued
            self._flushers += 1
            return self._flush_mark

    def end_flush(self) -> None:
        """Nobody waits any more for what `begin_flush` has asked for."""
        with self._changed:
            self._flushers -= 1

    def wait_until_removed(self, mark: int, seconds: float) -> bool:
        """Wait until all that was queued before the mark has left; False when time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._removed() >= mark, seconds)

    def wait_for_room(self, size: int, seconds: float) -> None:
        """Wait until an entry of this size fits or is turned away, or the time is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._turned_away is not None or self._held() + size <= self._limits.max_bytes
                ),
                seconds,
            )

    def books(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self._changed:
            accepted = self._ever_queued + self._never_queued
            pending = len(self._queue) + self._sending
            dropped = {cause: number for cause, number in self._dropped.items() if number}
            return accepted, self._delivered, pending, dropped

    # The methods below are called with the lock held.

    def _held(self) -> int:
        return self._queued_bytes + self._sending_bytes

    def _clock_runs(self) -> bool:
        return bool(self._queue) and self._first_at != math.inf

    def _full_batch(self) -> bool:
        limits = self._limits
        return (
            self._queued_frames >= limits.batch_frames
            or self._queued_bytes >= limits.batch_bytes
            or (self._room_wanted and bool(self._queue))
        )

    def _removed(self) -> int:
        """How many entries have left of those that were ever queued, without a gap."""
        return self._sending_from if self._sending else self._ever_queued - len(self._queue)

    def _drop(self, cause: str, records: int = 1) -> None:
        self._dropped[cause] += records
        self._drops[cause] += records
        self._unheard_drops = True

    def _news(self) -> bool:
        """Whether there is something that the sender was not woken for yet.

        Three wake-ups at most for a batch: the first entry starts the clock, the last one makes it
        due, and drops are to be told.
        """
        first = not self._woken_for_first and self._clock_runs()
        full = not self._woken_for_batch and self._full_batch()
        drops = not self._woken_for_drops and self._unheard_drops
        self._woken_for_first |= first
        self._woken_for_batch |= full
        self._woken_for_drops |= drops
        return first or full or drops

    def _make_room(self, size: int) -> bool:
        """Whether an entry of this size may be queued, after the oldest have given way."""
        limits = self._limits
        if limits.on_full != "drop_oldest" or self._sending_bytes + size > limits.max_bytes:
            return False
        while self._queue and self._held() + size > limits.max_bytes:
            oldest = self._queue.popleft()
            self._dropped["buffer_full"] += 1
            self._drops["buffer_full"] += 1
            self._queued_bytes -= oldest[0]
            self._queued_frames -= oldest[1]
            self._unheard_drops = True
        return True

    def _move_to_sending(self, entry: Entry, direction: Literal[1, -1]) -> None:
        self._sending += direction
        self._queued_bytes -= direction * entry[0]
        self._queued_frames -= direction * entry[1]
        self._sending_bytes += direction * entry[0]
