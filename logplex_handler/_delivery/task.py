"""What is done for a stream at a time, and what the scheduler has to know of one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.urgency import Urgency
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.stream import Job


class Schedulable(Protocol):
    """A stream, as the scheduler sees it."""

    @property
    def id(self) -> Hashable:
        """None for a stream that is never retired."""

    @property
    def is_retired(self) -> bool:
        """Whether the stream is no longer among those in use."""

    @property
    def is_idle(self) -> bool:
        """Whether the stream may be retired."""

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker of the stream's host; None while the destination is unknown."""

    @property
    def has_unreported_drops(self) -> bool:
        """Whether there are drops to report to the application."""

    def next_job(self, urgency: Urgency) -> tuple[Job, float] | None:
        """The next job, and the seconds until it is due; None if there is none."""

    def has_silent_host(self, since: float) -> bool:
        """Whether the host has answered neither this stream nor others since a time."""

    def end_look_up(self, found: LookupFailed, /) -> None:
        """The look-up has failed."""


S = TypeVar("S", bound=Schedulable)
S_contra = TypeVar("S_contra", bound=Schedulable, contravariant=True)


class Retirement(Protocol[S_contra]):
    """Keeps what is needed of streams that are not in use."""

    def retire(self, stream: S_contra, /) -> None:
        """Take a stream out of use that has had nothing to do for a while."""

    def revive(self, stream: S_contra, /) -> None:
        """Take a stream into use again: there is news of it."""


class Slot(Enum):
    """What a task counts as."""

    # Requests to hosts that are likely to answer soon.
    REQUEST = "request"
    # Requests that may take long, or do so.
    PROBE = "probe"
    LOOK_UP = "look-up"
    # Look-ups that were given up, and have not returned.
    HUNG = "hung look-up"
    # Look-ups that have returned, and whose answer is of use.
    ANSWERED = "answered look-up"
    REPORT = "report"


@dataclass(eq=False)
class Task(Generic[S]):
    """A job that a worker or a flushing caller does for a stream.

    Attributes:
        began: On the scheduler's clock.
        breaker: The circuit breaker of the host that a request goes to; None for other jobs.
    """

    stream: S
    job: Job
    slot: Slot
    began: float
    breaker: CircuitBreaker | None = None
