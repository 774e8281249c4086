"""One stream's bounded queue, and the books of its records.

An entry is opaque here but for its first two items: the bytes of memory that it holds and the
packets that it will make.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Entry = tuple[Any, ...]
OnFull = Literal["drop_oldest", "drop_newest", "block"]


@dataclass(frozen=True)
class BufferLimits:
    """How much may wait, and what a full buffer does.

    Attributes:
        max_bytes: Memory that entries may hold, those being sent included.
        on_full: Who gives way, or `block` to wait.
        block_seconds: How long `block` waits before it drops the new entry.
        batch_frames: Packets that make a batch due.
        batch_bytes: Bytes that make a batch due.
    """

    max_bytes: int
    on_full: OnFull
    block_seconds: float
    batch_frames: int
    batch_bytes: int


@dataclass(frozen=True)
class Waiting:
    """What waits at one moment, for whoever decides when to send it.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether they make a batch due by their number or size.
        since: When the first of them came, on the monotonic clock.
        removed: Entries that have left the buffer for good, of all that were ever queued.
    """

    records: int
    full_batch: bool
    since: float
    removed: int


class Buffer:
    """A queue of entries with a bound in bytes. Every method may be called from any thread."""

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        # Guards every attribute below, and is held for a few operations only. It is re-entrant
        # because a garbage collection may run under it, and what is collected may log.
        lock = threading.RLock()
        # Notified when records leave: for those who flush, and for those who wait for room.
        self._changed = threading.Condition(lock)
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._queued_frames = 0
        self._sending = 0
        self._sending_bytes = 0
        self._first_at = 0.0
        self._ever_queued = 0
        self._never_queued = 0
        self._ever_dropped = 0
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._turned_away: str | None = None
        self._abandoned = False
        self._woken_for_first = self._woken_for_batch = self._woken_for_drops = False

    def put(self, entry: Entry, *, may_block: bool = True) -> bool:
        """Queue an entry or count it as dropped; whether the sender should be woken for it."""
        with self._changed:
            size = entry[0]
            fits = self._turned_away is None and (
                self._held() + size <= self._limits.max_bytes or self._make_room(size, may_block)
            )
            if not fits:
                return self._turn_down("buffer_full")
            if not self._queue:
                self._first_at = time.monotonic()
            self._queue.append(entry)
            self._ever_queued += 1
            self._queued_bytes += size
            self._queued_frames += entry[1]
            return self._news()

    def refuse(self, cause: str) -> bool:
        """Count a record that never became an entry; whether the sender should be woken for it."""
        with self._changed:
            return self._turn_down(cause)

    def turn_away(self, cause: str) -> None:
        """From now on every record is dropped with this cause, which nobody is told."""
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
                since=self._first_at,
                removed=self._removed(),
            )

    def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries to send; they stay in the books and the bound until settled."""
        with self._changed:
            taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._move_to_sending(taken, 1)
            self._woken_for_first = bool(self._queue)
            self._woken_for_batch = self._full_batch()
            return taken

    def give_back(self, entries: list[Entry]) -> None:
        """Put the last of the taken entries back, in their order."""
        with self._changed:
            if self._abandoned:
                return
            if entries and not self._queue:
                self._first_at = time.monotonic()
            self._queue.extendleft(reversed(entries))
            self._move_to_sending(entries, -1)
            self._woken_for_first = bool(self._queue)

    def settle(
        self, *, delivered: int = 0, dropped: int = 0, cause: str = "refused", done: bool = False
    ) -> None:
        """Count records that were taken; `done` when no taken record is left."""
        with self._changed:
            if self._abandoned:
                return
            self._sending -= delivered + dropped
            self._delivered += delivered
            if dropped:
                self._drop(cause, dropped)
            if done:
                self._sending_bytes = 0
            self._changed.notify_all()

    def abandon(self, cause: str) -> int:
        """Drop all that is left, for good; how many. What was being sent is not waited for.

        These drops are the caller's to tell: `take_untold` does not have them.
        """
        with self._changed:
            left = 0 if self._abandoned else len(self._queue) + self._sending
            self._abandoned = True
            self._queue.clear()
            self._queued_bytes = self._queued_frames = self._sending = self._sending_bytes = 0
            if left:
                self._dropped[cause] += left
            self._changed.notify_all()
            return left

    @property
    def has_untold(self) -> bool:
        """Whether `take_untold` would return anything."""
        return bool(self._untold)

    def take_untold(self) -> Counter[str]:
        """The drops since the last call, by cause."""
        with self._changed:
            untold, self._untold = self._untold, Counter()
            self._woken_for_drops = False
            return untold

    def marks(self) -> tuple[int, int]:
        """How many entries were ever queued, and how many drops there ever were to be told.

        `Waiting.removed` reaches the first when all that is queued now has left.
        """
        with self._changed:
            return self._ever_queued, self._ever_dropped

    def wait_until_removed(self, mark: int, seconds: float) -> bool:
        """Wait until all that was queued before the mark has left; False when time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._removed() >= mark, seconds)

    def books(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self._changed:
            pending = len(self._queue) + self._sending
            accepted = self._ever_queued + self._never_queued
            return accepted, self._delivered, pending, dict(self._dropped)

    # The methods below are called with the lock held.

    def _held(self) -> int:
        return self._queued_bytes + self._sending_bytes

    def _full_batch(self) -> bool:
        limits = self._limits
        return (
            self._queued_frames >= limits.batch_frames or self._queued_bytes >= limits.batch_bytes
        )

    def _removed(self) -> int:
        return self._ever_queued - len(self._queue) - self._sending

    def _turn_down(self, cause: str) -> bool:
        """Drop a record at the door; as `put` returns."""
        self._never_queued += 1
        if self._turned_away is None:
            self._drop(cause)
            return self._news()
        # There is no stream any more, or none yet, to tell of it.
        self._dropped[self._turned_away] += 1
        return False

    def _drop(self, cause: str, records: int = 1) -> None:
        self._dropped[cause] += records
        self._untold[cause] += records
        self._ever_dropped += records

    def _news(self) -> bool:
        """Whether there is something that the sender was not woken for yet.

        Three wake-ups at most for a batch: the first entry starts the clock, the last one makes it
        due, and drops are to be told.
        """
        first = not self._woken_for_first and bool(self._queue)
        full = not self._woken_for_batch and self._full_batch()
        drops = not self._woken_for_drops and bool(self._untold)
        self._woken_for_first |= first
        self._woken_for_batch |= full
        self._woken_for_drops |= drops
        return first or full or drops

    def _make_room(self, size: int, may_block: bool) -> bool:
        """Whether an entry of this size may be queued now."""
        limits = self._limits
        if size > limits.max_bytes:
            return False
        if limits.on_full == "drop_oldest":
            while self._queue and self._held() + size > limits.max_bytes:
                self._forget(self._queue.popleft())
                self._drop("buffer_full")
        elif limits.on_full == "block" and may_block:
            self._changed.wait_for(
                lambda: self._turned_away is not None or self._held() + size <= limits.max_bytes,
                limits.block_seconds,
            )
        return self._turned_away is None and self._held() + size <= limits.max_bytes

    def _forget(self, entry: Entry) -> None:
        self._queued_bytes -= entry[0]
        self._queued_frames -= entry[1]

    def _move_to_sending(self, entries: Iterable[Entry], direction: Literal[1, -1]) -> None:
        for entry in entries:
            size, frames = entry[0], entry[1]
            self._queued_bytes -= direction * size
            self._queued_frames -= direction * frames
            self._sending_bytes += direction * size
            self._sending += direction
