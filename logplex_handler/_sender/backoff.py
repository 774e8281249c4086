"""How long to wait after failures in a row, of a stream or of a host."""

from __future__ import annotations

import random

from logplex_handler._sender import retry_policy
from logplex_handler._sender.urgency import Urgency
from logplex_handler._transport.answer import Answer


class Backoff:
    """When the next try may be, on the monotonic clock. Whoever owns it guards it."""

    __slots__ = ("_failed_at", "failures", "not_before", "retry_after_until")

    def __init__(self) -> None:
        self.failures = 0
        self._failed_at = 0.0
        self.not_before = 0.0
        # Until when the receiver has asked to be left alone.
        self.retry_after_until = 0.0

    def fail(self, now: float, answer: Answer, longest: float) -> None:
        """A try has failed: wait longer than after the one before, up to so many seconds."""
        self.failures += 1
        self._failed_at = now
        if answer.stale_connection and self.failures == 1:
            # It had been closed while nothing was sent. That is no sign of trouble.
            self.not_before = now
            return
        wait = retry_policy.wait(self.failures, random.random(), longest)
        if answer.retry_after is not None:
            wait = max(answer.retry_after, retry_policy.FIRST_WAIT)
            self.retry_after_until = now + wait
        self.not_before = now + wait

    def wait(self, now: float, seconds: float) -> None:
        """Wait, though this is no failure."""
        self._failed_at = now
        self.not_before = now + seconds

    def retry_now(self) -> None:
        """Do not wait, whatever failed before."""
        self.not_before = 0.0

    def reset(self) -> None:
        """A try has not failed."""
        self.failures = 0
        self.not_before = self.retry_after_until = 0.0

    def remaining(self, now: float, urgency: Urgency) -> float:
        """Seconds until the next try.

        In a urgency it is not far off, unless the receiver has asked for a longer wait.
        """
        not_before = self.not_before
        if urgency and self.retry_after_until <= now:
            not_before = min(not_before, self._failed_at + retry_policy.FIRST_WAIT)
        return max(0.0, not_before - now)
