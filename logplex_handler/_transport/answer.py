"""What came of one request."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass

# Seconds: the longest wait that anybody may ask for.
LONGEST_ASKED_WAIT = 600.0


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
