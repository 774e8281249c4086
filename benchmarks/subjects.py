"""What is measured: the two baselines and the handler. Those of others are in `peers`."""

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
    """A handler that is ready.

    Attributes:
        handler: What the logger is given.
        finish: Waits until all that was logged is delivered, or given up.
    """

    handler: logging.Handler
    finish: Callable[[], object]


def null(_url: str) -> Subject:
    """What logging itself costs: nobody can have less."""
    return Subject(logging.NullHandler(), lambda: None)


def queue_listener(_url: str) -> Subject:
    """The standard library's way out of the caller's thread, with nothing at its end."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = QueueListener(records, logging.NullHandler())
    listener.start()
    return Subject(QueueHandler(records), listener.stop)


def ours(url: str) -> Subject:
    """The handler with defaults everywhere."""
    handler = LogplexHandler(url)
    return Subject(handler, lambda: handler.flush(60))


def ours_with_spool(url: str) -> Subject:
    """The same with a spool on disk."""
    folder = tempfile.TemporaryDirectory()
    handler = LogplexHandler(url, spool=Path(folder.name, "spool.db"))

    def finish() -> None:
        handler.flush(60)
        # Processes end here without exit functions.
        folder.cleanup()

    return Subject(handler, finish)


SUBJECTS: dict[str, Callable[[str], Subject]] = {
    "null": null,
    "queue": queue_listener,
    "ours": ours,
    "spool": ours_with_spool,
}


def make_logger(subject: Subject) -> logging.Logger:
    """The logger of all measurements; what the libraries log of themselves goes elsewhere."""
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(subject.handler)
    return logger
