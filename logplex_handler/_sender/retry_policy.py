"""What an answer means for the batch, and how long to wait: pure decisions."""

from __future__ import annotations

from enum import Enum

from logplex_handler._transport.answer import Answer

# Seconds: the first wait after a passing failure, and the longest.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
# Seconds: the longest wait for a stream that is refused.
LONGEST_REFUSED_WAIT = 600.0

# Statuses that pass with time, besides all of 5xx.
_PASSING = frozenset({408, 425, 429})
# Statuses that say something about the URL and nothing about the batch.
_ABOUT_THE_URL = frozenset({401, 403, 404, 405, 407, 410, 415})


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
