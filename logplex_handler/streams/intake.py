"""Takes a record's entry in the caller's thread: queues it, or counts it as dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process.countdown import Countdown
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._wire.entry import Entry

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

    @property
    def append(self) -> Callable[[Entry], bool]:
        """Queues a light entry, or counts it as dropped; returns whether to call `wake`."""

    def wake(self) -> None:
        """Report that there is something to deliver."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        """Queue any entry, or count it as dropped; then wake, unless the entry `never_wakes`."""

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        """Count a record as dropped that never became an entry; with `never_wakes`, quietly."""

    def count_rejected(self) -> None:
        """Count a record as dropped while no entries are taken."""


class RejectingIntake:
    """An intake that drops every record, with one cause."""

    takes_entries = False

    def __init__(
        self, ledger: Ledger, cause: str, on_rejected: Callable[[], object] | None = None
    ) -> None:
        self._ledger = ledger
        self._cause = cause
        self._on_rejected = on_rejected

    def append(self, entry: Entry) -> bool:
        self.count_rejected()
        return False

    def wake(self) -> None:
        """Do nothing, because there is nothing to deliver."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        self.count_rejected()

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        self.count_rejected()

    def count_rejected(self) -> None:
        self._ledger.count_rejected(self._cause)
        if self._on_rejected is not None:
            self._on_rejected()


class OpenIntake:
    """The intake of a stream that takes records.

    Args:
        is_delivering: Returns whether the calling thread delivers, and so must not wait for room
            that only it can make.
        make_room: Called if a caller must wait for long: other streams may have taken the room.
        max_block: Seconds that a caller may wait for room; None if it does not wait.
    """

    __slots__ = (
        "_accumulator", "_diagnostics", "_drop_reports", "_is_closed", "_is_delivering",
        "_make_room", "_max_block", "_on_news", "append", "takes_entries",
    )  # fmt: skip

    def __init__(
        self,
        accumulator: Accumulator,
        *,
        drop_reports: DropReports,
        diagnostics: Diagnostics,
        on_news: Callable[[], None],
        is_delivering: Callable[[], bool],
        make_room: Callable[[], object],
        max_block: float | None,
    ) -> None:
        self.takes_entries = True
        self._is_closed = False
        self._accumulator = accumulator
        self._drop_reports = drop_reports
        self._diagnostics = diagnostics
        self._on_news = on_news
        self._is_delivering = is_delivering
        self._make_room = make_room
        self._max_block = max_block
        # The accumulator's own method, because it is called for every record.
        self.append: Callable[[Entry], bool] = (
            accumulator.append if max_block is None else self._append_blocking
        )

    def _append_blocking(self, entry: Entry) -> bool:
        self.put(entry, never_wakes=False)
        return False

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        may_wait = self._max_block is not None and not self._is_delivering()
        is_due = self._accumulator.put(entry, may_wait=may_wait, never_wakes=never_wakes)
        if is_due is None and never_wakes:
            self.drop("buffer_full", never_wakes=True)
        elif is_due is None:
            is_due = self._put_when_there_is_room(entry, self._max_block or 0.0)
        if is_due:
            self.wake()

    def _put_when_there_is_room(self, entry: Entry, seconds: float) -> bool | None:
        countdown = Countdown(seconds)
        size, _ = self._accumulator.weigh(entry)
        is_due = None
        is_made = False
        while is_due is None:
            self.wake()
            # Wait in slices: if other entries take the room, more must be sent to make room for
            # this one.
            wait = min(max(0.0, countdown.left), _ROOM_POLL_INTERVAL)
            if not self._accumulator.wait_for_room(size, wait):
                countdown.waited(wait)
                if not is_made:
                    is_made = True
                    self._make_room()
            is_due = self._accumulator.put(entry, may_wait=countdown.left > 0)
        return is_due

    def drop(self, cause: str, *, never_wakes: bool = False) -> None:
        if never_wakes:
            # A record about drops must not cause a report of its own drop.
            self._drop_reports.skip_callback(cause)
        if self._accumulator.drop(cause):
            self.wake()

    def count_rejected(self) -> None:
        self._accumulator.count_rejected()
        if self._is_closed:
            self._diagnostics.warn("closed", "records are logged after close, and dropped")

    def close(self, cause: str) -> None:
        """Drop every record from now on, with this cause."""
        self._is_closed = cause == "closed"
        # Called first, so that the cause is set when a record is rejected.
        self._accumulator.reject_from_now(cause)
        self.takes_entries = False
        self.append = self._reject_light

    def _reject_light(self, entry: Entry) -> bool:
        self.count_rejected()
        return False

    def wake(self) -> None:
        try:
            self._on_news()
        except BaseException:
            # Raised by a signal handler, or at the recursion limit. The next record wakes a worker.
            with self._accumulator.lock:
                self._accumulator.look_again()
            raise
        if self._accumulator.is_congested and not self._is_delivering():
            self._throttle()

    def _throttle(self) -> None:
        accumulator = self._accumulator
        countdown = Countdown(min(_MAX_THROTTLE, accumulator.begin_throttle(_MAX_THROTTLE)))
        while not accumulator.is_nearly_empty and (left := countdown.left) > 0:
            wait = min(left, _THROTTLE_STEP)
            time.sleep(wait)
            countdown.waited(wait)
        accumulator.end_throttle()
