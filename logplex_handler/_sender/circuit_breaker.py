"""Whether a host answers, learned from all streams that go there."""

from __future__ import annotations

from _weakref import _remove_dead_weakref  # type: ignore[attr-defined]  # as `weakref` does
from collections.abc import Hashable
from weakref import ref

from logplex_handler._sender import retry_policy
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.retry_policy import NO_BACKOFF
from logplex_handler._transport.answer import Answer

# The different streams in a row that got a failure as an answer, after which the breaker opens.
# Fewer streams may have their own problem.
_FAILING_STREAMS = 3


class CircuitBreaker:
    """The state of one host: a scheme, a name and a port.

    It is *closed* while the host answers: several requests may be made at a time. It is *open*
    after the host has failed, until the backoff is over; then it is *half-open*, and one request at
    a time is a probe whose answer closes or opens it. A new breaker is half-open, because nothing
    is known yet.

    Workers use it without a lock: at worst, a wait is shorter than it should be.

    Args:
        is_exclusive: Whether one request at a time is made even while it is closed.

    Attributes:
        backoff: How long it stays open.
        is_untried: Whether no request was made yet.
        answers: How many answers the host has given.
        failed_at: When the host failed last, on the monotonic clock.
    """

    __slots__ = (
        "__weakref__", "_failing_streams", "_has_answered", "_last_failing_stream",
        "_suspected_after", "answers", "backoff", "failed_at", "is_exclusive", "is_untried",
    )  # fmt: skip

    def __init__(self, *, is_exclusive: bool = False) -> None:
        self.is_exclusive = is_exclusive
        self.backoff = NO_BACKOFF
        self.is_untried = True
        self.answers = 0
        self.failed_at = 0.0
        # Whether the last answer closes the breaker.
        self._has_answered = False
        # How many answers there were when a request took too long.
        self._suspected_after = -1
        # The number of streams in a row that got a failure as an answer, and the last of them.
        self._failing_streams = 0
        self._last_failing_stream: Hashable = self

    @property
    def is_closed(self) -> bool:
        """Whether the host answers, and no request has taken too long since its last answer."""
        return self._has_answered and self._suspected_after != self.answers

    def remaining(self, now: float, urgency: Urgency) -> float:
        """Return the seconds for which it stays open."""
        self.backoff = self.backoff.by_clock(now)
        return self.backoff.remaining(now, urgency)

    def suspect(self, answers: int) -> None:
        """Become half-open until the host answers again, because a request takes too long.

        Nothing changes if the host has given more than `answers` answers meanwhile.
        """
        self._suspected_after = answers

    def record_answer(self, stream: Hashable, answer: Answer, now: float) -> bool:
        """Close or open after an answer; return whether the host fails, not the stream."""
        self.is_untried = False
        self.answers += answer.status is not None
        if answer.status is not None and answer.status < 500:
            self._has_answered = True
            self._failing_streams = 0
            self._last_failing_stream = self
            self.backoff = NO_BACKOFF
            return False
        if answer.stale_connection or not answer.was_tried:
            return False
        if answer.status is not None:
            # Compared by identity, because an `__eq__` of the application's ids may raise.
            self._failing_streams += stream is not self._last_failing_stream
            self._last_failing_stream = stream
            if self._failing_streams < _FAILING_STREAMS:
                # The host has answered; perhaps only this stream fails.
                self._has_answered = True
                return False
        self._has_answered = False
        self.failed_at = now
        self.backoff = self.backoff.after_failure(now, answer, retry_policy.LONGEST_WAIT)
        return True


class CircuitBreakers:
    """The circuit breakers of all hosts that streams go to, by name. Any thread may use them.

    There is no lock: some callers hold the registry's, which a garbage collection that logs needs.
    """

    def __init__(self) -> None:
        self._references: dict[str, ref[CircuitBreaker]] = {}

    def __getitem__(self, name: str) -> CircuitBreaker:
        made = CircuitBreaker()
        reference = ref(made, lambda _: self._forget(name))
        while True:
            # One step: several look-ups may find the same new host at the same time.
            known = self._references.setdefault(name, reference)
            breaker = known()
            if breaker is not None:
                return breaker
            self._forget(name)

    def _forget(self, name: str) -> None:
        # One step, too: another thread may have put a new one in place of the dead one.
        _remove_dead_weakref(self._references, name)
