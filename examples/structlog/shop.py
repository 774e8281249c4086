"""structlog, whose events become lines with all bound values."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.typing import EventDict, WrappedLogger

from logplex_handler import LogplexHandler


def to_logging(
    logger: WrappedLogger, method: str, event: EventDict
) -> tuple[tuple[dict[str, Any]], dict[str, Any]]:
    """The last processor: pass the event as a mapping of pairs, so that any key is allowed."""
    exc_info = event.pop("exc_info", None)
    return ({"msg": event.pop("event"), **event},), {"exc_info": exc_info}


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        merge_contextvars,
        structlog.stdlib.PositionalArgumentsFormatter(),
        to_logging,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)


def main() -> None:
    logging.basicConfig(level=logging.INFO, handlers=[LogplexHandler()])
    log = structlog.stdlib.get_logger("shop")

    bind_contextvars(request_id="r-1")
    log.info("order shipped", order_id=42, name="Zoë Ωmega")
    log.debug("not sent: the level is INFO")
    try:
        raise TimeoutError("the carrier did not answer")
    except TimeoutError:
        log.exception("no label", order_id=42)
    clear_contextvars()


if __name__ == "__main__":
    main()
