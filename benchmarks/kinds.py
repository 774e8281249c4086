"""The kinds of records to log. Each is one call, with the number of the record."""

from __future__ import annotations

import logging
from collections.abc import Callable

LogOne = Callable[[logging.Logger, int], None]

LONG_TEXT = "the parcel waits " * 1200


def order(logger: logging.Logger, i: int) -> None:
    """A template with arguments and extras; figures that name no kind are for this one."""
    logger.info(
        "order %s shipped to %s in %dms",
        i,
        "berlin",
        i % 500,
        extra={"order_id": i, "region": "eu"},
    )


def plain(logger: logging.Logger, _i: int) -> None:
    logger.info("order shipped")


def fstring(logger: logging.Logger, i: int) -> None:
    logger.info(f"order {i} shipped to berlin in {i % 500}ms")


def template(logger: logging.Logger, i: int) -> None:
    logger.info("order %s shipped to %s in %dms", i, "berlin", i % 500)


def extras(logger: logging.Logger, i: int) -> None:
    logger.info("order shipped", extra={"order_id": i, "region": "eu"})


def exception(logger: logging.Logger, i: int) -> None:
    try:
        raise LookupError("no label")
    except LookupError:
        logger.exception("order %s failed", i)


def long(logger: logging.Logger, i: int) -> None:
    logger.info("order %s shipped: %s", i, LONG_TEXT)


def below_level(logger: logging.Logger, i: int) -> None:
    logger.debug("order %s shipped to %s", i, "berlin")


KINDS: dict[str, LogOne] = {
    one.__name__: one
    for one in (order, plain, fstring, template, extras, exception, long, below_level)
}
