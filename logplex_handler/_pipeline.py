"""The rooms behind the handler, connected: one process's way from an entry to the receiver."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from logplex_handler import _exits, _forks
from logplex_handler._buffer import Buffer, BufferLimits
from logplex_handler._delivery import Delivery
from logplex_handler._fill import Render
from logplex_handler._options import Options
from logplex_handler._outlet import Notice, Outlet
from logplex_handler._queue import Entry, Weigh
from logplex_handler._stderr import Stderr, records_in_words
from logplex_handler._telling import Telling
from logplex_handler._transport import Transport
from logplex_handler.stats import Stats
from logplex_handler.streams import Destination

# Seconds: a `close` that comes so soon after a `flush` belongs to the same shutdown.
_SAME_SHUTDOWN = 1.0
# Seconds that a call to a logger may take longer where records come faster than they are sent. In
# so long a few thousand are made ready.
_GIVE_WAY = 0.003
_GIVE_WAY_STEP = 0.001
# Seconds after which one who waits for room looks again.
_LOOK_FOR_ROOM = 0.1


class Pipeline(Protocol):
    """What a handler has in one process; a forked child gets another, with nothing in it."""

    # Whose first item says whether this is the process of the pipeline.
    here: _forks.Here
    # Whether an entry would be queued; else `turn_down` is enough.
    takes_entries: bool

    @property
    def put_light(self) -> Callable[[Entry], bool]:
        """Queues a light entry, or drops and counts it; whether `wake` is to be called."""

    def wake(self) -> None:
        """There is something to deliver."""

    def put(self, entry: Entry, *, quiet: bool) -> None:
        """Queue any entry, or drop and count it, and wake. A quiet one is no reason to send."""

    def refuse(self, cause: str) -> None:
        """Drop and count a record that never became an entry."""

    def turn_down(self) -> None:
        """Count a record where no entries are taken."""

    def flush(self, timeout: float | None) -> bool:
        """Whether all that was queued is delivered, or dropped and told, in time."""

    def begin_shutdown(self) -> None:
        """Start the clock that flushing and closing share, and the delivery of what waits."""

    def close(self) -> None:
        """Deliver what is left in what is left of the time, and stop; harmless twice."""

    def stats(self) -> Stats:
        """The books at this moment."""


class Inactive:
    """A pipeline that leads nowhere: every record is counted as dropped."""

    def __init__(self, limits: BufferLimits) -> None:
        self.here = _forks.here()
        self.takes_entries = False
        self._buffer = Buffer(limits, _weightless)
        self._buffer.turn_away("inactive")

    def put_light(self, entry: Entry) -> bool:
        self._buffer.turn_down()
        return False

    def wake(self) -> None:
        """There is nobody to wake."""

    def put(self, entry: Entry, *, quiet: bool) -> None:
        self._buffer.turn_down()

    def refuse(self, cause: str) -> None:
        self._buffer.turn_down()

    def turn_down(self) -> None:
        self._buffer.turn_down()

    def flush(self, timeout: float | None) -> bool:
        return True

    def begin_shutdown(self) -> None:
        """There is nothing to deliver."""

    def close(self) -> None:
        """There is nothing to close."""

    def stats(self) -> Stats:
        return _books(self._buffer, Stats())


def _weightless(entry: Entry) -> tuple[int, int]:
    return 0, 0


class Active:
    """A pipeline to a destination."""

    def __init__(
        self,
        options: Options,
        destination: Destination,
        *,
        weigh: Weigh,
        render: Render,
        notice: Notice,
        stderr: Stderr,
    ) -> None:
        self.here = _forks.here()
        self.takes_entries = True
        self._shutdown_timeout = options.shutdown_timeout
        self._may_wait = options.buffer.on_full == "block"
        self._weigh = weigh
        self._stderr = stderr
        self._buffer = Buffer(options.buffer, weigh)
        # Without a call between: it is made for every record.
        self.put_light = (
            self._put_light_when_there_is_room if self._may_wait else self._buffer.put_light
        )
        self._telling = Telling(self._buffer, stderr, options.on_drop)
        transport = Transport(options.transport)
        self._outlet = Outlet(
            self._buffer,
            transport,
            destination,
            options.outlet,
            render=render,
            notice=notice,
            stderr=stderr,
            telling=self._telling,
        )
        self._delivery = Delivery(
            self._buffer, self._outlet, transport, self._telling, stderr, self.here
        )
        self._started = False
        self._take_back_exit: Callable[[], None] | None = None
        # When the last flush without a time-out of its own was begun and ended, and whether it was
        # begun with the shutdown of the whole process.
        self._flush_began = self._flush_ended = float("-inf")
        self._shutting_down = False

    def _put_light_when_there_is_room(self, entry: Entry) -> bool:
        self.put(entry, quiet=False)
        return False

    def put(self, entry: Entry, *, quiet: bool) -> None:
        # The thread that delivers must not wait for room that only it can make.
        may_wait = self._may_wait and not self._delivery.is_here
        news = self._buffer.put(entry, may_wait=may_wait, quiet=quiet)
        if news is None and quiet:
            # Said of drops, it must not be the reason to say so again.
            self._telling.leave_out("buffer_full")
            news = self._buffer.refuse("buffer_full")
        elif news is None:
            news = self._put_when_there_is_room(entry)
        if news:
            self.wake()

    def _put_when_there_is_room(self, entry: Entry) -> bool | None:
        deadline = time.monotonic() + self._shutdown_timeout
        size, _ = self._weigh(entry)
        news = None
        while news is None:
            self.wake()
            # In slices: when others take the room, what waits has to be sent for this one again.
            left = max(0.0, deadline - time.monotonic())
            self._buffer.wait_for_room(size, min(left, _LOOK_FOR_ROOM))
            news = self._buffer.put(entry, may_wait=time.monotonic() < deadline)
        return news

    def refuse(self, cause: str) -> None:
        if self._buffer.refuse(cause):
            self.wake()

    def turn_down(self) -> None:
        self._buffer.turn_down()
        self._stderr.say("closed", "records are logged after close, and dropped")

    def wake(self) -> None:
        if not self._started:
            self._started = True
            self._take_back_exit = _exits.call_at_exit(self.close)
            if not _exits.threads_run():
                self._stderr.say(
                    "uwsgi",
                    "uWSGI runs no threads without --enable-threads: "
                    "records may wait until they are flushed, or the process exits",
                )
        self._delivery.wake()
        if self._buffer.is_crowded and not self._delivery.is_here:
            self._stand_back()

    def _stand_back(self) -> None:
        deadline = time.monotonic() + self._buffer.stand_back(_GIVE_WAY)
        while not self._buffer.is_nearly_empty and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _GIVE_WAY_STEP))
        self._buffer.go_on()

    def flush(self, timeout: float | None) -> bool:
        if timeout is not None:
            return self._delivery.flush(max(0.0, timeout))
        now = time.monotonic()
        if not (self._shutting_down and now - self._flush_ended < _SAME_SHUTDOWN):
            self._flush_began = now
        flushed = self._delivery.flush(max(0.0, self._flush_began + self._shutdown_timeout - now))
        self._flush_ended = time.monotonic()
        return flushed

    def begin_shutdown(self) -> None:
        self._shutting_down = True
        self._flush_began = time.monotonic()
        # It is still to come, however long others take before it.
        self._flush_ended = float("inf")
        self._delivery.hurry()

    def close(self) -> None:
        if not self.takes_entries or not self.here[0]:
            return
        self.takes_entries = False
        self._buffer.turn_away("closed")
        if self._take_back_exit is not None:
            self._take_back_exit()
        now = time.monotonic()
        began = self._flush_began if now - self._flush_ended < _SAME_SHUTDOWN else now
        left = self._delivery.close(began + self._shutdown_timeout - now)
        if left:
            why = self._outlet.problem or f"not within {self._shutdown_timeout:g} s"
            self._stderr.say("shutdown", f"{records_in_words(left)} not delivered: {why}")

    def stats(self) -> Stats:
        return _books(self._buffer, self._outlet.sent)


def _books(buffer: Buffer, sent: Stats) -> Stats:
    accepted, delivered, pending, dropped = buffer.books()
    return replace(
        sent,
        accepted=accepted,
        delivered=delivered,
        pending=pending,
        dropped=MappingProxyType(dropped),
    )
