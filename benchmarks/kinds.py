"""The kinds of records to log. Each is one call, with the number of the record."""

from __future__ import annotations

import datetime
import decimal
import logging
import uuid
from collections.abc import Callable

from logplex_handler import count, measure
from mix import async_mix, web_mix, worker_mix

LogOne = Callable[[logging.Logger, int], None]

LONG_TEXT = "the parcel waits " * 1200
# 2 kB, such as a query or the body of an answer.
MEDIUM_TEXT = "the parcel waits " * 120


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


def turns(logger: logging.Logger, i: int) -> None:
    """Values that are sometimes None: four combinations of types."""
    pairs = {"order_id": i, "region": "eu" if i % 2 else None}
    logger.info("order %s shipped to %s", i, "berlin" if i % 3 else None, extra=pairs)


def extras(logger: logging.Logger, i: int) -> None:
    logger.info("order shipped", extra={"order_id": i, "region": "eu"})


def exception(logger: logging.Logger, i: int) -> None:
    try:
        raise LookupError("no label")
    except LookupError:
        logger.exception("order %s failed", i)


def long(logger: logging.Logger, i: int) -> None:
    logger.info("order %s shipped: %s", i, LONG_TEXT)


def metric(logger: logging.Logger, i: int) -> None:
    logger.info("", extra=measure("web.latency", i, "ms"))


def metrics(logger: logging.Logger, i: int) -> None:
    """Text, two metrics and an extra."""
    pairs = measure("web.latency", i % 500, "ms") | count("orders")
    logger.info("order %s shipped", i, extra=pairs | {"region": "eu"})


def mapping(logger: logging.Logger, i: int) -> None:
    logger.info({"event": "order shipped", "order_id": i, "city": "berlin", "express": True})


def values(logger: logging.Logger, i: int) -> None:
    """Values of immutable types that are not built in."""
    extra = {
        "id": uuid.UUID(int=i),
        "at": START + i * SECOND,
        "price": decimal.Decimal(i) / 100,
    }
    logger.info("order shipped", extra=extra)


def accented(logger: logging.Logger, i: int) -> None:
    """Values that are not ASCII."""
    logger.info("order %s shipped to %s", i, "münchen", extra={"street": "Königsallee"})


def medium(logger: logging.Logger, i: int) -> None:
    logger.info("order %s shipped: %s", i, MEDIUM_TEXT)


def below_level(logger: logging.Logger, i: int) -> None:
    logger.debug("order %s shipped to %s", i, "berlin")


START = datetime.datetime(2026, 11, 29, tzinfo=datetime.timezone.utc)
SECOND = datetime.timedelta(seconds=1)

KINDS: dict[str, LogOne] = {
    one.__name__: one
    for one in (
        order,
        plain,
        fstring,
        template,
        turns,
        extras,
        exception,
        long,
        metric,
        metrics,
        mapping,
        values,
        accented,
        medium,
        web_mix,
        worker_mix,
        async_mix,
        below_level,
    )
}
