"""Which stream a record is for."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

__all__ = ["use_stream"]

ATTRIBUTE = "logplex_stream"

_chosen: ContextVar[Hashable] = ContextVar("logplex_handler_stream", default=None)
# Whether `use_stream` was ever called: reading this is faster than asking for the context's.
ever_used = [False]


@contextmanager
def use_stream(stream: Hashable) -> Iterator[None]:
    """Within it, what is logged goes to this stream, unless a record names another.

    It holds for this thread, or this asyncio task and those that it starts; threads that are
    started within it do not have it. Also a decorator, of functions that are neither coroutines
    nor generators. A generator must not yield within it: its caller would have it meanwhile.

    Args:
        stream: The stream's id, as the handler's `streams` knows it; None for the handler's own
            URL.
    """
    ever_used[0] = True
    token = _chosen.set(stream)
    try:
        yield
    finally:
        # One who closes a generator may be in another context, where nothing is to be undone.
        with suppress(ValueError):
            _chosen.reset(token)


def stream_of(record: logging.LogRecord) -> Hashable:
    """The stream that a record names, or else the context; None if neither does."""
    named: Hashable = record.__dict__.get(ATTRIBUTE)
    return _chosen.get() if named is None else named
