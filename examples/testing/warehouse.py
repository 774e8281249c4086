"""A program that logs; `test_warehouse.py` tests it."""

from __future__ import annotations

import logging
import time

from logplex_handler import measure

logger = logging.getLogger("shop")


def ship(order_id: int, city: str) -> None:
    """Ship an order, and log the order and how long it took."""
    began = time.monotonic()
    logger.info("order shipped", extra={"order_id": order_id, "city": city})
    if city == "atlantis":
        logger.error("no such city", extra={"order_id": order_id})
    logger.info("", extra=measure("shipping.time", (time.monotonic() - began) * 1000, "ms"))
