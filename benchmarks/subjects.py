"""The measured handlers: the two baselines and ours. Other packages' handlers are in `peers`."""

from __future__ import annotations

import logging
import queue
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path

from logplex_handler import LogplexHandler


@dataclass(frozen=True)
class Subject:
    """A handler that is ready to use.

    Attributes:
        handler: The handler for the logger.
        finish: Waits until all records are delivered or dropped.
    """

    handler: logging.Handler
    finish: Callable[[], object]


def null(_url: str) -> Subject:
    """The cost of logging itself, the lower bound for every handler."""
    return Subject(logging.NullHandler(), lambda: None)


def queue_listener(_url: str) -> Subject:
    """The standard library's QueueHandler, with a listener that does nothing."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = QueueListener(records, logging.NullHandler())
    listener.start()
    return Subject(QueueHandler(records), listener.stop)


def ours(url: str) -> Subject:
    """Our handler with all defaults."""
    handler = LogplexHandler(url)
    return Subject(handler, lambda: handler.flush(60))


def ours_with_spool(url: str) -> Subject:
    """Our handler with a spool on disk."""
    folder = tempfile.TemporaryDirectory()
    handler = LogplexHandler(url, spool=Path(folder.name, "spool.db"))

    def finish() -> None:
        handler.flush(60)
        # These processes end without exit functions.
        folder.cleanup()

    return Subject(handler, finish)


SUBJECTS: dict[str, Callable[[str], Subject]] = {
    "null": null,
    "queue": queue_listener,
    "ours": ours,
    "spool": ours_with_spool,
}


def make_logger(subject: Subject) -> logging.Logger:
    """The logger of all measurements, which gets no records of the libraries."""
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(subject.handler)
    return logger
