"""What is known of where one stream goes, and when the application is to be asked for it."""

from __future__ import annotations

import time
from collections.abc import Hashable
from enum import Enum

from logplex_handler._sender import retry_policy
from logplex_handler._sender.backoff import Backoff
from logplex_handler._sender.urgency import Urgency
from logplex_handler._transport.answer import Answer
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.resolver import Resolved, Resolver

# Seconds between two look-ups of one stream whose URL is refused, however often it is.
_BETWEEN_LOOKUPS = 30.0


class ResolutionState(Enum):
    """What is known."""

    FIXED = "it came with the handler, and nobody is asked"
    SOUGHT = "nothing yet: the application is asked once there are records"
    FOUND = "the application has said it"
    REFUSED = "the application has said it, and is to be asked again"
    UNKNOWN = "there is no such stream"
    GONE = "there is no such stream any more"


# As what a stream's records are counted that leads nowhere.
_CAUSES = {ResolutionState.UNKNOWN: "unknown_stream", ResolutionState.GONE: "stream_gone"}


class Resolution:
    """Goes from one state to another: by what is found, what is refused, and what is answered.

    For one thread at a time, but for what it says of itself. A look-up that does not come back is
    given up, and the state is as if it had failed; `is_asking` stays, so that there is no other one
    beside it.

    Args:
        state: What is known from before.
        found: What was looked up then, if it was found.
    """

    __slots__ = ("_asked_again_at", "_backoff", "failing_since", "found", "is_asking", "problem",
                 "state")  # fmt: skip

    def __init__(
        self, state: ResolutionState = ResolutionState.SOUGHT, found: Resolved | None = None
    ) -> None:
        self.state = state
        self.found = found
        # Whether the application is being asked.
        self.is_asking = False
        # For look-ups that fail; and when the last one was begun for a URL that was refused.
        self._backoff = Backoff()
        self._asked_again_at = float("-inf")
        # Since when they fail, in seconds since the epoch, and why; None and empty if they do not.
        self.failing_since: float | None = None
        self.problem = ""

    @property
    def is_known(self) -> bool:
        """Whether there is one to write to."""
        return self.state is ResolutionState.FOUND or self.state is ResolutionState.FIXED

    @property
    def ended(self) -> str:
        """As what the stream's records are counted, as it leads nowhere; empty if it does not."""
        return _CAUSES.get(self.state, "")

    @property
    def may_be_asked_again(self) -> bool:
        """Whether there may be a look-up now if it is refused."""
        return (
            self.state is ResolutionState.FOUND
            and not self.is_asking
            and time.monotonic() - self._asked_again_at >= _BETWEEN_LOOKUPS
        )

    def pause(self, urgency: Urgency, *, has_records: bool) -> float | None:
        """Seconds until the application is to be asked; None if it is not."""
        is_wanted = self.state is ResolutionState.REFUSED or (
            self.state is ResolutionState.SOUGHT and has_records
        )
        if self.is_asking or not is_wanted:
            return None
        return self._backoff.remaining(time.monotonic(), urgency)

    def ask(self, lookup: Resolver, stream: Hashable) -> Resolved | LookupFailed | None:
        """Ask the application, which may take any time; for `answered`."""
        self.is_asking = True
        try:
            if self.found is None:
                return lookup.find(stream)
            self._asked_again_at = time.monotonic()
            return lookup.find_again(stream, self.found.given)
        except LookupFailed as failed:
            return failed
        finally:
            self.is_asking = False

    # From one state to another.

    def fix(self) -> None:
        """It came with the handler."""
        self.state = ResolutionState.FIXED

    def refused(self) -> None:
        """Nothing is accepted there, and the application may be asked again."""
        self.state = ResolutionState.REFUSED

    def answered(self, found: Resolved | LookupFailed | None) -> None:
        """What the application has said."""
        if isinstance(found, LookupFailed):
            # What was found before is tried further, at growing waits.
            if self.state is ResolutionState.REFUSED:
                self.state = ResolutionState.FOUND
            self.problem = f"look-up failed: {found}"
            if self.failing_since is None:
                self.failing_since = time.time()
            answer = Answer(retry_after=found.retry_after)
            self._backoff.fail(time.monotonic(), answer, retry_policy.LONGEST_REFUSED_WAIT)
        elif found is None:
            self.state = ResolutionState.UNKNOWN if self.found is None else ResolutionState.GONE
        else:
            self.found = found
            self.state = ResolutionState.FOUND
            self._backoff.reset()
            self.failing_since = None
            self.problem = ""
