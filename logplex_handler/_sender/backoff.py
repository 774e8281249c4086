"""The wait after failures in a row, of a stream, of a host or of look-ups."""

from __future__ import annotations

import random

from logplex_handler._sender import retry_policy
from logplex_handler._sender.urgency import Urgency
from logplex_handler._transport.answer import Answer


class Backoff:
    """When the next attempt may be made. Its owner guards it.

    Attributes:
        failures: Failed attempts in a row.
        not_before: When the next attempt may be made, on the monotonic clock.
        retry_after_until: The time before which the receiver wants no attempt.
    """

    __slots__ = ("_failed_at", "failures", "not_before", "retry_after_until")

    def __init__(self) -> None:
        self.failures = 0
        self._failed_at = 0.0
        self.not_before = 0.0
        self.retry_after_until = 0.0

    def fail(self, now: float, answer: Answer, longest: float) -> None:
        """Note a failed attempt: wait longer than last time, at most this many seconds."""
        self.failures += 1
        self._failed_at = now
        if answer.stale_connection and self.failures == 1:
            # The receiver had closed an idle connection, which is no sign of trouble.
            self.not_before = now
            return
        wait = retry_policy.jittered_delay(self.failures, random.random(), longest)
        if answer.retry_after is not None:
            wait = max(answer.retry_after, retry_policy.FIRST_WAIT)
            self.retry_after_until = now + wait
        self.not_before = now + wait

    def pause_for(self, seconds: float, now: float) -> None:
        """Make no attempt for so long, although nothing has failed."""
        self._failed_at = now
        self.not_before = now + seconds

    def retry_now(self) -> None:
        """Do not wait, whatever has failed before."""
        self.not_before = 0.0

    def reset(self) -> None:
        """Note a successful attempt."""
        self.failures = 0
        self.not_before = self.retry_after_until = 0.0

    def remaining(self, now: float, urgency: Urgency) -> float:
        """Seconds until the next attempt.

        During a flush that is soon, unless the receiver has asked for a longer wait.
        """
        not_before = self.not_before
        if urgency and self.retry_after_until <= now:
            not_before = min(not_before, self._failed_at + retry_policy.FIRST_WAIT)
        return max(0.0, not_before - now)
