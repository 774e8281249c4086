"""The state of one stream's URL, and when to ask the application for it."""

from __future__ import annotations

import time
from collections.abc import Hashable
from enum import Enum

from logplex_handler._sender import retry_policy
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.retry_policy import NO_BACKOFF
from logplex_handler._transport.answer import Answer
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.resolver import Resolved, Resolver

# The least seconds between two look-ups of a refused stream, however often it is refused.
_BETWEEN_LOOKUPS = 30.0


class ResolutionState(Enum):
    """The states of a stream's URL."""

    FIXED = "given to the handler, and never looked up"
    SOUGHT = "to be looked up as soon as there are lines"
    FOUND = "looked up"
    REFUSED = "looked up, refused by the receiver, and to be looked up again"
    UNKNOWN = "there is no such stream"
    GONE = "the stream has ended"


_KNOWN = (ResolutionState.FOUND, ResolutionState.FIXED)
_ENDED = (ResolutionState.UNKNOWN, ResolutionState.GONE)


class Resolution:
    """The state of one stream's URL, changed by look-ups and by refusals.

    One thread at a time may change it; any thread may read it. A look-up that hangs is given up,
    and the state changes as if it had failed. `is_looking_up` remains true until the look-up
    returns, so that there are never two of a stream.
    """

    __slots__ = (
        "_backoff", "_looked_up_again_at", "failing_since", "given", "is_looking_up", "problem",
        "state",
    )  # fmt: skip

    def __init__(
        self,
        state: ResolutionState = ResolutionState.SOUGHT,
        given: str | Destination | None = None,
    ) -> None:
        self.state = state
        # The application's last answer with a URL.
        self.given = given
        # Whether the application is being asked.
        self.is_looking_up = False
        # The backoff after failed look-ups.
        self._backoff = NO_BACKOFF
        # When the last look-up for a refused URL began, on the monotonic clock.
        self._looked_up_again_at = float("-inf")
        # Since when look-ups fail, in seconds since the epoch, and why; None and empty if they do
        # not.
        self.failing_since: float | None = None
        self.problem = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a URL to send to."""
        return self.state in _KNOWN

    @property
    def end_cause(self) -> str:
        """The cause of drops if the stream is unknown or has ended; else empty."""
        # Not by a mapping: each look-up there calls a function of the enumeration, in Python.
        if self.state not in _ENDED:
            return ""
        return "unknown_stream" if self.state is ResolutionState.UNKNOWN else "stream_gone"

    @property
    def _has_looked_up_again(self) -> bool:
        """Whether a refused URL was looked up again just before."""
        return time.monotonic() - self._looked_up_again_at < _BETWEEN_LOOKUPS

    @property
    def may_look_up_again(self) -> bool:
        """Whether a look-up may follow if the URL is refused now."""
        is_found = self.state is ResolutionState.FOUND
        return is_found and not self.is_looking_up and not self._has_looked_up_again

    @property
    def is_untroubled(self) -> bool:
        """Whether there is nothing to remember but the state and the application's answer."""
        is_simple = self.state in (ResolutionState.SOUGHT, ResolutionState.FOUND)
        has_failed = self._backoff.failures > 0 or self._has_looked_up_again
        return is_simple and not (has_failed or self.is_looking_up)

    def due_in(self, urgency: Urgency, *, has_lines: bool) -> float | None:
        """Return the seconds until a look-up is due, or None if none is needed."""
        is_needed = self.state is ResolutionState.REFUSED or (
            self.state is ResolutionState.SOUGHT and has_lines
        )
        if self.is_looking_up or not is_needed:
            return None
        now = time.monotonic()
        self._backoff = self._backoff.by_clock(now)
        return self._backoff.remaining(now, urgency)

    def look_up(self, resolver: Resolver, stream_id: Hashable) -> Resolved | LookupFailed | None:
        """Ask the application, which may take any time. The answer is for `apply`."""
        self.is_looking_up = True
        try:
            if self.given is None:
                return resolver.look_up(stream_id)
            self._looked_up_again_at = time.monotonic()
            return resolver.look_up_again(stream_id, self.given)
        except LookupFailed as failed:
            return failed
        finally:
            self.is_looking_up = False

    def apply(self, found: Resolved | LookupFailed | None) -> None:
        """Apply the application's answer, or the failure of a look-up that was given up."""
        if isinstance(found, LookupFailed):
            # The URL found before is still tried, at growing intervals.
            if self.state is ResolutionState.REFUSED:
                self.state = ResolutionState.FOUND
            self.problem = f"look-up failed: {found}"
            if self.failing_since is None:
                self.failing_since = time.time()
            answer = Answer(retry_after=found.retry_after)
            self._backoff = self._backoff.after_failure(
                time.monotonic(), answer, retry_policy.LONGEST_REFUSED_WAIT
            )
        elif found is None:
            self.state = ResolutionState.UNKNOWN if self.given is None else ResolutionState.GONE
        else:
            self.given = found.given
            self.state = ResolutionState.FOUND
            self._backoff = NO_BACKOFF
            self.failing_since = None
            self.problem = ""
