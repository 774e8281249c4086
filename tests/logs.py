"""Loggers with handlers of their own, and checks of the handler's counts."""

import itertools
import logging
import threading
import time
from contextlib import contextmanager
from typing import Any
from unittest import mock

from logplex_handler import LogplexHandler, Stats
from logplex_handler.streams.stream import Stream
from logplex_handler.testing import LogplexReceiver
from tests.servers import serving

_numbers = itertools.count()

# The names that are no extras: what a record has, what formatters and newer Pythons add to it, and
# what says which stream and source are its own.
RESERVED = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime",
    "logplex_source",
    "logplex_stream",
    "message",
    "taskName",
}


@contextmanager
def own_logger(level=logging.DEBUG):
    """A logger that no other test has, which is forgotten at the end.

    Before each step of each test pytest attaches its handlers to every logger that does not
    propagate: with a thousand of them this would take longer than the tests.
    """
    logger = logging.getLogger(f"test.number{next(_numbers)}")
    logger.propagate = False
    logger.setLevel(level)
    try:
        yield logger
    finally:
        del logging.root.manager.loggerDict[logger.name]


@contextmanager
def logging_to(url, *, formatter=None, **options):
    """A logger and its handler for the URL, which is closed at the end.

    The text sent is the message alone, unless a formatter is given. `flush()` and closing wait for
    what a busy machine delivers late.
    """
    with own_logger() as logger:
        handler = LogplexHandler(url, **{"shutdown_timeout": 30, **options})
        handler.setFormatter(formatter or logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        try:
            yield logger, handler
        finally:
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def logging_to_receiver(**options):
    """A receiver that accepts everything, and a logger and its handler for it."""
    with LogplexReceiver() as logplex, logging_to(logplex.url, **options) as (logger, handler):
        yield logplex, logger, handler


@contextmanager
def logging_to_server(*steps, **options):
    """A server that answers by a script, and a logger and its handler for it."""
    with serving(*steps) as server, logging_to(server.url, **options) as (logger, handler):
        yield server, logger, handler


class Told:
    """An `on_drop` that adds up what it is told, in whichever thread."""

    def __init__(self) -> None:
        # Appending is safe in any thread, adding to a number is not.
        self._calls: list[tuple[str, int]] = []

    def __call__(self, records: int, cause: str) -> None:
        self._calls.append((cause, records))

    @property
    def dropped(self) -> dict[str, int]:
        """Records by cause."""
        sums: dict[str, int] = {}
        for cause, records in [*self._calls]:
            sums[cause] = sums.get(cause, 0) + records
        return sums


def own_stream(handler: LogplexHandler) -> Stream:
    """The stream of the handler's own URL."""
    pipeline: Any = handler._pipeline
    stream: Stream = pipeline._registry.own
    return stream


def balanced(stats: Stats) -> bool:
    """Whether every record accepted is delivered, pending or dropped."""
    return stats.accepted == stats.delivered + stats.pending + sum(stats.dropped.values())


def wait_until(condition, seconds=60.0):
    """Whether the condition came to hold in so many seconds.

    What must come is waited for as long as by default: the wait ends as soon as it is there.
    """
    began = time.monotonic()
    while True:
        # Read before the condition, which then has failed after that time, and not just before it.
        waited = time.monotonic() - began
        if (holds := condition()) or waited >= seconds:
            return holds
        # What takes long is asked for less often: to ask may cost a query of a database or a relay.
        time.sleep(min(max(0.002, waited / 10), 0.05))


@contextmanager
def threads_started_here():
    """The threads that this one starts in the block, and none that is left of another test."""
    here, start, started = threading.get_ident(), threading.Thread.start, []

    def noted_start(thread):
        if threading.get_ident() == here:
            started.append(thread)
        start(thread)

    with mock.patch.object(threading.Thread, "start", noted_start):
        yield started


def holds_for(condition, seconds):
    """Whether the condition holds for so many seconds: for events that must not occur."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()
