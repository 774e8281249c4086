"""loguru with a sink that turns each of its messages into a record."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from loguru import logger

from logplex_handler import LogplexHandler

if TYPE_CHECKING:
    from loguru import Message

logplex = LogplexHandler()


def to_logplex(message: Message) -> None:
    """Log the message and its bound values as pairs; no value can add another pair."""
    data = message.record
    error = data["exception"]
    record = logging.LogRecord(
        name=data["name"] or "",
        level=data["level"].no,
        pathname=data["file"].path,
        lineno=data["line"],
        msg={"msg": data["message"], **data["extra"]},
        args=(),
        exc_info=None,
    )
    if error and error.value:
        record.exc_info = (type(error.value), error.value, error.traceback)
    record.levelname = data["level"].name
    record.created = data["time"].timestamp()
    logplex.handle(record)


def main() -> None:
    logger.add(to_logplex, level="INFO")

    with logger.contextualize(request_id="r-1"):
        logger.info("order shipped", order_id=42, name="Zoë Ωmega")
        logger.success("label printed")
        logger.debug("not sent: the level is INFO")
        try:
            raise TimeoutError("the carrier did not answer")
        except TimeoutError:
            logger.exception("no label")


if __name__ == "__main__":
    main()
