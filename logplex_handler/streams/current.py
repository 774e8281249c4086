"""The stream that a record is for: named by the record, or else by the context."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

__all__ = ["use_stream"]

ATTRIBUTE = "logplex_stream"

_current: ContextVar[Hashable] = ContextVar("logplex_handler_stream", default=None)
# Whether `use_stream` was ever called. Reading this is faster than reading the context.
ever_used = [False]


@contextmanager
def use_stream(stream: Hashable) -> Iterator[None]:
    """Send records that are logged within the `with` block to a stream, unless they name another.

    It applies to this thread, or to this asyncio task and the tasks that it starts. It does not
    apply to threads that are started within the block. It is also a decorator for functions, but
    not for coroutines or generators. A generator must not yield within the block: the stream would
    apply to its caller meanwhile.

    Args:
        stream: The stream's id in the handler's `streams`; None for the handler's own URL.
    """
    ever_used[0] = True
    token = _current.set(stream)
    try:
        yield
    finally:
        # A generator may be closed in another context, where there is nothing to reset.
        with suppress(ValueError):
            _current.reset(token)


def stream_of(record: logging.LogRecord) -> Hashable:
    """The stream that the record names, or else that of the context; None without either."""
    named: Hashable = record.__dict__.get(ATTRIBUTE)
    return _current.get() if named is None else named
