"""One stream: its parts, from the intake to the sender, and its next job."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.waking_queue import FIRST
from logplex_handler._process.diagnostics import records_in_words, shown
from logplex_handler._process.reentrancy import current_activity
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.retry_policy import Action
from logplex_handler._sender.sender import Sender
from logplex_handler._sender.source import Source
from logplex_handler._transport.transport import TransportPool
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import LookupFailed
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake, OpenIntake, RejectingIntake
from logplex_handler.streams.resolver import Resolved

if TYPE_CHECKING:
    from logplex_handler._sender.relay import Relay
    from logplex_handler._sender.taken_source import Hands

_WHY_REJECTED = {
    "unknown_stream": "records for no stream, or for one that nobody knows, are dropped",
    "stream_gone": "records for a stream that has ended are dropped",
}


class Job(Enum):
    """The jobs that a worker does for a stream."""

    REPORT = "report drops to the application and on stderr"
    DELIVER = "send one request"
    LOOK_UP = "ask the application for the URL"


class Stream:
    """A stream of records. Callers use its intake; its jobs are done by one thread at a time.

    Args:
        stream_id: The application's name for it; None for the handler's own URL.
        resolution: The state of its URL. Default: to be looked up.
        before: The counts of its records from before it was retired.
    """

    __slots__ = (
        "__weakref__", "_open_intake", "accumulator", "before", "context", "drop_reports", "id",
        "in_flight", "intake", "is_retired", "resolution", "sender", "source",
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
        self.context = context
        self.resolution = Resolution() if resolution is None else resolution
        on_news = self._on_news
        self.accumulator = Accumulator(context.limits, context.weigh, context.memory, on_news)
        self.drop_reports = DropReports(self.accumulator, context.diagnostics, context.on_drop)
        hands = None if stream_id is None else context.relaying.hands
        self.source = self._new_source() if hands is None else self._taken_source(hands)
        self.in_flight = InFlight(
            self.accumulator,
            self.source,
            self.drop_reports,
            context.sender.max_batch_bytes,
            context.codec,
        )
        self.sender = Sender(
            stream_id, self.in_flight, context.sender.flush_interval, context.diagnostics
        )
        self._open_intake = OpenIntake(
            self.accumulator,
            drop_reports=self.drop_reports,
            diagnostics=context.diagnostics,
            on_news=on_news,
            is_delivering=context.is_delivering,
            make_room=context.make_room,
            max_block=context.max_block,
        )
        self.intake: Intake = self._open_intake
        # Whether the stream is retired. The registry sets it.
        self.is_retired = False
        if self.relay is not None:
            self.resolution.state = ResolutionState.FIXED
            self.sender.set_destination(self.relay.destination, self.relay.breaker)
        elif self.resolution.found is not None:
            self._set_destination(self.resolution.found.destination)
        elif self.resolution.end_cause:
            self._reject_records()

    def _new_source(self) -> Source:
        """Return a source with the spool if that can hold the stream, else one without."""
        context = self.context
        if context.disk is not None and not self.resolution.end_cause:
            # Imported here, because it is not needed without a spool.
            from logplex_handler._sender.disk_queue import DiskQueue
            from logplex_handler._sender.disk_source import DiskSource
            from logplex_handler._spool.chunk import is_stream_id

            if is_stream_id(self.id):
                spool, disk = context.disk
                queue = DiskQueue(self.id, spool, self.accumulator, context.diagnostics)
                if self.relay is not None:
                    form = self.relay.form
                    max_bytes = min(form.max_bytes, disk.form.max_bytes)
                    disk = disk._replace(form=form._replace(max_bytes=max_bytes))
                return DiskSource(queue, self.accumulator, disk, context.codec)
        form = context.form if self.relay is None else self.relay.form
        return Source(self.accumulator, form, context.codec)

    def _taken_source(self, hands: Hands) -> Source:
        from logplex_handler._sender.taken_source import RelayedDrops, TakenSource

        context = self.context
        drops = self.drop_reports = RelayedDrops(self.accumulator, context.diagnostics)
        return TakenSource(
            self.accumulator,
            context.form,
            context.codec,
            hands,
            drops,
            lambda: self.resolution.end_cause,
        )

    def put_back(self, seconds: float) -> None:
        """Have the relay hand its batch out again after so many seconds."""
        from logplex_handler._sender.taken_source import TakenSource

        if isinstance(self.source, TakenSource):
            self.in_flight.leave_batch()
            self.source.put_back(seconds)

    @property
    def relay(self) -> Relay | None:
        """The relay that takes its batches; None if a receiver does."""
        return None if self.id is None else self.context.relaying.sink

    def _on_news(self) -> None:
        self.context.on_news(self)

    def fix(self, destination: Destination) -> None:
        """Send to this destination, without ever looking it up."""
        self.resolution.state = ResolutionState.FIXED
        self._set_destination(destination)

    def _set_destination(self, destination: Destination) -> None:
        self.sender.set_destination(destination, self.context.breakers[destination.host])

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker of its host; None while its URL is not known."""
        return self.sender.breaker

    @property
    def look_by(self) -> float:
        """When a worker must look at the stream, on the monotonic clock; -inf means at once."""
        if self.accumulator.woken_for == FIRST and self.resolution.is_known:
            return time.monotonic() + self.context.sender.flush_interval
        return -math.inf

    def next_job(self, urgency: Urgency) -> tuple[Job, float] | None:
        """Return the next job, and the seconds until it is due, or None if there is none."""
        if self.resolution.is_known:
            if urgency and self._waits_as_refused and self.resolution.may_look_up_again:
                # A flush does not make the receiver accept the URL, but there may be a new one.
                return Job.LOOK_UP, 0.0
            job, due_in = Job.DELIVER, self.sender.due_in(urgency)
        elif self.resolution.end_cause:
            return None
        else:
            has_records = self.source.backlog().records > 0
            job, due_in = Job.LOOK_UP, self.resolution.due_in(urgency, has_records=has_records)
        return None if due_in is None else (job, due_in)

    @property
    def _waits_as_refused(self) -> bool:
        sender = self.sender
        return bool(sender.set_aside_since) and sender.backoff.not_before > time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether only its counts are left, so that it may be retired."""
        _, _, pending, _ = self.accumulator.counts()
        return self.source.is_synced and not pending and not self.resolution.is_looking_up

    def has_silent_host(self, since: float) -> bool:
        """Return whether the host has answered no stream since a time on the monotonic clock."""
        return self.sender.sent_at <= since and not self.sender.fails_alone

    def deliver(self, pool: TransportPool, seconds: float) -> None:
        """Send one request, which may take `seconds` seconds."""
        destination = self.in_flight.destination
        if destination is None:
            return
        may_look_up = self.resolution.may_look_up_again
        self.context.recover()
        transport = pool.acquire(destination)
        try:
            decision = self.sender.deliver(transport, seconds, may_look_up=may_look_up)
            if decision is not None and decision.action is Action.ACCEPT:
                self.context.lag_reports.note(self.sender.unhindered_lag)
            if decision is not None and decision.looks_up:
                # The scheduler asks for the next job after this one: then, it is a look-up.
                self.resolution.state = ResolutionState.REFUSED
        finally:
            pool.release(destination, transport)
            if self.context.memory is not None:
                self.context.memory.shrink_holders()

    def look_up(self) -> Resolved | LookupFailed | None:
        """Ask the application for the URL. The answer is for `end_look_up`."""
        resolver = self.context.resolver
        if resolver is None:
            return LookupFailed("there is nobody to ask")
        return self.resolution.look_up(resolver, self.id)

    def end_look_up(self, found: Resolved | LookupFailed | None) -> None:
        """Apply the application's answer, or the failure of a look-up that was given up."""
        self.resolution.apply(found)
        if isinstance(found, Resolved):
            self._set_destination(found.destination)
        elif isinstance(found, LookupFailed):
            self.context.diagnostics.warn(
                "look-up", f"stream {shown(self.id)}: {self.resolution.problem}"
            )
        else:
            self._end()

    def _end(self) -> None:
        self._reject_records()
        cause = self.resolution.end_cause
        self.sender.discard_batch()
        left = self.accumulator.abandon(cause)
        kind = "is known to nobody" if cause == "unknown_stream" else "has ended"
        self.context.diagnostics.warn(
            cause, f"stream {shown(self.id)} {kind}: {records_in_words(left)} dropped ({cause})"
        )

    def _reject_records(self) -> None:
        """Drop all further records, even those of callers that have the open intake."""
        cause = self.resolution.end_cause
        self.intake = RejectingIntake(self.accumulator.ledger, cause, self._report_rejected)
        self._open_intake.close(cause)

    def _report_rejected(self) -> None:
        cause = self.resolution.end_cause
        self.context.diagnostics.warn(cause, f"{_WHY_REJECTED[cause]} ({cause})")
        # Records that `on_drop` itself logs must not cause another call of it.
        if current_activity.get() is None and self.drop_reports.count_rejected(cause):
            self._on_news()

    def close(self) -> None:
        """Drop all further records."""
        if not self.resolution.end_cause:
            self._open_intake.close("closed")

    def abandon(self) -> int:
        """Leave the remaining records to the spool, or drop them; return how many were dropped."""
        return self.accumulator.abandon("shutdown", unwritten=self.in_flight.persist())

    @property
    def set_aside(self) -> SetAside | None:
        """Why and since when the stream is set aside; None if it is not."""
        if self.resolution.end_cause:
            return None
        since = self.sender.set_aside_since
        reason = self.resolution.problem or self.sender.problem
        if since is None and self.breaker is None:
            since = self.resolution.failing_since
        return None if since is None else SetAside(self.id, reason, since)

    def stats(self) -> Stats:
        accepted, delivered, pending, dropped = self.accumulator.counts()
        stats = replace(
            self.sender.sent,
            accepted=accepted,
            delivered=delivered if self.relay is None else 0,
            relayed=0 if self.relay is None else delivered,
            pending=pending,
            dropped=MappingProxyType(dropped),
            recovered=self.accumulator.recovered,
            lag=max(0.0, self.in_flight.age()) if pending else 0.0,
        )
        return stats if self.before is None else self.before + stats
