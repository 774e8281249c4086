"""Whether what runs now is the package's own doing, in this thread or greenlet.

What is logged meanwhile must not cause a delivery, which would log again, and so on for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from logplex_handler._process import forks


class Activity(Enum):
    """What the package is about when somebody else's code runs on its behalf."""

    REQUEST = "a request is made"
    CALLBACK = "the application's `on_drop` is called"


current_activity: ContextVar[Activity | None] = ContextVar("logplex_handler_activity", default=None)


class _NoneInChildren:
    def after_fork_in_child(self) -> None:
        """A callback may have forked; what the package does there is the parent's activity."""
        current_activity.set(None)


_none_in_children = _NoneInChildren()
forks.register(_none_in_children)


@contextmanager
def performing(doing: Activity) -> Iterator[None]:
    """Within it, this is what the package does."""
    token = current_activity.set(doing)
    try:
        yield
    finally:
        current_activity.reset(token)
