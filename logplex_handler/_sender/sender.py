"""One stream's requests: when the next one is made, and what its answer asks for.

Nothing here waits, and nothing locks. `deliver` is called by one thread at a time; the other
members may be read beside it, and see the state before or after a request.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Hashable
from dataclasses import dataclass, replace

from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._sender import retry_policy
from logplex_handler._sender.backoff import Backoff
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.retry_policy import Action
from logplex_handler._sender.urgency import Urgency
from logplex_handler._transport.answer import Answer
from logplex_handler._transport.transport import Transport
from logplex_handler._wire.destination import Destination
from logplex_handler.stats import Stats

# Seconds after a request that the next batch may wait, once it is due, until it is a large one. So
# each record's share of a request is smaller, which costs as much by itself as writing 500 records.
_REST = 0.25
# Failures in a row after which an outage is worth a word; a receiver's restart is over by then.
_FAILURES_TO_TELL = 3
# Packets of a batch refused alone, none accepted, after which it looks as if the stream is refused:
# from then on each is followed by a wait.
_REFUSALS_TO_SLOW_DOWN = 8
# The status that says what is wrong with a batch.
_TOO_LARGE = 413


@dataclass(frozen=True)
class SenderOptions:
    """When a batch is sent, and how large it may be.

    Attributes:
        flush_interval: Seconds that the first record of a batch waits for more.
        max_batch_bytes: Bytes of a request's body before compression.
    """

    flush_interval: float
    max_batch_bytes: int


class Sender:
    """Sends what is in flight, one request at a time.

    Args:
        name: The stream's id.
        flush_interval: Seconds that the first record of a batch waits for more.
    """

    __slots__ = (
        "_answers_before",
        "_breaker",
        "_diagnostics",
        "_failures",
        "_flush_interval",
        "_name",
        "backoff",
        "in_flight",
        "problem",
        "sent",
        "sent_at",
        "set_aside_since",
    )  # fmt: skip

    def __init__(
        self, name: Hashable, in_flight: InFlight, flush_interval: float, diagnostics: Diagnostics
    ) -> None:
        self._name = name
        self.in_flight = in_flight
        self._flush_interval = flush_interval
        self._diagnostics = diagnostics
        self._breaker: CircuitBreaker | None = None
        # Requests in a row that did not deliver what they carried.
        self._failures = 0
        # For what is the matter with this stream alone; the host has one for what is with it.
        self.backoff = Backoff()
        # When the last request was over, on the monotonic clock; set before its answer is noted.
        self.sent_at = -math.inf
        # How often the host had answered when it last gave this stream no answer; None if it did.
        self._answers_before: int | None = None
        # What is known of requests; the rest of it is the accumulator's.
        self.sent = Stats()
        # Why the last request did not deliver what it carried; empty if it did.
        self.problem = ""
        # Since when the stream is refused, in seconds since the epoch; None if it is not.
        self.set_aside_since: float | None = None

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The destination's host; None without one."""
        return self._breaker

    def set_destination(self, destination: Destination, breaker: CircuitBreaker) -> None:
        """From now on this is the destination. It is tried at once if it is another one."""
        if destination != self.in_flight.destination:
            self.in_flight.set_destination(destination)
            self._breaker = breaker
            self._answers_before = None
            self._failures = 0
            self.backoff.reset()

    @property
    def fails_alone(self) -> bool:
        """Whether the host has answered others since it last gave this stream no answer.

        Then it is not the host that fails.
        """
        before, breaker = self._answers_before, self._breaker
        return before is not None and breaker is not None and breaker.answers > before

    @property
    def retry_after_until(self) -> float:
        """Until when the receiver has asked to be left alone, on the monotonic clock."""
        asked = self.backoff.retry_after_until
        return (
            asked if self._breaker is None else max(asked, self._breaker.backoff.retry_after_until)
        )

    def ignore_retry_after(self) -> None:
        """It is the last chance: do not wait, not even where the receiver has asked for it."""
        self.backoff.retry_after_until = 0.0
        if self._breaker is not None:
            self._breaker.backoff.retry_after_until = 0.0

    def due_in(self, urgency: Urgency) -> float | None:
        """Seconds until there is something to do; None if nothing waits."""
        now = time.monotonic()
        backlog = self.in_flight.backlog()
        if self.in_flight.is_begun:
            pause = self.backoff.remaining(now, urgency)
            if self._breaker is not None and not self._breaker.is_closed:
                pause = max(pause, self._breaker.backoff.remaining(now, urgency))
            return pause
        if pause := self.in_flight.disk_pause(now):
            return pause
        is_asked_for = urgency is Urgency.CLOSING or backlog.flushing
        if self.in_flight.has_own_lines or (is_asked_for and backlog.records):
            return 0.0
        if backlog.pressing and backlog.full_batch:
            return 0.0
        if backlog.since == math.inf and not backlog.full_batch:
            return None
        due = backlog.since + self._flush_interval
        if backlog.full_batch:
            due = min(due, self.sent_at + _REST)
        return max(0.0, due - now)

    def deliver(self, transport: Transport, seconds: float, *, may_look_up: bool) -> bool:
        """Send one part of one batch, within the seconds.

        Args:
            may_look_up: Whether the application may be asked for another URL.

        Returns:
            Whether it is to be.
        """
        part = self.in_flight.next_part()
        destination = self.in_flight.destination
        if part is None or destination is None:
            return False
        tried, maybe_delivered = part.tried, part.maybe_delivered
        # Unless an answer says otherwise: a signal may end this without one.
        part.tried = part.maybe_delivered = True
        answer = transport.post(
            destination,
            part.body,
            frames=part.number,
            frame_id=part.frame_id,
            seconds=seconds,
        )
        self.sent_at = time.monotonic()
        part.tried, part.maybe_delivered = tried or answer.was_tried, answer.maybe_delivered
        if answer.was_tried:
            self._count(answer, again=tried, maybe_twice=maybe_delivered)
        return self._follow(answer, may_look_up=may_look_up)

    def discard_batch(self) -> None:
        """Nothing goes anywhere any more."""
        self.in_flight.discard_batch()
        self.set_aside_since = None

    def _count(self, answer: Answer, *, again: bool, maybe_twice: bool) -> None:
        self.sent = replace(
            self.sent,
            requests=self.sent.requests + 1,
            retries=self.sent.retries + again,
            possible_duplicates=self.sent.possible_duplicates + maybe_twice,
            bytes_sent=self.sent.bytes_sent + answer.bytes_sent,
        )

    def _follow(self, answer: Answer, *, may_look_up: bool) -> bool:
        """Do what the answer asks for; whether that is to ask for another URL."""
        action = retry_policy.decide(answer)
        is_hosts = self._tell_host(answer)
        if action is Action.AGAIN:
            self._fail(answer, retry_policy.LONGEST_WAIT, waits=not is_hosts)
            if self._failures >= _FAILURES_TO_TELL:
                self._say_kept("unreachable", answer, "not delivering")
            return False
        if action is Action.LOOK_UP:
            return self._set_aside(answer, may_look_up=may_look_up)
        if action is Action.FORGET:
            self._failures = 0
            self.backoff.reset()
            self.problem = ""
            self.set_aside_since = None
            self.in_flight.part_accepted()
            return False
        self.backoff.retry_now()
        self.problem = str(answer)
        if may_look_up and answer.status != _TOO_LARGE:
            # Perhaps it is not the batch that is refused.
            return True
        refused_alone = self.in_flight.part_refused()
        if refused_alone is None:
            return self._set_aside(answer, may_look_up=may_look_up)
        if refused_alone >= _REFUSALS_TO_SLOW_DOWN:
            wait = retry_policy.wait(1, random.random(), retry_policy.LONGEST_REFUSED_WAIT)
            self.backoff.wait(time.monotonic(), wait)
        return False

    def _tell_host(self, answer: Answer) -> bool:
        """Note at the host how it has answered; whether it is the host that fails."""
        breaker = self._breaker
        if breaker is None:
            return False
        is_hosts = not (answer.status is None and self.fails_alone) and breaker.record_answer(
            self._name, answer, self.sent_at
        )
        if answer.status is not None:
            self._answers_before = None
        elif answer.was_tried:
            self._answers_before = breaker.answers
        return is_hosts

    def _set_aside(self, answer: Answer, *, may_look_up: bool) -> bool:
        """The stream is refused: keep its records, and wait longer each time."""
        self._fail(answer, retry_policy.LONGEST_REFUSED_WAIT)
        if self.set_aside_since is None:
            self.set_aside_since = time.time()
        if not may_look_up:
            what = "not accepted (is the URL with its token still good?)"
            self._say_kept("refused", answer, what)
        return may_look_up

    def _fail(self, answer: Answer, longest: float, *, waits: bool = True) -> None:
        self._failures += 1
        self.problem = str(answer)
        if waits:
            self.backoff.fail(time.monotonic(), answer, longest)

    def _say_kept(self, kind: str, answer: Answer, what: str) -> None:
        destination = self.in_flight.destination
        host = destination.host if destination is not None else ""
        self._diagnostics.warn(
            kind,
            f"{host}: {what}: {answer}; {records_in_words(self.in_flight.pending)} kept, "
            "to be tried again",
        )
