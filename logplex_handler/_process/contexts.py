"""Keeps the context variables of the application and of the package apart.

Contexts are copied: for every task and callback of asyncio, and on some Pythons (free-threaded
builds, and with `-X thread_inherit_context=1`) for every new thread. A copy outlives the call, in
code that has nothing to do with it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from contextvars import Context, ContextVar, Token
from typing import Generic, ParamSpec, TypeVar

from logplex_handler._process import forks

# Seconds that a thread needs at most to end when it has been woken.
_MOMENT = 0.2

T = TypeVar("T")
P = ParamSpec("P")


class _Mark(Generic[T]):
    """The value of one call, shared by all copies of its context: a context for a `with` block."""

    __slots__ = ("_token", "_variable", "is_over", "thread", "value")

    def __init__(self, variable: ContextVar[_Mark[T] | None], value: T) -> None:
        self._variable = variable
        self._token: Token[_Mark[T] | None] | None = None
        self.value = value
        self.thread = threading.get_ident()
        self.is_over = False

    def __enter__(self) -> None:
        self._token = self._variable.set(self)

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        # Not kept by copies of the context, because it refers to the context.
        token, self._token = self._token, None
        if token is not None:
            self._variable.reset(token)


class CallVar(Generic[T]):
    """A value that holds while a call runs, in the thread or greenlet that makes the call.

    Attributes:
        mark: The context variable. While it is None, so is the value; otherwise, call `get`.
    """

    def __init__(self, name: str) -> None:
        self.mark: ContextVar[_Mark[T] | None] = ContextVar(f"logplex_handler_{name}", default=None)
        forks.register(self)

    def get(self) -> T | None:
        mark = self.mark.get()
        if mark is None or mark.is_over or mark.thread != threading.get_ident():
            return None
        return mark.value

    def set(self, value: T) -> AbstractContextManager[None]:
        """Set the value for the duration of a `with` block."""
        return _Mark(self.mark, value)

    def after_fork_in_child(self) -> None:
        """Forget the value: a callback may have forked, and only the parent continues its call."""
        self.mark.set(None)


def thread_or_greenlet() -> object:
    """Return what identifies the thread or greenlet that runs.

    Greenlets have the thread's number, unless gevent or eventlet has replaced `threading`. Those of
    SQLAlchemy's asyncio extension, for example, may take turns wherever an attribute is read.
    """
    greenlet = sys.modules.get("greenlet")
    if greenlet is None:
        return threading.get_ident()
    # It may be being imported.
    return getattr(greenlet, "getcurrent", threading.get_ident)()


def in_empty_context(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in an empty context instead of the caller's.

    What the function logs then belongs to the process, not to the stream or the request that the
    caller has chosen.
    """
    return Context().run(function, *args, **kwargs)


def join_briefly(threads: Iterable[threading.Thread]) -> None:
    """Wait for threads that are about to end, for at most `_MOMENT` together.

    If a thread of a subinterpreter is left when that ends, Python ends the process.
    """
    deadline = time.monotonic() + _MOMENT
    for thread in threads:
        # The calling thread, or one that has not begun, cannot be waited for.
        with suppress(RuntimeError):
            thread.join(max(0.0, deadline - time.monotonic()))


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a daemon thread that will run in an empty context.

    Raises:
        RuntimeError: This is a subinterpreter that allows no such thread.
    """
    return threading.Thread(target=in_empty_context, args=(target,), name=name, daemon=True)
