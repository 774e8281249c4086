"""What to do after an answer, such as a 429: the decision, and the wait that follows."""

from __future__ import annotations

import random
from enum import Enum
from typing import NamedTuple

from logplex_handler._sender.batch import Refusal
from logplex_handler._sender.due import Urgency
from logplex_handler._transport.answer import Answer

# The application may have seeded `random`, and forks would repeat a `Random` of our own.
_RANDOM = random.SystemRandom()

# Seconds: the first and the longest wait after a temporary failure.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
# Seconds: the longest wait of a refused stream.
LONGEST_REFUSED_WAIT = 600.0

# Statuses of temporary failures, in addition to 5xx.
_TEMPORARY = frozenset({408, 425, 429})
# Statuses that concern the URL, whatever the batch.
_ABOUT_THE_URL = frozenset({401, 403, 404, 405, 407, 410, 415})
# The status that names the batch's size as the cause, so that another URL would not help.
_TOO_LARGE = 413
# Failures in a row after which an outage is reported; a receiver's restart is over by then. A
# time-out is reported at once, because it lasts longer than a restart.
_FAILURES_TO_REPORT = 3
# Once so many single frames of a batch are refused and none is accepted, the whole stream is
# probably refused; a wait follows each further refusal.
_REFUSALS_TO_SLOW_DOWN = 8


class Action(Enum):
    """What happens to the part that was sent, and to its stream."""

    ACCEPT = "the part is delivered"
    RETRY = "the part is sent again after a wait"
    RESEND = "the part is sent again at once, after another look-up"
    SPLIT = "the part is halved, or its single frame is refused"
    SET_ASIDE = "the stream is refused: its records are kept, and sent again after a longer wait"


class Situation(NamedTuple):
    """What a decision depends on besides the answer.

    Attributes:
        may_look_up: Whether the application may be asked for another URL.
        failures: Requests in a row before this one that delivered nothing.
        host_failed: Whether the host fails rather than this stream; its circuit breaker waits then.
        refusal: What it means for the batch if this part is refused.
    """

    may_look_up: bool = False
    failures: int = 0
    host_failed: bool = False
    refusal: Refusal = Refusal()


class Decision(NamedTuple):
    """What to do after an answer.

    Attributes:
        longest_wait: The seconds that the stream's backoff may grow to, or None if the stream
            itself does not back off.
        looks_up: Whether the application is asked for another URL.
        refuses_part: Whether the part counts as refused.
        doubts_part: Whether it is unclear if the part or the URL was refused.
        slows_down: Whether a wait follows, so that the search for faulty frames does not flood the
            receiver.
        is_reported: Whether stderr says that the records are kept.
    """

    action: Action
    longest_wait: float | None = None
    looks_up: bool = False
    refuses_part: bool = False
    doubts_part: bool = False
    slows_down: bool = False
    is_reported: bool = False


_ACCEPTED = Decision(Action.ACCEPT)


def accepted(answer: Answer) -> Decision | None:
    """Decide whether the part is delivered, which does not depend on a situation."""
    return _ACCEPTED if answer.status is not None and 200 <= answer.status < 300 else None


def decide(answer: Answer, situation: Situation) -> Decision:
    """Decide what to do after an answer; this is the only table of answers."""
    if (decision := accepted(answer)) is not None:
        return decision
    status, refusal = answer.status, situation.refusal
    if status is None or not 300 <= status < 500 or status in _TEMPORARY:
        return Decision(
            Action.RETRY,
            longest_wait=None if situation.host_failed else LONGEST_WAIT,
            is_reported=answer.timed_out or situation.failures + 1 >= _FAILURES_TO_REPORT,
        )
    if (status < 400 or status in _ABOUT_THE_URL) and not refusal.probe_refused:
        if situation.may_look_up:
            return _set_aside(situation)
        if refusal.is_of_part:
            return Decision(Action.SPLIT, refuses_part=True)
        return _set_aside(situation, doubts_part=True)
    if situation.may_look_up and status != _TOO_LARGE:
        # The URL may be refused rather than the batch.
        return Decision(Action.RESEND, looks_up=True)
    if refusal.is_of_all:
        return _set_aside(situation, refuses_part=True)
    return Decision(
        Action.SPLIT,
        refuses_part=True,
        slows_down=refusal.alone >= _REFUSALS_TO_SLOW_DOWN,
    )


def _set_aside(
    situation: Situation, *, refuses_part: bool = False, doubts_part: bool = False
) -> Decision:
    return Decision(
        Action.SET_ASIDE,
        longest_wait=LONGEST_REFUSED_WAIT,
        looks_up=situation.may_look_up,
        refuses_part=refuses_part,
        doubts_part=doubts_part,
        is_reported=not situation.may_look_up,
    )


def jittered_delay(attempt: int, share: float, longest: float) -> float:
    """Return the seconds to wait: doubled with each failure in a row up to `longest`, with jitter.

    `share`, from 0 to 1, chooses between half of that and all of it, so that a thousand processes
    that failed together do not retry together.
    """
    doubled = FIRST_WAIT * 2.0 ** min(attempt - 1, 32)
    return min(doubled, longest) * (0.5 + share / 2)


class Backoff(NamedTuple):
    """When the next attempt may be made. It is immutable; each attempt makes a new one.

    Attributes:
        failures: Failed attempts in a row.
        failed_at: When the last of them ended. All times are on the monotonic clock.
        not_before: When the next attempt may be made.
        retry_after_until: The time before which the receiver wants no attempt.
    """

    failures: int = 0
    failed_at: float = 0.0
    not_before: float = 0.0
    retry_after_until: float = 0.0

    def after_failure(self, now: float, answer: Answer, longest: float) -> Backoff:
        """Return the backoff after one more failure: longer than before, up to `longest` seconds.

        A `Retry-After` may make it longer still.
        """
        failures = self.failures + 1
        if answer.stale_connection and failures == 1:
            # The receiver had closed an idle connection, which is no sign of trouble.
            return Backoff(failures, now, now, self.retry_after_until)
        wait = jittered_delay(failures, _RANDOM.random(), longest)
        if answer.retry_after is None:
            return Backoff(failures, now, now + wait, self.retry_after_until)
        not_before = now + max(answer.retry_after, FIRST_WAIT)
        return Backoff(failures, now, not_before, not_before)

    def slowed_down(self, now: float) -> Backoff:
        """Wait once for as long as after a first failure."""
        wait = jittered_delay(1, _RANDOM.random(), FIRST_WAIT)
        return self._replace(failed_at=now, not_before=now + wait)

    def by_clock(self, now: float) -> Backoff:
        """Return the backoff whose waits begin now if the clock was set back since the failure.

        An application's tests may do so, and a wait of a second would last for an hour.
        """
        back = self.failed_at - now
        if back <= 0:
            return self
        return Backoff(self.failures, now, self.not_before - back, self.retry_after_until - back)

    def remaining(self, now: float, urgency: Urgency) -> float:
        """Return the seconds until the next attempt.

        During a flush, that is at most `FIRST_WAIT` after the last failure, unless the time of a
        `Retry-After` is not over.
        """
        not_before = self.not_before
        if urgency and self.retry_after_until <= now:
            not_before = min(not_before, self.failed_at + FIRST_WAIT)
        return max(0.0, not_before - now)


# The backoff of everything that has not failed.
NO_BACKOFF = Backoff()
