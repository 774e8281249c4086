"""The stream that a record is for: named by the record, or else by the context."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, Token

__all__ = ["use_stream"]

ATTRIBUTE = "logplex_stream"


class _Choice:
    """The choice of one `use_stream` block, shared by all copies of its context."""

    __slots__ = ("is_over", "stream", "thread")

    def __init__(self, stream: Hashable) -> None:
        self.stream = stream
        self.thread = threading.get_ident()
        self.is_over = False

    def holds(self) -> bool:
        """Return whether the choice applies here, if new threads get their starter's context.

        Such a copy must be distinguished from one that the application has made on purpose:
        `asyncio.to_thread` and others call a function in a copy of the caller's context.
        """
        if self.thread == threading.get_ident() and not self.is_over:
            return True
        base: Context | None = getattr(threading.current_thread(), "_context", None)
        if base is None or base.get(_current) is not self:
            return True
        # The thread was started within the block. Code in another context than the thread's first
        # one was called on purpose; the choice applies to it until the block ends.
        token = _probe.set(self)
        is_base = base.get(_probe) is self
        _probe.reset(token)
        return not (is_base or self.is_over)


_current: ContextVar[_Choice | None] = ContextVar("logplex_handler_stream", default=None)
_probe: ContextVar[_Choice | None] = ContextVar("logplex_handler_probe", default=None)
# True in free-threaded builds from 3.14 on, and in others with `-X thread_inherit_context=1`.
_THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))
# Loggers of the process. Both log about objects that go, in whatever call that happens: tasks whose
# exception nobody has seen, and files that were not closed.
_OF_PROCESS = ("asyncio", "py.warnings")
# Whether `use_stream` was ever called. Reading this is faster than reading the context.
ever_used = [False]
# Restores the choice of the call that a garbage collection interrupts. There is one such collection
# at a time, in the thread and the context of that call.
_interrupted: list[Token[_Choice | None] | None] = [None]


def _on_collection(phase: str, info: object) -> None:
    """Suspend the choice during a garbage collection, which may finalize anybody's objects."""
    if phase == "start":
        _interrupted[0] = None if _current.get() is None else _current.set(None)
    elif _interrupted[0] is not None:
        token, _interrupted[0] = _interrupted[0], None
        _current.reset(token)


@contextmanager
def use_stream(stream: Hashable) -> Iterator[None]:
    """Send records that are logged within the `with` block to a stream, unless they name another.

    The choice applies to this thread, or to this asyncio task and the tasks that it starts. It does
    not apply to threads that are started within the block. `use_stream` is also a decorator for
    functions, but not for coroutines or generators. A generator must not yield within the block:
    the stream would apply to its caller meanwhile.

    What a garbage collection within the block causes to be logged is the process's own, because it
    may be about another customer's objects: finalizers (`__del__`, `finally` in generators, weakref
    callbacks) run in whatever call triggers the collection. An object that goes with its last
    reference, without a collection, cannot be told apart: what its finalizer logs has the stream of
    the block, except for records of the loggers `asyncio` and `py.warnings`.

    Args:
        stream: The stream's id in the handler's `streams`; None for the handler's own URL.
    """
    if not ever_used[0]:
        # Only now, because a callback costs each collection half a microsecond.
        gc.callbacks.append(_on_collection)
        ever_used[0] = True
    choice, before, token = _Choice(stream), _current.get(), None
    # A signal handler may raise an error after any call: after `set`, before its token is kept, or
    # in the `finally` block. Therefore the choice is over before the first call there.
    try:
        token = _current.set(choice)
        yield
    finally:
        choice.is_over = True
        try:
            if token is None:
                _current.set(before)
            else:
                _current.reset(token)
        except ValueError:
            # A generator may be closed in another context, where there is nothing to reset.
            pass


def stream_of(record: logging.LogRecord) -> Hashable:
    """Return the stream that the record names, or else the context's; None without either."""
    named: Hashable = record.__dict__.get(ATTRIBUTE)
    if named is not None:
        return named
    choice = _current.get()
    if choice is None or (_THREADS_INHERIT and not choice.holds()):
        return None
    return None if record.__dict__.get("name") in _OF_PROCESS else choice.stream
