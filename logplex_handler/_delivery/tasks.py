"""Running tasks, and their slots."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler.streams.stream import Job, Stream


class Slot(IntEnum):
    """The kind of a running task; most kinds are limited in number."""

    # Requests to hosts that are likely to answer soon.
    REQUEST = 0
    # Requests that are slow, or may be.
    PROBE = 1
    LOOK_UP = 2
    # Look-ups that were given up, and have not returned.
    HUNG = 3
    # Look-ups that have returned a usable answer.
    ANSWERED = 4
    REPORT = 5
    # Pushed to the relay together with a request in one of the first two slots.
    ALONG = 6


@dataclass(repr=False, eq=False)
class Task:
    """A job of a stream that a worker or a flushing caller does.

    Attributes:
        breaker: The circuit breaker of the host that a request goes to; None for other jobs.
        slot: The slot that the task uses; None before it begins.
        began: When the task began, on the scheduler's clock.
        thread: The thread that does the task; 0 before it begins.
    """

    stream: Stream
    job: Job
    breaker: CircuitBreaker | None = None
    slot: Slot | None = None
    began: float = 0.0
    thread: int = 0


class RunningTasks:
    """The running tasks by slot, in the order in which they began. The owner guards it."""

    def __init__(self) -> None:
        self._by_slot: list[dict[Task, None]] = [{} for _ in Slot]

    def __getitem__(self, slot: Slot) -> Mapping[Task, None]:
        return self._by_slot[slot]

    def __iter__(self) -> Iterator[Task]:
        for tasks in self._by_slot:
            yield from tasks

    def begin(self, task: Task, slot: Slot, now: float) -> Task:
        task.began = now
        task.thread = threading.get_ident()
        self.move(task, slot)
        return task

    def move(self, task: Task, slot: Slot) -> None:
        self.end(task)
        task.slot = slot
        self._by_slot[slot][task] = None

    def end(self, task: Task) -> None:
        if task.slot is not None:
            self._by_slot[task.slot].pop(task, None)

    def of_this_thread(self) -> list[Task]:
        here = threading.get_ident()
        return [task for task in self if task.thread == here]


def hung_in_words(tasks: Collection[Task], now: float) -> str:
    """Return what to say of look-ups that hang and use up all slots for look-ups."""
    first = min([task.began for task in tasks])
    since = time.gmtime(time.time() - (now - first))
    return (
        f"{len(tasks)} look-ups hang, the first since {time.strftime('%Y-%m-%d %H:%M:%S', since)} "
        "UTC: until one of them comes back, no other stream is looked up"
    )
