"""One stream: its rooms from the lane to the outlet, and what there is to do for it next."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from enum import Enum
from functools import partial
from types import MappingProxyType

from logplex_handler._buffer.accumulator import Buffer
from logplex_handler._process.diagnostics import records_in_words, shown
from logplex_handler._sender.circuit_breaker import Host
from logplex_handler._sender.drop_notices import Telling
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.sender import Outlet
from logplex_handler._sender.urgency import Haste
from logplex_handler._transport.pool import Pool
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import LookupFailed
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.context import Rooms
from logplex_handler.streams.ended_intake import Nowhere
from logplex_handler.streams.intake import Lane, OpenLane
from logplex_handler.streams.resolution import Address
from logplex_handler.streams.resolver import Found


class Job(Enum):
    """What a stream needs somebody for."""

    TELL = "somebody is to be told of drops"
    DELIVER = "something is to be sent"
    LOOK_UP = "the application is to be asked where it goes"


class Turn(Enum):
    """What the agenda has for a stream, if it is not to be looked at later."""

    NONE = "nothing"
    DUE = "it waits for its turn"
    UNDER_WAY = "its job is being done"


class Stream:
    """A stream with its buffer. What is not the lane's is for one thread at a time.

    Args:
        stream_id: What the application calls it; None for the handler's own URL.
        address: What is known of where it goes. Default: nothing yet.
        before: What was counted for it before.
    """

    __slots__ = (
        "__weakref__", "_open_lane", "_rooms", "address", "before", "buffer", "has_news", "id",
        "in_flight", "is_let_go", "is_telling", "lane", "outlet", "shelf", "telling", "turn",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: Hashable,
        rooms: Rooms,
        *,
        address: Address | None = None,
        before: Stats | None = None,
    ) -> None:
        self.id = stream_id
        self.before = before
        self._rooms = rooms
        self.address = Address() if address is None else address
        on_news = partial(rooms.on_news, self)
        self.buffer = Buffer(rooms.limits, rooms.weigh, rooms.memory, on_news)
        self.telling = Telling(self.buffer, rooms.stderr, rooms.on_drop)
        self.shelf = None if self.address.ended else rooms.shelf_for(stream_id, self.buffer)
        self.in_flight = InFlight(
            self.buffer,
            rooms.outlet.max_batch_bytes,
            render=rooms.render,
            readdress=rooms.readdress,
            notice=rooms.notice,
            telling=self.telling,
            shelf=self.shelf,
        )
        self.outlet = Outlet(stream_id, self.in_flight, rooms.outlet.flush_interval, rooms.stderr)
        self._open_lane = OpenLane(
            self.buffer,
            weigh=rooms.weigh,
            telling=self.telling,
            stderr=rooms.stderr,
            on_news=on_news,
            is_deliverer=rooms.is_deliverer,
            may_wait=rooms.may_wait,
        )
        self.lane: Lane = self._open_lane
        # Whether somebody was told of news and has not looked yet.
        self.has_news = False
        # What the agenda has for it: a turn, or when it is looked at again, on the monotonic clock.
        self.turn: Turn | float = Turn.NONE
        # Whether somebody is telling of its drops, or about to.
        self.is_telling = False
        # Whether it was let go of.
        self.is_let_go = False
        if self.address.found is not None:
            self._go_to(self.address.found.destination)
        elif self.address.ended:
            self._lead_nowhere()

    def fix(self, destination: Destination) -> None:
        """Go there; it was not looked up, and never will be."""
        self.address.fix()
        self._go_to(destination)

    def _go_to(self, destination: Destination) -> None:
        self.outlet.go_to(destination, self._rooms.hosts[destination.host])

    @property
    def host(self) -> Host | None:
        """Where it goes; None while that is not known."""
        return self.outlet.host

    def next_job(self, haste: Haste) -> tuple[Job, float] | None:
        """What there is to do, and in how many seconds; None if nothing waits."""
        if self.address.is_known:
            job, pause = Job.DELIVER, self.outlet.pause(haste)
        elif self.address.ended:
            return None
        else:
            has_records = self.in_flight.waiting().records > 0
            job, pause = Job.LOOK_UP, self.address.pause(haste, has_records=has_records)
        return None if pause is None else (job, pause)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left of it but its books: it may be let go of."""
        _, _, pending, _ = self.buffer.books()
        is_busy = pending or self.address.is_asking or self.is_telling
        return self.in_flight.is_tidy and not is_busy

    def deliver(self, pool: Pool, seconds: float) -> None:
        """Send one request, within the seconds."""
        host = self.host
        if host is None:
            return
        may_ask = self.address.may_be_asked_again
        self._rooms.recover()
        transport = pool.take(host.name)
        try:
            if self.outlet.deliver(transport, seconds, may_ask=may_ask):
                self.address.refused()
        finally:
            pool.give_back(host.name, transport)
            if self._rooms.memory is not None:
                self._rooms.memory.relieve()

    def look_up(self) -> Found | LookupFailed | None:
        """Ask the application where it goes; for `end_look_up`."""
        lookup = self._rooms.lookup
        if lookup is None:
            return LookupFailed("there is nobody to ask")
        return self.address.ask(lookup, self.id)

    def end_look_up(self, found: Found | LookupFailed | None) -> None:
        """What the application has answered."""
        self.address.answered(found)
        if isinstance(found, Found):
            self._go_to(found.destination)
        elif isinstance(found, LookupFailed):
            self._rooms.stderr.say("look-up", f"stream {shown(self.id)}: {self.address.problem}")
        else:
            self._end()

    def _end(self) -> None:
        self._lead_nowhere()
        cause = self.address.ended
        self.outlet.give_up()
        if self.shelf is not None:
            self.shelf.clear()
        left = self.buffer.abandon(cause)
        kind = "is known to nobody" if cause == "unknown_stream" else "has ended"
        self._rooms.stderr.say(
            cause, f"stream {shown(self.id)} {kind}: {records_in_words(left)} dropped ({cause})"
        )

    def _lead_nowhere(self) -> None:
        """From now on its records are turned down; those too that have found their lane before."""
        cause = self.address.ended
        self.lane = Nowhere(
            self.buffer,
            cause,
            telling=self.telling,
            stderr=self._rooms.stderr,
            on_news=partial(self._rooms.on_news, self),
        )
        self._open_lane.close(cause)

    def close(self) -> None:
        """From now on records are turned down, as nothing is delivered any more."""
        if not self.address.ended:
            self._open_lane.close("closed")

    def leave(self) -> int:
        """It is over: what is left goes to the spool or is dropped; how many were dropped."""
        return self.buffer.abandon("shutdown", unwritten=self.in_flight.park())

    @property
    def set_aside(self) -> SetAside | None:
        """Why and since when nothing is written to it, while its lines are kept."""
        if self.address.ended:
            return None
        since = self.outlet.set_aside_since
        reason = self.address.problem or self.outlet.problem
        if since is None and self.host is None:
            since = self.address.failing_since
        return None if since is None else SetAside(self.id, reason, since)

    def stats(self) -> Stats:
        """The books at this moment."""
        accepted, delivered, pending, dropped = self.buffer.books()
        stats = replace(
            self.outlet.sent,
            accepted=accepted,
            delivered=delivered,
            pending=pending,
            dropped=MappingProxyType(dropped),
            recovered=self.buffer.recovered(),
        )
        return stats if self.before is None else self.before + stats
