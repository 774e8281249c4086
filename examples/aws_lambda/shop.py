"""A function that runs briefly, and whose machine may be frozen when it returns."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from logplex_handler import LogplexHandler, flush_all

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
# Created once, when the machine starts, and kept for later calls.
log.addHandler(LogplexHandler())

Function = Callable[[dict[str, Any], Any], Any]


def flushing(function: Function) -> Function:
    """Deliver all records before the function returns its answer."""

    @functools.wraps(function)
    def flushed(event: dict[str, Any], context: Any) -> Any:
        try:
            return function(event, context)
        finally:
            # Seconds; they count towards the time limit of the call.
            flush_all(2)

    return flushed


@flushing
def handler(event: dict[str, Any], context: Any) -> str:
    log.info("order shipped", extra={"order_id": event["order_id"]})
    return "shipped"
