"""loguru in front: a sink makes a record of each of its messages."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from loguru import logger

from logplex_handler import LogplexHandler

if TYPE_CHECKING:
    from loguru import Message

logplex = LogplexHandler()


def to_logplex(message: Message) -> None:
    """What is bound to a message becomes pairs, as its text does; nothing in it can add others."""
    said = message.record
    error = said["exception"]
    record = logging.LogRecord(
        name=said["name"] or "",
        level=said["level"].no,
        pathname=said["file"].path,
        lineno=said["line"],
        msg={"msg": said["message"], **said["extra"]},
        args=(),
        exc_info=None,
    )
    if error and error.value:
        record.exc_info = (type(error.value), error.value, error.traceback)
    record.levelname = said["level"].name
    record.created = said["time"].timestamp()
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
