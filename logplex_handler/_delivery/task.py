"""A task for a stream, and the scheduler's view of a stream."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
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
        """Note that the look-up has failed."""


S = TypeVar("S", bound=Schedulable)
S_contra = TypeVar("S_contra", bound=Schedulable, contravariant=True)


class Retirement(Protocol[S_contra]):
    """Retires idle streams, and revives them."""

    def retire(self, stream: S_contra, /) -> None:
        """Retire a stream that was idle for a while."""

    def revive(self, stream: S_contra, /) -> None:
        """Revive a retired stream after news of it."""


class Slot(IntEnum):
    """The kind of slot that a task uses."""

    # Requests to hosts that are likely to answer soon.
    REQUEST = 0
    # Requests that are slow, or may be.
    PROBE = 1
    LOOK_UP = 2
    # Look-ups that were given up, and have not returned.
    HUNG = 3
    # Look-ups that have returned an answer that can be used.
    ANSWERED = 4
    REPORT = 5


@dataclass(eq=False)
class Task(Generic[S]):
    """A job that a worker or a flushing caller does for a stream.

    Attributes:
        began: When the task began, on the scheduler's clock.
        breaker: The circuit breaker of the host that a request goes to; None for other jobs.
    """

    stream: S
    job: Job
    slot: Slot
    began: float
    breaker: CircuitBreaker | None = None
