"""A function that runs for a moment, and whose machine may be frozen as soon as it returns."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from logplex_handler import LogplexHandler, flush_all

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
# Made once, when the machine starts, and kept for later calls.
log.addHandler(LogplexHandler())

Function = Callable[[dict[str, Any], Any], Any]


def flushing(function: Function) -> Function:
    """Deliver what was logged before the function's answer is given."""

    @functools.wraps(function)
    def flushed(event: dict[str, Any], context: Any) -> Any:
        try:
            return function(event, context)
        finally:
            # Seconds, of those that the call may last.
            flush_all(2)

    return flushed


@flushing
def handler(event: dict[str, Any], context: Any) -> str:
    log.info("order shipped", extra={"order_id": event["order_id"]})
    return "shipped"
