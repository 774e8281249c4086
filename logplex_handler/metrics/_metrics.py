"""`Metrics`: counts, samples and measures that are logged once per interval."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from logplex_handler._process.checks import seconds
from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics.meter import Meter
from logplex_handler.metrics.metric_pairs import checked_source
from logplex_handler.metrics.reporter import Reporter


class Metrics(Meter):
    """Aggregates counts, samples and measures, and logs them once per interval.

    Counters add up; samples keep their last value, or are polled; measures can be aggregated to a
    count, a minimum, a maximum, a mean and percentiles. The metrics of one stream share lines of
    up to 1,000 bytes, which are logged at level INFO: `source=us-east count#orders=17
    sample#carts=4`.

        metrics = Metrics(logging.getLogger("shop.metrics"))
        metrics.count("orders")
        metrics.sample("carts", lambda: len(carts))
        with metrics.timer("db.query", aggregate=True):
            ...

    A thread reports at whole multiples of the interval plus a delay of at most a tenth of the
    interval, which each process chooses for itself. `close` reports the rest, and so does the end
    of the program, before `logging` closes its handlers. A forked child starts at zero, keeps the
    polled functions, and reports once something is recorded there.

    Args:
        logger: The logger for the lines, such as one with a `LogplexHandler`.
        interval: Seconds between two reports, more than 0 and at most 86,400. Default: 60.
        source: The `source=` of these lines, in place of the formatter's. Default: the formatter's.

    Raises:
        ConfigurationError: (a ValueError) An argument is invalid; the text names it.
    """

    def __init__(
        self, logger: logging.Logger, *, interval: float = 60.0, source: str | None = None
    ) -> None:
        if not isinstance(logger, logging.Logger):
            raise ConfigurationError("logger: must be a logging.Logger")
        interval = seconds("interval", interval)
        if source is not None:
            source = checked_source("source", source)
        super().__init__(Reporter(logger, interval, source), None)
        self._reporter.meter(None, self)

    def stream(self, stream_id: object) -> Meter:
        """Return the meter of one stream, such as one customer's; its metrics are logged there.

        Args:
            stream_id: The `logplex_stream` of the records, by which a handler chooses the stream.
        """
        return self._reporter.meter(stream_id)

    def collect(self, function: Callable[[], Mapping[str, str]]) -> None:
        """Call a function before each report, and include the metrics that it returns.

        If several functions return one name, counters add up, and the last sample is reported.

        Args:
            function: Returns metrics as for `extra=`: `sample("a", 1) | count("b", 2)`. If it
                raises, the failure is logged and counted as for `sample`.
        """
        name = getattr(function, "__qualname__", type(function).__name__)
        self._reporter.collect(name, function)

    def report(self) -> None:
        """Log everything recorded since the previous report, without waiting for the next one."""
        self._reporter.report()

    def close(self) -> None:
        """Log everything recorded since the previous report, and stop.

        Metrics recorded later are dropped, which is reported on stderr. Later calls do nothing.
        Waits at most 5 seconds for polled functions that do not return.
        """
        self._reporter.close()
