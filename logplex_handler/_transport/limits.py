"""The limits of one request: the time that it may take, and the addresses that it may go to.

The timeouts of requests and urllib3 apply to each read, so an answer that comes byte by byte could
take for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from logplex_handler._process.contexts import CallVar


def nothing() -> None:
    """Do nothing."""


class Limits(NamedTuple):
    """The limits of one request.

    Attributes:
        deadline: When it is given up, on the monotonic clock.
        names_in_time: Whether names that are not resolved by then are given up, too.
        is_public: Whether connections are made to public addresses only. A name without one raises
            PrivateAddress. Names are resolved once, so that a name cannot have another address when
            the connection is made. A proxy's address may be private.
        before_waiting: Called once it is clear that the answer does not come at once.
    """

    deadline: float
    names_in_time: bool = False
    is_public: bool = False
    before_waiting: Callable[[], object] = nothing


limits: CallVar[Limits] = CallVar("limits")


def until(deadline: float) -> AbstractContextManager[None]:
    """Return a context in which bounded connections raise TimeoutError after the deadline."""
    return limits.set(Limits(deadline))


def bounded(timeout: float | None, attempts: int = 1) -> float | None:
    """Return the seconds for one of several attempts: its share of the timeout or the time left."""
    given = limits.get()
    if given is None:
        return timeout
    left = given.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer took too long as a whole")
    return (left if timeout is None else min(timeout, left)) / attempts
