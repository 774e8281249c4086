"""One stream's requests: when the next one is due, and what follows from its answer.

Nothing here waits or locks: the worker pool of `_delivery` sleeps until a request is due, and
`Backoff` keeps the waits after failures. One thread at a time calls `deliver`; the other members
may be read meanwhile, and show the state before or after a request.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from typing import NamedTuple

from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._sender import retry_policy
from logplex_handler._sender.batch import Part
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.due import Urgency, next_batch_due_in
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.retry_policy import NO_BACKOFF, Action, Decision, Situation
from logplex_handler._transport.answer import Answer
from logplex_handler._transport.transport import Transport
from logplex_handler._wire.destination import Destination
from logplex_handler.stats import Stats

# Seconds after which a source that allows no request is asked again.
_BETWEEN_LOOKS = 0.2


class SenderOptions(NamedTuple):
    """When a batch is sent, and how large it may be.

    Attributes:
        flush_interval: Seconds that the first record of a batch waits for more.
        max_batch_bytes: Bytes of a request's body before compression.
    """

    flush_interval: float
    max_batch_bytes: int


class Attempt(NamedTuple):
    """A part that is being sent, and what was known of it before."""

    part: Part
    tried: bool
    maybe_delivered: bool


class Sender:
    """The sender of one stream's batches, one request at a time.

    Attributes:
        name: The stream's id.
        backoff: The wait after failures of this stream alone; the circuit breaker of its host has
            its own.
        breaker: The circuit breaker of the destination's host; None without a destination.
        sent_at: When the last request was over, on the monotonic clock. It is set before the
            circuit breaker records the answer.
        problem: Why the last request did not deliver its records; empty if it did.
        set_aside_since: Since when the stream is refused, in seconds since the epoch; None if it is
            not.
    """

    __slots__ = (
        "_answers_before", "_bytes_sent", "_diagnostics", "_failures", "_flush_interval",
        "_hindered_at", "_possible_duplicates", "_requests", "_retries", "backoff",
        "breaker", "in_flight", "name", "problem", "sent_at", "set_aside_since",
    )  # fmt: skip

    def __init__(
        self, name: Hashable, in_flight: InFlight, flush_interval: float, diagnostics: Diagnostics
    ) -> None:
        self.name = name
        self.in_flight = in_flight
        self._flush_interval = flush_interval
        self._diagnostics = diagnostics
        self.breaker: CircuitBreaker | None = None
        # The number of requests in a row that did not deliver their records.
        self._failures = 0
        self.backoff = NO_BACKOFF
        # When a request failed, or the destination became known, on the monotonic clock.
        self._hindered_at = 0.0
        self.sent_at = -math.inf
        # The host's count of answers when this stream's last request went unanswered; None if it
        # was answered.
        self._answers_before: int | None = None
        self._requests = self._retries = self._possible_duplicates = self._bytes_sent = 0
        self.problem = ""
        self.set_aside_since: float | None = None

    def set_destination(
        self, destination: Destination, breaker: CircuitBreaker, since: float
    ) -> None:
        """Send to this destination from now on; at once if it differs from the previous one.

        It is known since a time on the monotonic clock.
        """
        if destination != self.in_flight.destination:
            self.breaker = breaker
            self.in_flight.set_destination(destination)
            self._hindered_at = since
            self._answers_before = None
            self._failures = 0
            self.backoff = NO_BACKOFF
        else:
            # Equal ones may differ in whether the host may be private.
            self.in_flight.destination = destination

    @property
    def fails_alone(self) -> bool:
        """Whether the host has answered other streams since it last gave this one no answer.

        In this case, the stream fails, not the host.
        """
        before, breaker = self._answers_before, self.breaker
        return before is not None and breaker is not None and breaker.answers > before

    def due_in(self, urgency: Urgency) -> float | None:
        """Return the seconds until the next request is due, or None if nothing waits."""
        due_in = self._due_in(urgency)
        if due_in is not None and self.in_flight.source.time_left() <= 0:
            return max(due_in, _BETWEEN_LOOKS)
        return due_in

    def _due_in(self, urgency: Urgency) -> float | None:
        if self.in_flight.is_idle:
            return None
        now = time.monotonic()
        backlog = self.in_flight.source.backlog()
        if self.in_flight.has_batch:
            is_refused = self.set_aside_since is not None and urgency is Urgency.FLUSHING
            # A flush does not make a receiver accept a URL that it refuses.
            self.backoff = self.backoff.by_clock(now)
            wait = self.backoff.remaining(now, Urgency.NONE if is_refused else urgency)
            if self.breaker is not None and not self.breaker.is_closed:
                wait = max(wait, self.breaker.remaining(now, urgency))
            return wait
        return self.in_flight.source.readable_in(now) or next_batch_due_in(
            backlog,
            urgency,
            now,
            flush_interval=self._flush_interval,
            sent_at=self.sent_at,
            has_own_lines=self.in_flight.has_own_lines,
        )

    def deliver(
        self, transport: Transport, seconds: float, *, may_look_up: bool
    ) -> Decision | None:
        """Send one part of one batch within the given seconds.

        Returns:
            The decision about the answer, or None if there was nothing to send. If the URL must be
            looked up again, the stream's `Resolution` does so.
        """
        attempt = self.begin()
        destination = self.in_flight.destination
        if attempt is None or destination is None:
            return None
        answer = transport.post(
            destination,
            attempt.part.body,
            frames=attempt.part.number,
            frame_id=attempt.part.frame_id,
            seconds=min(seconds, self.in_flight.source.time_left()),
        )
        return self.end(attempt, answer, time.monotonic(), may_look_up=may_look_up)

    def begin(self) -> Attempt | None:
        """Begin to send a part, perhaps of a new batch; None if there is nothing to send."""
        part = self.in_flight.next_part()
        if part is None or self.in_flight.source.time_left() <= 0:
            return None
        attempt = Attempt(part, part.tried, part.maybe_delivered)
        # Set before the request, because a signal may interrupt it; the answer corrects both.
        part.tried = part.maybe_delivered = True
        return attempt

    def end(
        self,
        attempt: Attempt,
        answer: Answer,
        now: float,
        *,
        may_look_up: bool = False,
        host_failed: bool | None = None,
    ) -> Decision:
        """Do what follows from the answer, which came now; return what that was.

        Args:
            host_failed: Whether the host itself fails, if the circuit breaker knows the answer.
        """
        part, tried, maybe_delivered = attempt
        self.sent_at = now
        part.tried, part.maybe_delivered = tried or answer.was_tried, answer.maybe_delivered
        if answer.was_tried:
            self._requests += 1
            self._retries += tried
            self._possible_duplicates += maybe_delivered
            self._bytes_sent += answer.bytes_sent
        if host_failed is None:
            host_failed = self._record_at_breaker(answer)
        decision = retry_policy.accepted(answer)
        if decision is None:
            situation = Situation(may_look_up, self._failures, host_failed, self.in_flight.refusal)
            decision = retry_policy.decide(answer, situation)
        self._carry_out(decision, answer)
        return decision

    def discard_batch(self) -> None:
        self.in_flight.discard_batch()
        self.set_aside_since = None

    @property
    def unhindered_lag(self) -> float:
        """Seconds that the records sent last had waited; 0 if anything failed meanwhile."""
        since, breaker = self.in_flight.sent_since, self.breaker
        hindered_at = self._hindered_at
        if breaker is not None:
            hindered_at = max(hindered_at, breaker.failed_at)
        return self.sent_at - since if hindered_at < since else 0.0

    @property
    def sent(self) -> Stats:
        return Stats(
            requests=self._requests,
            retries=self._retries,
            possible_duplicates=self._possible_duplicates,
            bytes_sent=self._bytes_sent,
        )

    def _record_at_breaker(self, answer: Answer) -> bool:
        """Record the answer at the circuit breaker; return whether the host itself fails."""
        breaker = self.breaker
        if breaker is None:
            return False
        is_alone = answer.status is None and self.fails_alone
        host_failed = not is_alone and breaker.record_answer(self.name, answer, self.sent_at)
        if answer.status is not None:
            self._answers_before = None
        elif answer.was_tried:
            self._answers_before = breaker.answers
        return host_failed

    def _carry_out(self, decision: Decision, answer: Answer) -> None:
        self.problem = "" if decision.action is Action.ACCEPT else str(answer)
        match decision.action:
            case Action.ACCEPT:
                self._failures = 0
                self.backoff = NO_BACKOFF
                self.set_aside_since = None
            case Action.RETRY:
                self._back_off(decision, answer)
                if decision.is_reported:
                    self._report_kept("retried", answer, "not delivering")
            case Action.RESEND | Action.SPLIT:
                self.backoff = self.backoff._replace(not_before=0.0)
                if decision.slows_down:
                    self.backoff = self.backoff.slowed_down(time.monotonic())
            case Action.SET_ASIDE:
                self._back_off(decision, answer)
                if self.set_aside_since is None:
                    self.set_aside_since = time.time()
                if decision.is_reported:
                    what = "not accepted (is the URL with its token still good?)"
                    self._report_kept("refused", answer, what)
        self.in_flight.carry_out(decision)

    def _back_off(self, decision: Decision, answer: Answer) -> None:
        self._failures += 1
        self._hindered_at = self.sent_at
        if decision.longest_wait is not None:
            now = time.monotonic()
            self.backoff = self.backoff.after_failure(now, answer, decision.longest_wait)

    def _report_kept(self, kind: str, answer: Answer, what: str) -> None:
        destination = self.in_flight.destination
        # That of a relay is only `relay://`: the answer names the server.
        host = destination.host.removesuffix("://") if destination is not None else ""
        pending = self.in_flight.pending
        # Without records, a drop notice or a line of metrics is to be delivered.
        kept = f"{records_in_words(pending)} kept, to be tried again" if pending else "tried again"
        self._diagnostics.warn(kind, f"{host}: {what}: {answer}; {kept}")
