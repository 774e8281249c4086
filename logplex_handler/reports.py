"""`Metrics`: what adds up in the program and is logged once per interval."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from logplex_handler._formatting.formatter import checked_source
from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics.meter import Meter
from logplex_handler.metrics.reporter import Reporter

__all__ = ["Meter", "Metrics"]


class Metrics(Meter):
    """Counts, samples and measures in the program, and logs them once per interval.

    Counters add up, samples keep their last value or are polled, and measures that are to be
    aggregated become a count, a mean and percentiles. What there is of one stream shares lines of
    up to 1,000 bytes, logged at the level INFO: `source=us-east count#orders=17 sample#carts=4`.

        metrics = Metrics(logging.getLogger("shop.metrics"))
        metrics.count("orders")
        metrics.sample("carts", lambda: len(carts))
        with metrics.timer("db.query", aggregate=True):
            ...

    Reports come from a thread of their own, aligned to whole multiples of the interval and up to a
    tenth of it later, by a time that each process chooses for itself. `close` reports what is left,
    and so does the end of the program, before `logging` closes its handlers. A forked child starts
    at zero, keeps the functions that are polled, and reports once something is recorded there.

    Args:
        logger: Where the lines are logged, such as one that a `LogplexHandler` is attached to.
        interval: Seconds between two reports, up to 86,400. Default: 60.
        source: The `source=` of these lines, in place of the formatter's. Default: the formatter's.

    Raises:
        ConfigurationError: (a ValueError) An argument cannot be used; the text names it.
    """

    def __init__(
        self, logger: logging.Logger, *, interval: float = 60.0, source: str | None = None
    ) -> None:
        if not isinstance(logger, logging.Logger):
            raise ConfigurationError("logger: must be a logging.Logger")
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            raise ConfigurationError("interval: must be a number of seconds")
        if not 0 < interval <= 86_400:
            raise ConfigurationError("interval: must be more than 0 to 86,400 seconds")
        if source is not None:
            checked_source("source", source)
        self._reporter = Reporter(logger, float(interval), source)
        super().__init__(self._reporter, None)
        self._reporter.adopt(self)

    def stream(self, stream_id: object) -> Meter:
        """The same for one customer, whose stream it is logged to.

        Args:
            stream_id: What `logplex_stream` is on the records, by which a handler chooses where
                they go.
        """
        return self._reporter.meter(stream_id)

    def collect(self, function: Callable[[], Mapping[str, str]]) -> None:
        """Have a function called before each report for more to put in it.

        Args:
            function: Returns metrics as for `extra=`: `sample("a", 1) | count("b", 2)`. If it
                raises, that is told and counted as for `sample`.
        """
        name = getattr(function, "__qualname__", type(function).__name__)
        self._reporter.collect(name, function)

    def report(self) -> None:
        """Log now what has been recorded since the last report."""
        self._reporter.report()

    def close(self) -> None:
        """Report what has been recorded since the last report, and stop.

        What is recorded later is dropped, and said on stderr. Later calls do nothing. It waits for
        at most 5 seconds for polled functions that do not return.
        """
        self._reporter.close()
