"""What an answer means for the batch, and how long to wait: pure decisions."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass
from enum import Enum

# Seconds: the first wait after a passing failure, and the longest.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
# Seconds: the longest wait for a stream that is refused.
LONGEST_REFUSED_WAIT = 600.0

# Seconds: the longest wait that anybody may ask for.
LONGEST_ASKED_WAIT = 600.0

# Statuses that pass with time, besides all of 5xx.
_PASSING = frozenset({408, 425, 429})
# Statuses that say something about the URL and nothing about the batch.
_ABOUT_THE_URL = frozenset({401, 403, 404, 405, 407, 410, 415})


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Attributes:
        status: The HTTP status, or None if there was no answer.
        failure: Without an answer, the name of what went wrong, such as `ReadTimeout`.
        maybe_delivered: Whether the batch may have arrived though no answer came.
        retry_after: Seconds that the receiver asked to wait, if it did.
        stale_connection: Whether a connection that had been kept open turned out to be closed.
        bytes_sent: The size of the body as it was sent.
        was_tried: Whether there was a request at all.
    """

    status: int | None = None
    failure: str = ""
    maybe_delivered: bool = False
    retry_after: float | None = None
    stale_connection: bool = False
    bytes_sent: int = 0
    was_tried: bool = True

    def __str__(self) -> str:
        return f"status {self.status}" if self.status is not None else self.failure


class Action(Enum):
    """What to do with a batch."""

    FORGET = "it is delivered"
    AGAIN = "it is kept, and sent again after a wait"
    LOOK_UP = "it is kept: the URL is refused, whatever is sent there"
    HALVE = "it is refused as it is, perhaps for one packet in it"


def decide(answer: Answer) -> Action:
    """The one table of answers."""
    status = answer.status
    if status is None:
        return Action.AGAIN
    if 200 <= status < 300:
        return Action.FORGET
    if 300 <= status < 400 or status in _ABOUT_THE_URL:
        return Action.LOOK_UP
    if 400 <= status < 500 and status not in _PASSING:
        return Action.HALVE
    return Action.AGAIN


def wait(attempt: int, random: float, longest: float) -> float:
    """Seconds to wait after the given number of failures in a row: doubled each time, with jitter.

    `random`, from 0 to 1, chooses between half of that and all of it, so that a thousand
    processes that failed together do not come back together.
    """
    doubled = FIRST_WAIT * 2.0 ** min(attempt - 1, 32)
    return min(doubled, longest) * (0.5 + random / 2)


def within_bounds(asked: float | None) -> float | None:
    """A wait that was asked for, in seconds, as it is obeyed: at most 10 minutes."""
    # The greater of 0 and no number is 0.
    return None if asked is None else min(max(0.0, asked), LONGEST_ASKED_WAIT)


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks for, in either of its forms; at most 10 minutes.

    `now` is the time in seconds since the epoch. None for no header or one that says nothing.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:10])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return None
    return within_bounds(seconds)
