"""`Metrics` that log to a list, and the values in those lines."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections import Counter

from logplex_handler import (
    KeyValueFormatter,
    Metrics,
)
from tests import strict
from tests.logs import own_logger

# Seconds. In a test, the end of such a period never comes; see `tests/patience.py`.
HOUR = 3600.0
# Counts the metrics that could not be reported.
FAILED = "logplex_handler.metrics.failed"


class Lines(logging.Handler):
    """Keeps the lines of key=value text."""

    def __init__(self, **options):
        super().__init__()
        self.setFormatter(KeyValueFormatter(**options))
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def lines(self):
        return [self.format(record) for record in self.records]

    @property
    def read(self):
        """What l2met makes of all lines."""
        return [one for line in self.lines for one in strict.metrics(strict.pairs(line))]

    def sums(self):
        """Counters, added up."""
        sums = Counter()
        for one in self.read:
            if one.kind == "count":
                sums[one.name] += one.value
        return sums


@contextlib.contextmanager
def recording(*, interval=HOUR, source=None, **options):
    """A Metrics, and what it logs: without an interval, only when it is told to."""
    with own_logger(logging.INFO) as logger:
        lines = Lines(**options)
        logger.addHandler(lines)
        metrics = Metrics(logger, interval=interval, source=source)
        try:
            yield metrics, lines
        finally:
            metrics.close()


def values(lines):
    """Of all samples, by name."""
    return {one.name: (one.value, one.unit) for one in lines.read if one.kind == "sample"}


def sums(logplex):
    """Counters of all lines that arrived, added up."""
    totals = Counter()
    for line in logplex.lines:
        for one in strict.metrics(strict.pairs(line.text)):
            if one.kind == "count":
                totals[one.name] += one.value
    return totals
