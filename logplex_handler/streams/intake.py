"""Takes a record's entry in the caller's thread: queues it, or counts it as dropped."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.waking_queue import FIRST
from logplex_handler._process.countdown import Countdown
from logplex_handler._wire.entry import HEAVY, Entry
from logplex_handler.stats import Stats

if TYPE_CHECKING:
    from logplex_handler._buffer.accumulator import Accumulator
    from logplex_handler._sender.drop_reports import DropReports
    from logplex_handler.streams.context import StreamContext

# The longest delay of a logging call, in seconds, while records come faster than they are sent. A
# worker renders a few thousand records in that time.
_MAX_THROTTLE = 0.003
_THROTTLE_STEP = 0.001
# Seconds after which a caller that waits for room wakes a worker again.
_ROOM_POLL_INTERVAL = 0.1


class Intake(Protocol):
    """The way into one stream for records. Any thread may call it, and nothing raises."""

    # Whether entries are queued; if not, calling `count_rejected` is enough.
    takes_entries: bool

    def append(self, entry: Entry) -> bool:
        """Queue a light entry, or count it as dropped; return whether to call `wake`."""

    def wake(self) -> None:
        """Report that there is something to deliver."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        """Queue any entry, or count it as dropped; then wake, unless the entry `never_wakes`."""

    def put_compiled(self, entry: Entry) -> None:
        """Do what `put` does with an entry of a compiled call site."""

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        """Count a record as dropped that never became an entry; with `never_wakes`, quietly."""

    def count_rejected(self) -> None:
        """Count a record as dropped while no entries are taken."""


class RejectingIntake:
    """An intake that drops every record, with one `cause`."""

    takes_entries = False

    def __init__(
        self, ledger: Ledger, cause: str, on_rejected: Callable[[], object] | None = None
    ) -> None:
        self._ledger = ledger
        self.cause = cause
        self._on_rejected = on_rejected

    def append(self, entry: Entry) -> bool:
        self.count_rejected()
        return False

    def wake(self) -> None:
        """Do nothing, because there is nothing to deliver."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        self.count_rejected()

    def put_compiled(self, entry: Entry) -> None:
        self.count_rejected()

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        self.count_rejected()

    def count_rejected(self) -> None:
        self._ledger.count_rejected(self.cause)
        if self._on_rejected is not None:
            self._on_rejected()


def rejected(ledger: Ledger) -> Stats:
    """Return the counts of a ledger that only rejected records reach."""
    dropped = ledger.dropped_by_cause()
    return Stats(accepted=sum(dropped.values()), dropped=dropped)


class OpenIntake:
    """The intake of a stream that takes records: the base of `Stream`, which is one object less.

    Attributes:
        accumulator: Queues the entries.
        context: Says whether callers wait for room, and is told what is to be delivered.
    """

    __slots__ = ("accumulator", "context")

    accumulator: Accumulator
    context: StreamContext

    takes_entries = True

    @property
    def drop_reports(self) -> DropReports:
        """What reports the drops."""
        raise NotImplementedError

    def append(self, entry: Entry) -> bool:
        """Do what `Accumulator.append` does, without its call.

        Called for every record, so it takes no lock and makes as few calls as possible.
        """
        accumulator = self.accumulator
        if self.context.max_block is not None:
            self.put(entry, never_wakes=False)
            return False
        accumulator.entries.append(entry)
        return len(accumulator.entries) >= accumulator.look_at and accumulator.look()

    def put_compiled(self, entry: Entry) -> None:
        if entry[0] < HEAVY:
            is_due = self.append(entry)
        elif self.context.max_block is None:
            # Its packets and its weight are its last values.
            is_due = self.accumulator.put(entry, entry[-1], entry[-2]) is True
        else:
            self.put(entry, never_wakes=False)
            return
        if is_due:
            self.wake()

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        context = self.context
        may_wait = context.max_block is not None and not context.is_delivering()
        is_due = self.accumulator.put(entry, may_wait=may_wait, never_wakes=never_wakes)
        if is_due is None and never_wakes:
            self.drop("buffer_full", never_wakes=True)
        elif is_due is None:
            is_due = self._put_when_there_is_room(entry, context.max_block or 0.0)
        if is_due:
            self.wake()

    def _put_when_there_is_room(self, entry: Entry, seconds: float) -> bool | None:
        countdown = Countdown(seconds)
        size, _ = self.accumulator.weigh(entry)
        is_due = None
        is_made = False
        while is_due is None:
            self.wake()
            # Wait in slices: if other entries take the room, more must be sent to make room for
            # this one.
            wait = min(max(0.0, countdown.left), _ROOM_POLL_INTERVAL)
            if not self.accumulator.wait_for_room(size, wait):
                countdown.waited(wait)
                if not is_made:
                    is_made = True
                    self.context.make_room()
            is_due = self.accumulator.put(entry, may_wait=countdown.left > 0)
        return is_due

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        if never_wakes:
            # A record about drops must not cause a report of its own drop.
            self.drop_reports.skip_callback(cause)
        if self.accumulator.drop(cause):
            self.wake()

    def count_rejected(self) -> None:
        self.accumulator.count_rejected()

    def wake(self) -> None:
        accumulator = self.accumulator
        try:
            # It takes a `Stream`, of which this is the base.
            self.context.on_news(self)  # type: ignore[arg-type]
        except BaseException:
            # Raised by a signal handler, or at the recursion limit. The next record wakes a worker.
            accumulator.look_again()
            raise
        # A first entry, which is all that most calls are about, does not congest a stream.
        if accumulator.woken_for == FIRST and accumulator.queued == 1:
            return
        if accumulator.is_congested and not self.context.is_delivering():
            self._throttle()

    def _throttle(self) -> None:
        accumulator = self.accumulator
        countdown = Countdown(min(_MAX_THROTTLE, accumulator.begin_throttle(_MAX_THROTTLE)))
        while not accumulator.is_nearly_empty and (left := countdown.left) > 0:
            wait = min(left, _THROTTLE_STEP)
            time.sleep(wait)
            countdown.waited(wait)
        accumulator.end_throttle()


def had_begun_to_take(error: BaseException, intake: Intake) -> bool:
    """Return whether an error was raised after an intake had begun to queue or count a record.

    The functions in its traceback say so: a mark would cost every record something.
    """
    from logplex_handler._buffer import accumulator, ledger

    modules = (__name__, accumulator.__name__, ledger.__name__)
    has_begun, waits, entry = False, False, None
    for frame, line in traceback.walk_tb(error.__traceback__):
        name, is_first = frame.f_code.co_name, line == frame.f_code.co_firstlineno
        if frame.f_globals.get("__name__") not in modules:
            continue
        # Signal handlers run as a function begins. What looks, or wakes, has queued the record
        # before, unless it waits for room.
        if name == "look" or (name == "wake" and not waits):
            return True
        has_begun = name in ("append", "drop", "count_rejected") and not is_first
        waits |= name == "_put_when_there_is_room"
        entry = frame.f_locals.get("entry") if name == "put" else entry
    waiting = intake.accumulator.entries.copy() if isinstance(intake, OpenIntake) else ()
    return has_begun or any(one is entry for one in waiting)
