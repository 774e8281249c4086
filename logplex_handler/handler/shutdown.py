"""The end of a process: all of its handlers deliver at the same time."""

from __future__ import annotations

from logplex_handler._process.countdown import Countdown
from logplex_handler.handler import _emitting_handler
from logplex_handler.handler._emitting_handler import shutdown_timeout_of
from logplex_handler.handler._handler import LogplexHandler, all_handlers

__all__ = ["begin_shutdown", "flush_all"]


def flush_all(timeout: float | None = None) -> bool:
    """Wait until every handler of this process has delivered the records it was given so far.

    For processes that may be stopped without notice: a job that ends in `os._exit`, or an
    invocation after which the machine is frozen. The caller needs no reference to a handler.

    Args:
        timeout: The longest wait in seconds, for all handlers together. Default: the longest
            `shutdown_timeout` of any handler.

    Returns:
        True if all records have been delivered, or dropped and reported.
    """
    handlers = all_handlers.all()
    if timeout is None:
        timeout = max(map(shutdown_timeout_of, handlers), default=0.0)
    countdown = Countdown(timeout)
    # All handlers begin at once, so that one whose receiver hangs takes no time from the others.
    for handler in handlers:
        handler.flush(0)
    flushed = [handler.flush(countdown.left) for handler in handlers]
    return all(flushed)


def begin_shutdown() -> list[LogplexHandler]:
    """Start the shutdown of every handler; the caller then flushes or closes them."""
    handlers = all_handlers.all()
    for handler in handlers:
        _emitting_handler.begin_shutdown(handler)
    return handlers
