"""Whether the package itself causes the code that runs now, in this thread or greenlet.

Records that are logged meanwhile must not cause a delivery, which would log again, and so on
without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from logplex_handler._process import forks


class Activity(Enum):
    """An activity of the package during which code that is not its own runs."""

    REQUEST = "making an HTTP request"
    CALLBACK = "calling the application's `on_drop`"


current_activity: ContextVar[Activity | None] = ContextVar("logplex_handler_activity", default=None)


class _NoneInChildren:
    def after_fork_in_child(self) -> None:
        """A callback may have forked; its call is an activity of the parent alone."""
        current_activity.set(None)


_none_in_children = _NoneInChildren()
forks.register(_none_in_children)


@contextmanager
def performing(activity: Activity) -> Iterator[None]:
    """Make this the current activity for the duration of a `with` block."""
    token = current_activity.set(activity)
    try:
        yield
    finally:
        current_activity.reset(token)
