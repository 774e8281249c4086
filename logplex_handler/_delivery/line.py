"""Streams that wait in order, of which only the ids wait if they are parked."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable
from typing import TypeAlias

from logplex_handler.streams.stream import Stream

# A stream that waits, or the id of a parked one: in a tuple, so that nothing else is like it.
Waiting: TypeAlias = Stream | tuple[Hashable]


class Line:
    """A queue of those that wait.

    Garbage collections go through all that a deque refers to, but not through a dict of numbers and
    texts. So a parked stream is only a number in the deque. Between two steps of a method, a signal
    handler may flush, and other threads use the line meanwhile.
    """

    def __init__(self) -> None:
        self._waiting: deque[Stream | int] = deque()
        self._ids: dict[int, Hashable] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, waiting: Waiting) -> None:
        if not isinstance(waiting, tuple):
            self._waiting.append(waiting)
            return
        number = next(self._numbers)
        self._ids[number] = waiting[0]
        self._waiting.append(number)

    def popleft(self) -> Waiting:
        waiting = self._waiting.popleft()
        return (self._ids.pop(waiting),) if isinstance(waiting, int) else waiting
