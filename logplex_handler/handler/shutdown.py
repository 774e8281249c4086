"""All handlers of this process at once."""

from __future__ import annotations

import time

from logplex_handler.handler.handler import all_handlers

__all__ = ["flush_all"]


def flush_all(timeout: float | None = None) -> bool:
    """Wait until every handler of this process has delivered what it was given before the call.

    For the end of what may be stopped without a word: a job whose process ends in `os._exit`, an
    invocation after which the machine is frozen. No reference to a handler is needed.

    Args:
        timeout: Seconds to wait at most, for all of them together. Default: the longest
            `shutdown_timeout` of them.

    Returns:
        Whether all has been delivered, or dropped and told.
    """
    handlers = all_handlers.all()
    if timeout is None:
        timeout = max([one._options.shutdown_timeout for one in handlers], default=0.0)
    deadline = time.monotonic() + timeout
    # All of them begin at once, so that one whose receiver hangs takes no time from the others.
    for handler in handlers:
        handler.flush(0)
    flushed = [handler.flush(max(0.0, deadline - time.monotonic())) for handler in handlers]
    return all(flushed)
