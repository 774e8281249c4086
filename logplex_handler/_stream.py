"""One stream: what waits for it, where it goes, and what there is to do for it next."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from types import MappingProxyType

from logplex_handler import _retry
from logplex_handler._backoff import Backoff
from logplex_handler._buffer import Buffer, BufferLimits
from logplex_handler._fill import Readdress, RenderFor
from logplex_handler._host import Host, Hosts
from logplex_handler._lane import OpenLane
from logplex_handler._lookup import Found, Lookup
from logplex_handler._memory import Memory
from logplex_handler._outlet import Notice, Outlet, OutletOptions
from logplex_handler._pool import Pool
from logplex_handler._queue import Weigh
from logplex_handler._retry import Answer
from logplex_handler._shelf import Shelf, ShelfOptions, is_storable
from logplex_handler._spool import Spool
from logplex_handler._stderr import Stderr, records_in_words, shown
from logplex_handler._telling import OnDrop, Telling
from logplex_handler.errors import LookupFailed
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams import Destination

# Seconds between two look-ups of one stream whose URL is refused, however often it is.
_BETWEEN_LOOKUPS = 30.0


class Job(Enum):
    """What a stream needs somebody for."""

    TELL = "somebody is to be told of drops"
    DELIVER = "something is to be sent"
    LOOK_UP = "the application is to be asked where it goes"


@dataclass(frozen=True, repr=False)
class Rooms:
    """What all streams of a handler share.

    Attributes:
        lookup: The application's `streams`; None if there are none.
        may_wait: Seconds that a record may wait for room; None if it may not.
        on_news: Called with a stream that has something to deliver.
        is_deliverer: Whether the calling thread is one that delivers.
        spool: Where what waits is kept on disk; None if it is not.
        recover: Called before anything is sent: what is on disk comes first.
    """

    limits: BufferLimits
    memory: Memory | None
    outlet: OutletOptions
    weigh: Weigh
    render: RenderFor
    readdress: Readdress
    notice: Notice
    stderr: Stderr
    on_drop: OnDrop | None
    hosts: Hosts
    lookup: Lookup | None
    may_wait: float | None
    on_news: Callable[[Stream], None]
    is_deliverer: Callable[[], bool]
    spool: Spool | None
    shelf: ShelfOptions
    recover: Callable[[], object]


class Stream:
    """A stream with its buffer. What is not the lane's is for one thread at a time.

    Args:
        stream_id: What the application calls it; None for the handler's own URL.
        found: Where it goes, if that was looked up before.
        before: What was counted for it before.
    """

    __slots__ = (
        "_found",
        "_looked_up_at",
        "_lookup_backoff",
        "_lookup_failing_since",
        "_rooms",
        "before",
        "buffer",
        "ended",
        "has_news",
        "id",
        "is_let_go",
        "is_looking_up",
        "is_telling",
        "lane",
        "outlet",
        "planned_at",
        "problem",
        "shelf",
        "telling",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: Hashable,
        rooms: Rooms,
        *,
        found: Found | None = None,
        before: Stats | None = None,
    ) -> None:
        self.id = stream_id
        self.before = before
        self._rooms = rooms
        on_news = partial(rooms.on_news, self)
        self.buffer = Buffer(rooms.limits, rooms.weigh, rooms.memory, on_news)
        self.telling = Telling(self.buffer, rooms.stderr, rooms.on_drop)
        self.shelf = _shelf_for(stream_id, self.buffer, rooms)
        self.outlet = Outlet(
            stream_id,
            self.buffer,
            rooms.outlet,
            render=rooms.render,
            readdress=rooms.readdress,
            notice=rooms.notice,
            stderr=rooms.stderr,
            telling=self.telling,
            shelf=self.shelf,
        )
        self.lane = OpenLane(
            self.buffer,
            weigh=rooms.weigh,
            telling=self.telling,
            stderr=rooms.stderr,
            on_news=on_news,
            is_deliverer=rooms.is_deliverer,
            may_wait=rooms.may_wait,
        )
        # Whether somebody was told of news and has not looked yet.
        self.has_news = False
        # When it is planned to look next, and whether it was let go of.
        self.planned_at = float("inf")
        self.is_let_go = False
        # Whether somebody is telling of its drops, or about to.
        self.is_telling = False
        # Why there is no such stream (any more); empty if there is.
        self.ended = ""
        self._found: Found | None = None
        # For look-ups that fail; and when the last one was begun for a URL that was refused.
        self._lookup_backoff = Backoff()
        self._looked_up_at = float("-inf")
        self._lookup_failing_since: float | None = None
        # A look-up that does not come back is given up, but there is no other one beside it.
        self.is_looking_up = False
        self.problem = ""
        if found is not None:
            self._go_to(found)

    def go_to(self, destination: Destination) -> None:
        """Go there; it was not looked up, and never will be."""
        self.outlet.go_to(destination, self._rooms.hosts[destination.host])

    def _go_to(self, found: Found) -> None:
        self._found = found
        self.go_to(found.destination)

    @property
    def host(self) -> Host | None:
        """Where it goes; None while that is not known."""
        return self.outlet.host

    @property
    def found(self) -> Found | None:
        """Where it was looked up to go."""
        return self._found

    def next_job(self, *, closing: bool) -> tuple[Job, float] | None:
        """What there is to do, and in how many seconds; None if nothing waits."""
        if self.ended:
            return None
        if self.host is not None and not self.outlet.wants_look_up:
            pause = self.outlet.pause(closing=closing)
            return None if pause is None else (Job.DELIVER, pause)
        waiting = self.outlet.waiting()
        if self.is_looking_up or not (waiting.records or self.outlet.wants_look_up):
            return None
        in_a_hurry = closing or waiting.somebody_waits
        now = time.monotonic()
        return Job.LOOK_UP, self._lookup_backoff.remaining(now, in_a_hurry=in_a_hurry)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left of it but its books: it may be let go of."""
        _, _, pending, _ = self.buffer.books()
        is_tidy = self.shelf is None or self.shelf.is_tidy
        return is_tidy and not (pending or self.is_looking_up or self.is_telling)

    def deliver(self, pool: Pool, seconds: float) -> None:
        """Send one request, within the seconds."""
        host = self.host
        if host is None:
            return
        lookup = self._rooms.lookup
        self.outlet.may_look_up = (
            lookup is not None
            and self._found is not None
            and not self.is_looking_up
            and time.monotonic() - self._looked_up_at >= _BETWEEN_LOOKUPS
        )
        self._rooms.recover()
        transport = pool.take(host.name)
        try:
            self.outlet.deliver(transport, seconds)
        finally:
            pool.give_back(host.name, transport)
            if self._rooms.memory is not None:
                self._rooms.memory.relieve()

    def look_up(self) -> Found | LookupFailed | None:
        """Ask the application where it goes; for `end_look_up`."""
        lookup = self._rooms.lookup
        if lookup is None:
            return LookupFailed("there is nobody to ask")
        self.is_looking_up = True
        try:
            if self._found is None:
                return lookup.find(self.id)
            self._looked_up_at = time.monotonic()
            return lookup.find_again(self.id, self._found.given)
        except LookupFailed as failed:
            return failed
        finally:
            self.is_looking_up = False

    def end_look_up(self, found: Found | LookupFailed | None) -> None:
        """What the application has answered."""
        self.outlet.wants_look_up = False
        if isinstance(found, Found):
            self._lookup_backoff.succeed()
            self._lookup_failing_since = None
            self.problem = ""
            self._go_to(found)
        elif found is None:
            self._end("unknown_stream" if self._found is None else "stream_gone")
        else:
            self.problem = f"look-up failed: {found}"
            if self._lookup_failing_since is None:
                self._lookup_failing_since = time.time()
            answer = Answer(retry_after=found.retry_after)
            self._lookup_backoff.fail(time.monotonic(), answer, _retry.LONGEST_REFUSED_WAIT)
            self._rooms.stderr.say("look-up", f"stream {shown(self.id)}: {self.problem}")

    def _end(self, cause: str) -> None:
        self.ended = cause
        self.lane.close(cause)
        self.outlet.give_up()
        if self.shelf is not None:
            self.shelf.clear()
        left = self.buffer.abandon(cause)
        kind = "is known to nobody" if cause == "unknown_stream" else "has ended"
        self._rooms.stderr.say(
            cause, f"stream {shown(self.id)} {kind}: {records_in_words(left)} dropped ({cause})"
        )

    def leave(self) -> int:
        """It is over: what is left goes to the spool or is dropped; how many were dropped."""
        return self.buffer.abandon("shutdown", unwritten=self.outlet.park())

    @property
    def set_aside(self) -> SetAside | None:
        """Why and since when nothing is written to it, while its lines are kept."""
        if self.ended:
            return None
        since = self.outlet.set_aside_since
        reason = self.problem or self.outlet.problem
        if since is None and self.host is None:
            since = self._lookup_failing_since
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


def _shelf_for(stream_id: Hashable, buffer: Buffer, rooms: Rooms) -> Shelf | None:
    if rooms.spool is None or not is_storable(stream_id):
        return None
    return Shelf(
        stream_id,
        rooms.spool,
        buffer,
        rooms.shelf,
        render=rooms.render,
        readdress=rooms.readdress,
        stderr=rooms.stderr,
    )
