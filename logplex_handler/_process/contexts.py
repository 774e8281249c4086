"""Which context variables the package's own code sees, and who sees those of the package.

A context is copied: for every task and callback of asyncio, and on some builds of Python for every
thread that starts (free-threaded ones, and `-X thread_inherit_context=1`). The copy lives on when
the call has ended, in code that has nothing to do with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Generic, ParamSpec, TypeVar

from logplex_handler._process import forks

T = TypeVar("T")
P = ParamSpec("P")


class _Mark(Generic[T]):
    """The value of one call, in whatever contexts it is copied to."""

    __slots__ = ("is_over", "thread", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.thread = threading.get_ident()
        self.is_over = False


class CallVar(Generic[T]):
    """A value that holds while a call runs, in the thread or greenlet that makes the call.

    Attributes:
        mark: Its context variable. If that is None, so is the value; if not, ask `get`.
    """

    def __init__(self, name: str) -> None:
        self.mark: ContextVar[_Mark[T] | None] = ContextVar(f"logplex_handler_{name}", default=None)
        forks.register(self)

    def get(self) -> T | None:
        mark = self.mark.get()
        if mark is None or mark.is_over or mark.thread != threading.get_ident():
            return None
        return mark.value

    @contextmanager
    def set(self, value: T) -> Iterator[None]:
        """The value for the duration of a `with` block."""
        mark = _Mark(value)
        token = self.mark.set(mark)
        try:
            yield
        finally:
            mark.is_over = True
            self.mark.reset(token)

    def after_fork_in_child(self) -> None:
        """A callback may have forked; the call is one of the parent alone."""
        self.mark.set(None)


def in_empty_context(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function without the context of the caller, who is in the middle of something else.

    Whatever the function logs then belongs to the process: it goes to no stream, and has no id of a
    request, that the caller has chosen.
    """
    return Context().run(function, *args, **kwargs)


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """A daemon thread that will run in an empty context."""
    return threading.Thread(target=in_empty_context, args=(target,), name=name, daemon=True)
