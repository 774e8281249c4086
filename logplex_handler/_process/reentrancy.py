"""Whether what runs now is the package's own doing, in this thread or greenlet.

What is logged meanwhile must not cause a delivery, which would log again, and so on for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum


class Doing(Enum):
    """What the package is about when somebody else's code runs on its behalf."""

    REQUEST = "a request is made"
    CALLBACK = "the application's `on_drop` is called"


own_doing: ContextVar[Doing | None] = ContextVar("logplex_handler_own_doing", default=None)


@contextmanager
def marked(doing: Doing) -> Iterator[None]:
    """Within it, this is what the package does."""
    token = own_doing.set(doing)
    try:
        yield
    finally:
        own_doing.reset(token)
