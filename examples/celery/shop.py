"""Celery tasks whose lines, and the worker's, go to a log stream with the id of the task."""

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


# With a receiver for this signal, Celery leaves logging alone.
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
                    # Celery adds to its own records what their text has already.
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
