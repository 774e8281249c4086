"""One stream's bounded queue with its clock, and the books of its records: what waits, until when,
and who is to be woken for it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logplex_handler._buffer.backpressure import NO_CONGESTION, PATIENCE_WITH_A_DISK, Backpressure
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.weighed_queue import FlushMark, WeighedQueue
from logplex_handler._wire.entry import LIGHT, Entry, Weigh

# Entries that are weighed beyond what is needed, so as not to be there again at the next one.
_WEIGHED_IN_ADVANCE = 512

# Where half of the room is taken, looks before the rest would be if nobody took anything: at each
# of them who puts an entry may stand back. So many that the room lasts longer than their patience.
_LOOKS_WHILE_HALF_FULL = 64


@dataclass(frozen=True)
class Backlog:
    """What waits at one moment, for whoever decides when to send it.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether they make a batch due by their number or size, or are in the way.
        pressing: Whether they are enough for a large batch, or full where memory is scarce, or
            somebody waits for their room, or they come faster than they are taken.
        since: When the first of them came that is a reason to send, on the monotonic clock.
        flushing: Whether some of them, or of those being sent, are to be flushed.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool


class Accumulator:
    """A queue of entries with a bound in bytes. Every method may be called from any thread."""

    __slots__ = (
        "_abandoned",
        "_append",
        "_backpressure",
        "_busy",
        "_changed",
        "_first_at",
        "_flush_mark",
                "_limits",
        "_lock",
        "_look_at",
        "_memory",
        "_on_reclaimed",
        "_queue",
        "_quiet",
        "_recovered",
        "_recovered_left",
        "_room_wanted",
        "_sending",
        "_sending_bytes",
        "_sending_from",
        "_settled",
        "_taken_first_at",
        "_turned_away",
        "_usual",
        "_weigh",
        "_woken_for_batch",
        "_woken_for_drops",
        "_woken_for_first",
        "_woken_for_large_batch",
        "_woken_for_room",
        "allowed",
        "ledger",
    )  # fmt: skip

    def __init__(
        self,
        limits: BufferLimits,
        weigh: Weigh,
        memory: MemoryPool | None = None,
        on_reclaimed: Callable[[], None] | None = None,
    ) -> None:
        self._limits = limits
        self._weigh = weigh
        # Called without a lock when entries had to give way to those of another accumulator.
        self._on_reclaimed = on_reclaimed
        # Where the bound is one for several buffers; and how much this one may hold.
        self._memory = memory
        self.allowed = limits.max_bytes if memory is None else 0
        # Guards every attribute below, but for appending to the queue, and is held for a few
        # operations only. It is re-entrant because a garbage collection or a signal may strike
        # under it, and what they run may log: that entry is appended, and for as long as `_busy`
        # says so, all else is left to the operation that was interrupted.
        self._lock = threading.RLock()
        # Notified when records leave: for those who flush, and for those who wait for room. There
        # is none until somebody waits.
        self._changed: threading.Condition | None = None
        self._busy = False
        # What became of the records; guarded by the same lock.
        self.ledger = Ledger(self._lock)
        self._queue = WeighedQueue(weigh)
        self._append = self._queue.entries.append
        # How long the queue is when a light entry is a reason to look. It is read after such an
        # entry was appended. It is lowered by `take` alone, and who takes looks again before he
        # sleeps, so an entry that was appended meanwhile is seen by one of the two. (Without a
        # global interpreter lock the two are ordered by the lock that a deque has of its own.)
        self._look_at = 0
        # The first entry that may wake starts the clock; there are so many before it.
        self._first_at = self._taken_first_at = math.inf
        self._quiet = 0
        # Of what was taken to be sent: how much there is, how many entries came before it, and how
        # many of it are settled of a batch that is not through yet.
        self._sending = 0
        self._sending_bytes = 0
        self._sending_from = 0
        self._settled = 0
        # Records that another process has left on disk: all, and those not settled.
        self._recovered = self._recovered_left = 0
        # Behind all that was queued when somebody last wanted it sent at once.
        self._flush_mark = FlushMark()
        self._queue.add_mark(self._flush_mark)
        # Why records are dropped as they come, if they are; and whether all are gone.
        self._turned_away: str | None = None
        self._abandoned = False
        # Bytes that an entry usually holds, as far as that is known.
        self._usual = LIGHT
        self._backpressure = (
            Backpressure(PATIENCE_WITH_A_DISK) if limits.has_disk else Backpressure()
        )
        self._room_wanted = False
        self._woken_for_first = self._woken_for_batch = self._woken_for_drops = False
        self._woken_for_large_batch = self._woken_for_room = False

    def append(self, entry: Entry) -> bool:
        """Queue a light entry; whether the sender should be woken for it."""
        self._append(entry)
        return len(self._queue.entries) >= self._look_at and self._look()

    def put(
        self, entry: Entry, *, may_wait: bool = False, never_wakes: bool = False
    ) -> bool | None:
        """Queue an entry or count it as dropped; whether the sender should be woken for it.

        An entry that `never_wakes` is no reason to send: it leaves with the next batch, and nothing
        gives way to it. None if there is no room for it, or for one whose caller `may_wait`: then
        nothing has been done.
        """
        size, _ = self._weigh(entry)
        with self._lock:
            if self._turned_away is not None:
                self.count_rejected()
                return False
            if self._busy:
                self._append(entry)
                return False
            if never_wakes or may_wait:
                self._tidy(weigh=True)
                if not self._fits(size) and (never_wakes or size <= self._limits.max_bytes):
                    self._room_wanted |= may_wait
                    return None
            if never_wakes and self._first_at == math.inf:
                self._quiet += 1
            self._append(entry)
            return self._look(weigh=True)

    def drop(self, cause: str) -> bool:
        """Drop a record that never became an entry; whether the sender should be woken for it."""
        with self._lock:
            if self._turned_away is not None:
                self.count_rejected()
                return False
            self.ledger.drop(cause, never_taken=1)
            return self._news()

    @property
    def in_flight(self) -> int:
        """Bytes of what was taken, and is being sent."""
        return self._sending_bytes

    @property
    def has_unreported_drops(self) -> bool:
        """Whether there were drops since `drops` was last called."""
        return self.ledger.has_unreported

    def count_rejected(self) -> None:
        """Count a record of which nobody is told: there is no stream any more, or none yet."""
        with self._lock:
            if self._turned_away is not None:
                self.ledger.count_rejected(self._turned_away)

    def reject_from_now(self, cause: str) -> None:
        """From now on records are turned down, with this cause.

        A light one that comes at this very moment is queued like those before it.
        """
        with self._lock:
            self._turned_away = cause
            self._notify()

    @property
    def is_congested(self) -> bool:
        """Whether entries come faster than they are taken."""
        return len(self._queue) >= self._backpressure.at or (
            self._woken_for_room and self._backpressure.has_patience
        )

    def begin_throttle(self, seconds: float) -> float:
        """For one who has put an entry where it is crowded: how long to wait, at most."""
        with self._lock:
            seconds = self._backpressure.begin_throttle(time.monotonic(), seconds)
            self._tidy()
            return seconds

    def end_throttle(self) -> None:
        """That wait is over."""
        with self._lock:
            self._backpressure.end_throttle(time.monotonic(), len(self._queue))
            self._tidy()

    @property
    def is_short_of_room(self) -> bool:
        """Whether there may soon be no room."""
        return self._woken_for_room

    @property
    def is_nearly_empty(self) -> bool:
        """Whether waiting brings no more."""
        return len(self._queue) < NO_CONGESTION and not self._woken_for_room

    def backlog(self) -> Backlog:
        """What waits now."""
        with self._lock:
            self._tidy()
            return Backlog(
                records=len(self._queue),
                full_batch=self._full_batch(),
                pressing=self._room_wanted or self._large_batch() or self.is_congested,
                since=self._first_at if self._queue else math.inf,
                flushing=self._removed() < self._flush_mark.place,
            )

    def take(self, most: int) -> list[Entry]:
        """Take up to `most` entries to send; they stay in the books until they are settled.

        What they weigh stays in the bound; the light ones are let out of it until `keep` says what
        they have become.
        """
        with self._lock:
            self._tidy()
            self._busy = True
            try:
                before = self._queue.taken
                taken, size = self._queue.take(most)
                if not self._sending:
                    self._sending_from = before
                self._sending += len(taken)
                self._sending_bytes += size
            finally:
                self._busy = False
            self._quiet = max(0, self._quiet - len(taken))
            self._taken_first_at = self._first_at
            if not self._queue:
                self._first_at = math.inf
            self._backpressure.taken(len(self._queue))
            self._room_wanted = False
            self._woken_for_first = self._clock_runs()
            self._woken_for_batch = self._full_batch()
            self._woken_for_large_batch = self._large_batch()
            self._woken_for_room = False
            self._tidy()
        return taken

    def keep(self, size: int, *, back: Sequence[Entry] = ()) -> None:
        """Of what was taken, the last ones go back in their order; the rest holds so many bytes."""
        with self._lock:
            if not self._sending:
                # They were abandoned meanwhile.
                return
            if back:
                self._busy = True
                try:
                    self._queue.put_back(back)
                    self._sending -= len(back)
                finally:
                    self._busy = False
                self._first_at = min(self._first_at, self._taken_first_at, time.monotonic())
                self._woken_for_first = self._clock_runs()
            self._sending_bytes = size if self._sending else 0
            if self._memory is not None and not self._fits(0):
                self._give_way()
            self._tidy()

    def settle(
        self,
        *,
        delivered: int = 0,
        dropped: int = 0,
        cause: str = "refused",
        recovered: bool = False,
        through: bool = True,
    ) -> None:
        """Count records that were taken. Their memory is free when all of them are counted.

        Args:
            recovered: Whether they are of those that another process has left.
            through: Whether no others of their batch are left, so that all before have left too.
        """
        with self._lock:
            if recovered:
                if not self._recovered_left:
                    return
                self._recovered_left -= delivered + dropped
            else:
                if not self._sending:
                    # They were abandoned meanwhile, or the batch was a notice alone.
                    return
                self._sending -= delivered + dropped
                self._settled += delivered + dropped
                if through:
                    self._sending_from += self._settled
                    self._settled = 0
            self.ledger.delivered += delivered
            if dropped:
                self.ledger.drop(cause, dropped)
            if not self._sending:
                self._sending_bytes = 0
            # There may be room again though nothing was taken.
            self._woken_for_room = self._woken_for_room and self._is_half_full()
            self._tidy()
            self._notify()

    def recover(self, records: int) -> None:
        """Accept records that are on disk; they come before all others."""
        with self._lock:
            self._recovered += records
            self._recovered_left += records

    def recovered(self) -> int:
        """How many were accepted so."""
        return self._recovered

    def abandon(self, cause: str, *, unwritten: int | None = None) -> int:
        """Drop all that is left, for good; how many. What was being sent is not waited for.

        What was taken stays, but for so many records, if the rest is on disk.
        """
        with self._lock:
            left = queued = self._queue.drop_all()
            if unwritten is None:
                left += self._sending + self._recovered_left
                self._sending = self._recovered_left = 0
            else:
                left += unwritten
                self._sending -= unwritten
            self._sending_bytes = self._quiet = 0
            self._abandoned = True
            if left:
                self.ledger.drop(cause, left, never_taken=queued)
            self._tidy()
            self._notify()
            return left

    def fill_ratio(self) -> float:
        """The part of its memory that is in use, from 0 to 1."""
        with self._lock:
            self._tidy(weigh=True)
            return (self._queue.weighed_bytes + self._sending_bytes) / self._limits.max_bytes

    def total_reportable_drops(self) -> int:
        """How many drops there ever were that are to be told of."""
        with self._lock:
            return self.ledger.total_reportable()

    def report_drops(self) -> dict[str, int]:
        """All these drops by cause, for whoever tells of them."""
        with self._lock:
            self._woken_for_drops = False
            return self.ledger.report_drops()

    def shrink(self) -> None:
        """Have the oldest give way until no more is held than is allowed now."""
        with self._lock:
            self._give_way()
        if self._on_reclaimed is not None and self.ledger.has_unreported:
            self._on_reclaimed()

    def flush_soon(self) -> None:
        """Have what is queued now sent at once."""
        self.end_flush(self.begin_flush())

    def begin_flush(self) -> FlushMark:
        """Have what is queued now sent at once; the mark for `wait_until_flushed`.

        `end_flush` is to be called when nobody waits any more.
        """
        mark = FlushMark()
        with self._lock:
            was_busy, self._busy = self._busy, True
            try:
                self._queue.add_mark(mark)
                self._flush_mark.place = mark.place
            finally:
                self._busy = was_busy
            self._tidy()
        return mark

    def end_flush(self, mark: FlushMark) -> None:
        """That wait is over."""
        with self._lock:
            self._queue.remove_mark(mark)

    def wait_until_flushed(self, mark: FlushMark, seconds: float) -> bool:
        """Wait until all that was queued before the mark has left; False when time is over."""
        with self._lock:
            return self._wait_for(
                lambda: self._removed() >= mark.place and not self._recovered_left, seconds
            )

    def wait_for_room(self, size: int, seconds: float) -> None:
        """Wait until an entry of this size fits or is turned away, or the time is over."""
        with self._lock:
            self._wait_for(lambda: self._turned_away is not None or self._fits(size), seconds)

    def counts(self) -> tuple[int, int, int, dict[str, int]]:
        """Accepted, delivered, pending and dropped by cause, at one moment."""
        with self._lock:
            self._tidy()
            queued = len(self._queue)
            accepted = self._queue.taken + queued + self.ledger.never_taken + self._recovered
            pending = queued + self._sending + self._recovered_left
            return accepted, self.ledger.delivered, pending, self.ledger.dropped_by_cause()

    def _look(self, *, weigh: bool = False) -> bool:
        """See to what was appended; whether there is something to call `wake` for."""
        with self._lock:
            if self._busy:
                return False
            self._tidy(weigh=weigh)
            news = self._news()
            self._look_at = self._next_look()
            return news or (self._memory is not None and self._memory.has_reclaimed)

    # The methods below are called with the lock held.

    def _wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        if self._changed is None:
            self._changed = threading.Condition(self._lock)
        return self._changed.wait_for(condition, seconds)

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _tidy(self, *, weigh: bool = False) -> None:
        """See to what was appended; weigh it if that is asked for, or a limit may be reached.

        Who is not told of news leaves it to the next look.
        """
        if self._busy:
            return
        self._busy = True
        try:
            if self._abandoned:
                for _ in range(self._queue.drop_all()):
                    self.count_rejected()
            elif self._first_at == math.inf and len(self._queue) > self._quiet:
                self._first_at = time.monotonic()
            self._weigh_some(len(self._queue) if weigh else 0)
            if self._memory is not None and not self._queue:
                self._memory.release(self, self._sending_bytes)
        finally:
            self._busy = False
        self._look_at = self._next_look()

    def _next_look(self) -> int:
        """How long the queue is when a limit may be reached; 0 if somebody is to be woken."""
        if not (self._woken_for_first and self._clock_runs()):
            return 0
        limits = self._limits
        queued = len(self._queue)
        room = self.allowed - self._queue.at_most_bytes - self._sending_bytes
        if not self._woken_for_batch:
            room = min(room, limits.batch_bytes - self._queue.at_most_bytes)
        more = room // LIGHT
        if limits.has_disk and not self._woken_for_room:
            more = min(more, (self._half() - self._likely_bytes()) // self._usual)
        elif limits.has_disk and self._backpressure.has_patience:
            more = min(more, room // self._usual // _LOOKS_WHILE_HALF_FULL)
        look_at = min(self._backpressure.at, queued + max(0, more) + 1)
        if not self._woken_for_large_batch:
            wanted = limits.large_batch_frames if self._woken_for_batch else limits.batch_frames
            look_at = min(look_at, queued + wanted - self._queue.frames)
        return look_at

    def _may_reach_a_limit(self) -> bool:
        at_most = self._queue.at_most_bytes
        return at_most + self._sending_bytes > self.allowed or (
            at_most >= self._limits.batch_bytes and not self._woken_for_batch
        )

    def _fits(self, size: int) -> bool:
        """Whether there is room for it beside what was weighed."""
        needed = self._queue.weighed_bytes + self._sending_bytes + size
        if needed > self.allowed and self._memory is not None:
            self._memory.reserve(self, needed)
        return needed <= self.allowed

    def _weigh_some(self, enough: int) -> None:
        """Weigh until so many are weighed and no limit may be reached; then some more."""
        queue = self._queue
        has_to_know = self._limits.has_disk and self._usual == LIGHT
        if self._may_reach_a_limit() or (has_to_know and queue.at_most_bytes >= self._half()):
            enough = max(enough, queue.weighed + _WEIGHED_IN_ADVANCE)
        while queue.weighed < len(queue) and (queue.weighed < enough or self._may_reach_a_limit()):
            size, frames = queue.weight_of_next()
            if not self._fits(size):
                self._make_room(size)
            if self._fits(size):
                queue.keep_next(size, frames)
            else:
                self.ledger.drop("buffer_full", never_taken=1)
                queue.drop_next()
        if queue.weighed:
            self._usual = min(LIGHT, queue.weighed_bytes // queue.weighed + 1)

    def _make_room(self, size: int) -> None:
        """Have the oldest give way, if they may, and if that is enough."""
        if self._limits.on_full != "drop_oldest":
            return
        if self._sending_bytes + size > self.allowed and size:
            return
        while self._queue.weighed and not self._fits(size):
            self._drop_oldest()

    def _give_way(self) -> None:
        if self._busy:
            # Whoever was interrupted sees to it with the next entry.
            return
        self._tidy(weigh=True)
        self._busy = True
        try:
            self._make_room(0)
        finally:
            self._busy = False
        self._look_at = self._next_look()

    def _drop_oldest(self) -> None:
        self.ledger.drop("buffer_full", never_taken=1)
        self._quiet = max(0, self._quiet - 1)
        self._queue.drop_oldest()

    def _clock_runs(self) -> bool:
        return bool(self._queue) and self._first_at != math.inf

    def _full_batch(self) -> bool:
        limits = self._limits
        return (
            self._queue.frames >= limits.batch_frames
            or self._queue.weighed_bytes >= limits.batch_bytes
            or (self._room_wanted and bool(self._queue))
        )

    def _large_batch(self) -> bool:
        return (
            self._queue.frames >= self._limits.large_batch_frames
            or self._queue.weighed_bytes >= self._limits.batch_bytes
            or (self._memory is not None and self._memory.is_scarce and self._full_batch())
        )

    def _removed(self) -> int:
        """How many entries have left of those that were ever queued, without a gap."""
        return self._sending_from if self._sending else self._queue.taken

    def _news(self) -> bool:
        """Whether there is something that nobody was woken for yet, or it is crowded.

        Four wake-ups at most for a batch, but for a crowd, or where half of the room is taken: the
        first entry starts the clock, others make it due, and large, and drops are to be told.
        """
        first = not self._woken_for_first and self._clock_runs()
        full = not self._woken_for_batch and self._full_batch()
        large = not self._woken_for_large_batch and self._large_batch()
        drops = not self._woken_for_drops and self.ledger.has_unreported
        room = not self._woken_for_room and self._is_half_full()
        self._woken_for_room |= room
        self._woken_for_first |= first
        self._woken_for_batch |= full
        self._woken_for_large_batch |= large
        self._woken_for_drops |= drops
        return first or full or large or drops or room or self.is_congested

    def _half(self) -> int:
        """Half of the bytes that may wait beside what is being sent."""
        return (self._limits.max_bytes - self._sending_bytes) // 2

    def _likely_bytes(self) -> int:
        """Bytes that all hold, if those that were not weighed are like those that were."""
        queue = self._queue
        return queue.weighed_bytes + (len(queue) - queue.weighed) * self._usual

    def _is_half_full(self) -> bool:
        # Without a disk what was not weighed need not be guessed: heavy entries always are, and
        # light ones once all of them might fill the room.
        held = self._likely_bytes() if self._limits.has_disk else self._queue.weighed_bytes
        return held > self._half()
