"""Deliberate, random faults of a receiver: error answers, missing answers and delays."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from logplex_handler.testing._http_connection import HttpAnswer

HANG = HttpAnswer(0)
"""Stands for no answer: the connection stays open until the client gives up."""


@dataclass(frozen=True)
class Misbehaviour:
    """Faults for requests that would otherwise be accepted; shares are from 0 to 1.

    Attributes:
        fail: Statuses, each with the share of requests that get it as their answer.
        hang: The share of requests that get no answer.
        delay: Seconds before every answer.
    """

    fail: tuple[tuple[int, float], ...] = ()
    hang: float = 0.0
    delay: float = 0.0
    _random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for an invalid status, share or delay."""
        for status, share in self.fail:
            check_status(status)
            if not 0 <= share <= 1:
                raise ValueError(f"a share must be from 0 to 1, not {share:g}")
        if not 0 <= self.hang <= 1:
            raise ValueError(f"a share must be from 0 to 1, not {self.hang:g}")
        if self.hang + sum(share for _, share in self.fail) > 1:
            raise ValueError("the shares must not be more than 1 together")
        if not 0 <= self.delay <= 3600:
            raise ValueError(f"a delay must be from 0 to 3600 seconds, not {self.delay:g}")

    def next(self) -> HttpAnswer | None:
        """The answer to the next request, or None if it is to be accepted."""
        left = self._random.random()
        faults: Iterable[tuple[HttpAnswer, float]] = [
            (HANG, self.hang),
            *((HttpAnswer(status, b"On purpose"), share) for status, share in self.fail),
        ]
        for answer, share in faults:
            left -= share
            if left < 0:
                return answer
        return None


def check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"status must be 200 to 599, not {status}")
