"""The application's side of one stream: what becomes of a record that is for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.drop_notices import DropNotices
from logplex_handler._wire.entry import Entry, Weigh

# Seconds that a call to a logger may take longer where records come faster than they are sent. In
# so long a few thousand are made ready.
_GIVE_WAY = 0.003
_GIVE_WAY_STEP = 0.001
# Seconds after which one who waits for room looks again.
_LOOK_FOR_ROOM = 0.1


class Intake(Protocol):
    """Where records of one stream are put. Any thread may do so, and none of it raises."""

    # Whether an entry would be queued; else `count_rejected` is enough.
    takes_entries: bool

    @property
    def append(self) -> Callable[[Entry], bool]:
        """Queues a light entry, or drops and counts it; whether `wake` is to be called."""

    def wake(self) -> None:
        """There is something to deliver."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        """Queue any entry, or drop and count it; then wake, unless the entry `never_wakes`."""

    def drop(self, cause: str) -> None:
        """Drop and count a record that never became an entry."""

    def count_rejected(self) -> None:
        """Count a record where no entries are taken."""


class RejectingIntake:
    """An intake that leads nowhere: every record is counted as dropped.

    Args:
        ledger: Counts the records.
        cause: The cause of their drop.
        say: Called each time, to say so somewhere. Default: nothing is said.
    """

    takes_entries = False

    def __init__(self, ledger: Ledger, cause: str, say: Callable[[], object] | None = None) -> None:
        self._ledger = ledger
        self._cause = cause
        self._say = say

    def append(self, entry: Entry) -> bool:
        self.count_rejected()
        return False

    def wake(self) -> None:
        """There is nobody to wake."""

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        self.count_rejected()

    def drop(self, cause: str) -> None:
        self.count_rejected()

    def count_rejected(self) -> None:
        self._ledger.count_rejected(self._cause)
        if self._say is not None:
            self._say()


class OpenIntake:
    """A intake to an accumulator.

    Args:
        on_news: Called when there is something to deliver.
        is_deliverer: Whether the calling thread is one that delivers: it must not wait for room
            that only it can make.
        may_wait: Seconds that a record may wait for room; None if it may not.
    """

    __slots__ = (
        "_diagnostics",
        "_drop_notices",
        "_is_closed",
        "_is_deliverer",
        "_may_wait",
        "_on_news",
        "_weigh",
        "accumulator",
        "append",
        "takes_entries",
    )  # fmt: skip

    def __init__(
        self,
        accumulator: Accumulator,
        *,
        weigh: Weigh,
        drop_notices: DropNotices,
        diagnostics: Diagnostics,
        on_news: Callable[[], None],
        is_deliverer: Callable[[], bool],
        may_wait: float | None,
    ) -> None:
        self.takes_entries = True
        self._is_closed = False
        self.accumulator = accumulator
        self._weigh = weigh
        self._drop_notices = drop_notices
        self._diagnostics = diagnostics
        self._on_news = on_news
        self._is_deliverer = is_deliverer
        self._may_wait = may_wait
        # Without a call between: it is made for every record.
        self.append: Callable[[Entry], bool] = (
            accumulator.append if may_wait is None else self._put_light_when_there_is_room
        )

    def _put_light_when_there_is_room(self, entry: Entry) -> bool:
        self.put(entry, never_wakes=False)
        return False

    def put(self, entry: Entry, *, never_wakes: bool) -> None:
        may_wait = self._may_wait is not None and not self._is_deliverer()
        news = self.accumulator.put(entry, may_wait=may_wait, never_wakes=never_wakes)
        if news is None and never_wakes:
            # Said of drops, it must not be the reason to say so again.
            self._drop_notices.skip_callback("buffer_full")
            news = self.accumulator.drop("buffer_full")
        elif news is None:
            news = self._put_when_there_is_room(entry, self._may_wait or 0.0)
        if news:
            self.wake()

    def _put_when_there_is_room(self, entry: Entry, seconds: float) -> bool | None:
        deadline = time.monotonic() + seconds
        size, _ = self._weigh(entry)
        news = None
        while news is None:
            self.wake()
            # In slices: when others take the room, what waits has to be sent for this one again.
            left = max(0.0, deadline - time.monotonic())
            self.accumulator.wait_for_room(size, min(left, _LOOK_FOR_ROOM))
            news = self.accumulator.put(entry, may_wait=time.monotonic() < deadline)
        return news

    def drop(self, cause: str) -> None:
        if self.accumulator.drop(cause):
            self.wake()

    def count_rejected(self) -> None:
        self.accumulator.count_rejected()
        if self._is_closed:
            self._diagnostics.warn("closed", "records are logged after close, and dropped")

    def close(self, cause: str) -> None:
        """From now on records are turned down, with this cause."""
        self._is_closed = cause == "closed"
        # First, as it says what those are counted as that are turned down.
        self.accumulator.reject_from_now(cause)
        self.takes_entries = False
        self.append = self._turn_down_light

    def _turn_down_light(self, entry: Entry) -> bool:
        self.count_rejected()
        return False

    def wake(self) -> None:
        self._on_news()
        if self.accumulator.is_congested and not self._is_deliverer():
            self._throttle()

    def _throttle(self) -> None:
        accumulator = self.accumulator
        deadline = time.monotonic() + accumulator.begin_throttle(_GIVE_WAY)
        while not accumulator.is_nearly_empty and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _GIVE_WAY_STEP))
        accumulator.end_throttle()
