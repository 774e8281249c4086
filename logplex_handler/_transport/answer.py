"""The outcome of one request."""

from __future__ import annotations

import email.utils
from typing import NamedTuple

# The longest wait, in seconds, that a receiver or the application may ask for.
LONGEST_ASKED_WAIT = 600.0


class Answer(NamedTuple):
    """The outcome of one request.

    Attributes:
        status: The HTTP status, or None if there was no answer.
        failure: The name of the error if there was no answer, such as `ReadTimeout`, or the
            setting that is at fault.
        maybe_delivered: Whether the body may have arrived although no answer came.
        retry_after: Seconds that the receiver has asked to wait; None if it has not.
        stale_connection: Whether the connection had been kept open and turned out to be closed.
        bytes_sent: The size of the body as it was sent, perhaps compressed.
        was_tried: Whether there was a request at all.
        timed_out: Whether the receiver did not answer within the whole time-out, or its name could
            not be resolved.
    """

    status: int | None = None
    failure: str = ""
    maybe_delivered: bool = False
    retry_after: float | None = None
    stale_connection: bool = False
    bytes_sent: int = 0
    was_tried: bool = True
    timed_out: bool = False

    def __str__(self) -> str:
        return f"status {self.status}" if self.status is not None else self.failure


def within_bounds(asked: float | None) -> float | None:
    """Return the part of a requested wait that is obeyed, in seconds: at most 10 minutes."""
    # `max` returns 0 if `asked` is not a number.
    return None if asked is None else min(max(0.0, asked), LONGEST_ASKED_WAIT)


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header of either form asks for, at most 10 minutes.

    The result is None if the header is missing or makes no sense. `now` is in seconds since the
    epoch.
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
