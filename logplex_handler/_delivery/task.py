"""A task for a stream, and the slot that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler.streams.stream import Job, Stream


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
class Task:
    """A job that a worker or a flushing caller does for a stream.

    Attributes:
        began: When the task began, on the scheduler's clock.
        breaker: The circuit breaker of the host that a request goes to; None for other jobs.
    """

    stream: Stream
    job: Job
    slot: Slot
    began: float
    breaker: CircuitBreaker | None = None
