"""One stream: its parts, from the intake to the sender, and its next job."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable
from enum import Enum

from logplex_handler._buffer.waking_queue import FIRST
from logplex_handler._process.diagnostics import records_in_words, shown
from logplex_handler._process.reentrancy import current_activity
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.retry_policy import Action
from logplex_handler._transport.transport import TransportPool
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import LookupFailed
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams._sending import Sending
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake, RejectingIntake
from logplex_handler.streams.resolver import Resolved

_WHY_REJECTED = {
    "unknown_stream": "records for no stream, or for one that nobody knows, are dropped",
    "stream_gone": "records for a stream that has ended are dropped",
}
_NOTHING_SENT = Stats()


class Job(Enum):
    """The jobs that a worker does for a stream."""

    REPORT = "report drops to the application and on stderr"
    DELIVER = "send one request"
    LOOK_UP = "ask the application for the URL"


class Stream(Sending):
    """A stream of records. Callers use its intake; its jobs are done by one thread at a time.

    Args:
        stream_id: The application's name for it; None for the handler's own URL.
        resolution: The state of its URL. Default: to be looked up.
        destination: Where it goes, if that is known.
        before: The counts of its records from before it was retired.
    """

    __slots__ = ("__weakref__", "before", "is_retired", "rejecting", "stays")

    def __init__(
        self,
        stream_id: Hashable,
        context: StreamContext,
        *,
        resolution: Resolution | None = None,
        destination: Destination | None = None,
        before: Stats | None = None,
    ) -> None:
        super().__init__(stream_id, context, resolution or Resolution(), destination)
        self.before = before
        # Takes its records, and drops them, once the stream takes no more.
        self.rejecting: RejectingIntake | None = None
        # Whether the stream is retired or parked, and whether a record came while it was parked, so
        # that more may come. The registry sets them.
        self.is_retired = self.stays = False
        if self.resolution.end_cause:
            self._reject_records()

    @property
    def intake(self) -> Intake:
        return self.rejecting or self

    def let_go(self) -> None:
        """Note that it is retired or parked; it ends with the last reference to it."""
        self.is_retired = True
        # Or it would take a garbage collection.
        self.accumulator.owner = None

    def take_up(self) -> None:
        """Note that it is in use again."""
        self.accumulator.take_up(self)
        self.is_retired = False

    def put_back(self, seconds: float) -> None:
        """Have the relay hand its batch out again after so many seconds."""
        from logplex_handler._sender.taken_source import TakenSource

        if isinstance(self.source, TakenSource):
            self.in_flight.leave_batch()
            self.source.put_back(seconds)

    def after_reclaim(self) -> None:
        self.context.on_news(self)

    def fix(self, destination: Destination) -> None:
        """Send to this destination, without ever looking it up."""
        self.resolution.state = ResolutionState.FIXED
        self.set_destination(destination)

    @property
    def look_by(self) -> float:
        """When a worker must look at the stream, on the monotonic clock; -inf means at once."""
        if self.accumulator.woken_for == FIRST and self.breaker is not None:
            return self.accumulator.since + self.context.sender.flush_interval
        return -math.inf

    def next_job(self, urgency: Urgency) -> tuple[Job, float] | None:
        """Return the next job, and the seconds until it is due, or None if there is none."""
        if self.resolution.is_known:
            if urgency and self._waits_as_refused and self.resolution.may_look_up_again:
                # A flush does not make the receiver accept the URL, but there may be a new one.
                return Job.LOOK_UP, 0.0
            job, due_in = Job.DELIVER, self.request_due_in(urgency)
        elif self.resolution.end_cause:
            return None
        else:
            if self._sender is None:
                has_lines = self.accumulator.backlog().records > 0
            else:
                # Drops are told in the stream, too, even if none of its records is left.
                has_lines = self.source.backlog().records > 0 or self.in_flight.has_own_lines
            job, due_in = Job.LOOK_UP, self.resolution.due_in(urgency, has_lines=has_lines)
        return None if due_in is None else (job, due_in)

    @property
    def _waits_as_refused(self) -> bool:
        sender = self._sender
        if sender is None or not sender.set_aside_since:
            return False
        return sender.backoff.not_before > time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether only its counts are left, so that it may be retired."""
        _, _, pending, _ = self.accumulator.counts()
        is_synced = self._sender is None or self.source.is_synced
        return is_synced and not pending and not self.resolution.is_looking_up

    @property
    def may_park(self) -> bool:
        """Whether there is nothing to remember but its URL, if that is known, and its records."""
        return not self.stays and self._sender is None and self.resolution.is_untroubled

    def has_silent_host(self, since: float) -> bool:
        """Return whether the host has answered no stream since a time on the monotonic clock."""
        return self.sender.sent_at <= since and not self.sender.fails_alone

    def deliver(self, pool: TransportPool, seconds: float) -> None:
        """Send one request, which may take `seconds` seconds."""
        destination = self.destination
        if destination is None:
            return
        if self.context.disk is not None:
            # The disk may take long.
            pool.before_waiting()
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
        if isinstance(found, Resolved):
            # First: if a signal handler raises, the stream is looked up again.
            self.set_destination(found.destination)
        self.resolution.apply(found)
        if isinstance(found, LookupFailed):
            self.context.diagnostics.warn(
                "look-up", f"stream {shown(self.id)}: {self.resolution.problem}"
            )
        elif found is None:
            self._end()

    def _end(self) -> None:
        self._reject_records()
        cause = self.resolution.end_cause
        left = self._drop_all(cause)
        kind = "is known to nobody" if cause == "unknown_stream" else "has ended"
        self.context.diagnostics.warn(
            cause, f"stream {shown(self.id)} {kind}: {records_in_words(left)} dropped ({cause})"
        )

    def _drop_all(self, cause: str) -> int:
        if self._sender is not None:
            self._sender.discard_batch()
        return self.accumulator.abandon(cause)

    def count_recovered(self, records: int) -> None:
        """Count records that a dead process has left on disk; drop them if the stream has ended."""
        self.source.count_recovered(records)
        if self.resolution.end_cause:
            self._drop_all(self.resolution.end_cause)

    def _reject_records(self) -> None:
        """Drop all further records, even those of callers that have the open intake."""
        self._reject_from_now(self.resolution.end_cause, self._report_rejected)

    def _reject_from_now(self, cause: str, on_rejected: Callable[[], object]) -> None:
        # First, so that a caller that still has the open intake finds the cause.
        ledger = self.accumulator.reject_from_now(cause)
        self.rejecting = RejectingIntake(ledger, cause, on_rejected)

    def _report_rejected(self) -> None:
        cause = self.resolution.end_cause
        self.context.diagnostics.warn(cause, f"{_WHY_REJECTED[cause]} ({cause})")
        # Records that `on_drop` itself logs must not cause another call of it.
        if self.context.on_drop is None or current_activity.get() is not None:
            return
        if self.drop_reports.count_rejected(cause):
            self.context.on_news(self)

    def close(self, on_rejected: Callable[[], object]) -> None:
        """Drop all further records, and call a function for each."""
        if not self.resolution.end_cause:
            self._reject_from_now("closed", on_rejected)

    def persist(self) -> Iterable[None]:
        """Write the remaining records to the spool; see `Source.persist`."""
        return () if self._sender is None else self.in_flight.persist()

    def abandon(self) -> int:
        """Drop the remaining records that are not on disk; return how many these are."""
        unwritten = None if self._sender is None else self.source.unwritten
        return self.accumulator.abandon("shutdown", unwritten=unwritten)

    @property
    def set_aside(self) -> SetAside | None:
        """Why and since when the stream is set aside; None if it is not."""
        if self.resolution.end_cause:
            return None
        since = None if self._sender is None else self._sender.set_aside_since
        reason = self.resolution.problem or self.problem
        if since is None and self.breaker is None:
            since = self.resolution.failing_since
        return None if since is None else SetAside(self.id, reason, since)

    def stats(self) -> Stats:
        accepted, delivered, pending, dropped = self.accumulator.counts()
        sent = _NOTHING_SENT if self._sender is None else self._sender.sent
        # Without `replace`, which takes as long as all the rest: a handler has many streams.
        stats = Stats(
            accepted=accepted,
            delivered=delivered if self.relay is None else 0,
            pending=pending,
            dropped=dropped,
            requests=sent.requests,
            retries=sent.retries,
            possible_duplicates=sent.possible_duplicates,
            bytes_sent=sent.bytes_sent,
            recovered=self.accumulator.recovered,
            lag=max(0.0, self.age()) if pending else 0.0,
            relayed=0 if self.relay is None else delivered,
        )
        return stats if self.before is None else self.before + stats
