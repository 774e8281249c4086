"""Celery tasks and a worker whose lines go to a log stream with the id of the task."""

from __future__ import annotations

import logging.config
import os

from celery import Celery, current_task
from celery.signals import setup_logging
from celery.utils.log import get_task_logger

from logplex_handler import count, measure

app = Celery("shop", broker=os.environ.get("BROKER_URL", "redis://localhost:6379/0"))
log = get_task_logger(__name__)


def task_id() -> str | None:
    return current_task.request.id if current_task else None


# If this signal has a receiver, Celery does not configure logging.
@setup_logging.connect
def configure_logging(**_: object) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "keyvalue": {
                    "()": "logplex_handler.KeyValueFormatter",
                    "static": {"task_id": task_id},
                    # Celery adds this extra to its own records, but the text already contains it.
                    "omit": ["data"],
                },
            },
            "handlers": {
                "console": {"class": "logging.StreamHandler"},
                "logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "keyvalue"},
            },
            "root": {"handlers": ["console", "logplex"], "level": "INFO"},
        }
    )


@app.task
def ship(order_id: int) -> None:
    log.info("order shipped", extra={"order_id": order_id})
    log.info("", extra=measure("shipping.time", 12, "ms") | count("shipping.orders"))
