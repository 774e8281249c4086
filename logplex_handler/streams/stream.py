"""One stream: its parts from the intake to the sender, and what there is to do for it next."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from enum import Enum
from functools import partial
from types import MappingProxyType

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import records_in_words, shown
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.drop_notices import DropNotices
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._sender.sender import Sender
from logplex_handler._sender.urgency import Urgency
from logplex_handler._transport.pool import TransportPool
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import LookupFailed
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.ended_intake import EndedIntake
from logplex_handler.streams.intake import Intake, OpenIntake
from logplex_handler.streams.resolution import Resolution
from logplex_handler.streams.resolver import Resolved


class Job(Enum):
    """What a worker does for a stream."""

    REPORT = "report drops to the application and on stderr"
    DELIVER = "send one request"
    LOOK_UP = "ask the application for the URL"


class Stream:
    """A stream with its accumulator. What is not the intake's is for one thread at a time.

    Args:
        stream_id: What the application calls it; None for the handler's own URL.
        address: What is known of where it goes. Default: nothing yet.
        before: What was counted for it before.
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_open_intake",
        "accumulator",
        "before",
        "drop_notices",
        "id",
        "in_flight",
        "intake",
        "is_retired",
        "resolution",
        "sender",
        "source",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: Hashable,
        context: StreamContext,
        *,
        resolution: Resolution | None = None,
        before: Stats | None = None,
    ) -> None:
        self.id = stream_id
        self.before = before
        self._context = context
        self.resolution = Resolution() if resolution is None else resolution
        on_news = partial(context.on_news, self)
        self.accumulator = Accumulator(context.limits, context.weigh, context.memory, on_news)
        self.drop_notices = DropNotices(self.accumulator, context.diagnostics, context.on_drop)
        self.source = context.source_for(
            stream_id, self.accumulator, has_ended=bool(self.resolution.ended)
        )
        self.in_flight = InFlight(
            self.accumulator,
            self.source,
            OwnLines(self.drop_notices, context.notice),
            context.sender.max_batch_bytes,
            context.readdress,
        )
        self.sender = Sender(
            stream_id, self.in_flight, context.sender.flush_interval, context.diagnostics
        )
        self._open_intake = OpenIntake(
            self.accumulator,
            weigh=context.weigh,
            drop_notices=self.drop_notices,
            diagnostics=context.diagnostics,
            on_news=on_news,
            is_deliverer=context.is_deliverer,
            may_wait=context.may_wait,
        )
        self.intake: Intake = self._open_intake
        # Whether the registry has retired it.
        self.is_retired = False
        if self.resolution.found is not None:
            self._go_to(self.resolution.found.destination)
        elif self.resolution.ended:
            self._lead_nowhere()

    def fix(self, destination: Destination) -> None:
        """Go there; it was not looked up, and never will be."""
        self.resolution.fix()
        self._go_to(destination)

    def _go_to(self, destination: Destination) -> None:
        self.sender.set_destination(destination, self._context.breakers[destination.host])

    @property
    def breaker(self) -> CircuitBreaker | None:
        """Where it goes; None while that is not known."""
        return self.sender.breaker

    def next_job(self, urgency: Urgency) -> tuple[Job, float] | None:
        """What there is to do, and in how many seconds; None if nothing waits."""
        if self.resolution.is_known:
            job, pause = Job.DELIVER, self.sender.due_in(urgency)
        elif self.resolution.ended:
            return None
        else:
            has_records = self.in_flight.backlog().records > 0
            job, pause = Job.LOOK_UP, self.resolution.pause(urgency, has_records=has_records)
        return None if pause is None else (job, pause)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left of it but its counts: it may be retired."""
        _, _, pending, _ = self.accumulator.counts()
        return self.source.is_synced and not pending and not self.resolution.is_asking

    @property
    def has_unreported_drops(self) -> bool:
        """Whether there are drops to report to the application and on stderr."""
        return self.drop_notices.is_due

    def has_silent_host(self, since: float) -> bool:
        """Whether the host has answered neither this stream nor others since a time (monotonic)."""
        return self.sender.sent_at <= since and not self.sender.fails_alone

    def deliver(self, pool: TransportPool, seconds: float) -> None:
        """Send one request, within the seconds."""
        breaker = self.breaker
        if breaker is None:
            return
        may_look_up = self.resolution.may_be_asked_again
        self._context.recover()
        transport = pool.acquire(breaker.name)
        try:
            if self.sender.deliver(transport, seconds, may_look_up=may_look_up):
                self.resolution.refused()
        finally:
            pool.release(breaker.name, transport)
            if self._context.memory is not None:
                self._context.memory.shrink_holders()

    def look_up(self) -> Resolved | LookupFailed | None:
        """Ask the application where it goes; for `end_look_up`."""
        lookup = self._context.lookup
        if lookup is None:
            return LookupFailed("there is nobody to ask")
        return self.resolution.ask(lookup, self.id)

    def end_look_up(self, found: Resolved | LookupFailed | None) -> None:
        """What the application has answered."""
        self.resolution.answered(found)
        if isinstance(found, Resolved):
            self._go_to(found.destination)
        elif isinstance(found, LookupFailed):
            self._context.diagnostics.warn(
                "look-up", f"stream {shown(self.id)}: {self.resolution.problem}"
            )
        else:
            self._end()

    def _end(self) -> None:
        self._lead_nowhere()
        cause = self.resolution.ended
        self.sender.discard_batch()
        left = self.accumulator.abandon(cause)
        kind = "is known to nobody" if cause == "unknown_stream" else "has ended"
        self._context.diagnostics.warn(
            cause, f"stream {shown(self.id)} {kind}: {records_in_words(left)} dropped ({cause})"
        )

    def _lead_nowhere(self) -> None:
        """From now on its records are turned down; also those that found their intake before."""
        cause = self.resolution.ended
        self.intake = EndedIntake(
            self.accumulator.ledger,
            cause,
            drop_notices=self.drop_notices,
            diagnostics=self._context.diagnostics,
            on_news=partial(self._context.on_news, self),
        )
        self._open_intake.close(cause)

    def close(self) -> None:
        """From now on records are turned down, as nothing is delivered any more."""
        if not self.resolution.ended:
            self._open_intake.close("closed")

    def leave(self) -> int:
        """It is over: what is left goes to the spool or is dropped; how many were dropped."""
        return self.accumulator.abandon("shutdown", unwritten=self.in_flight.persist())

    @property
    def set_aside(self) -> SetAside | None:
        """Why and since when nothing is written to it, while its lines are kept."""
        if self.resolution.ended:
            return None
        since = self.sender.set_aside_since
        reason = self.resolution.problem or self.sender.problem
        if since is None and self.breaker is None:
            since = self.resolution.failing_since
        return None if since is None else SetAside(self.id, reason, since)

    def stats(self) -> Stats:
        """The books at this moment."""
        accepted, delivered, pending, dropped = self.accumulator.counts()
        stats = replace(
            self.sender.sent,
            accepted=accepted,
            delivered=delivered,
            pending=pending,
            dropped=MappingProxyType(dropped),
            recovered=self.accumulator.recovered(),
        )
        return stats if self.before is None else self.before + stats
