"""`LogplexMetricExporter`: OpenTelemetry's metrics become lines.

It needs `opentelemetry-sdk`: `pip install 'logplex-handler[opentelemetry]'`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from logplex_handler.metrics import bridge, histogram
from logplex_handler.reports import Metrics

try:
    from opentelemetry.sdk import metrics as instruments
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        ExponentialHistogram,
        Histogram,
        MetricExporter,
        MetricExportResult,
        MetricsData,
        Sum,
    )
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
except ImportError as error:
    raise ImportError(
        "logplex_handler.opentelemetry needs an extra: pip install 'logplex-handler[opentelemetry]'"
    ) from error

__all__ = ["LogplexMetricExporter"]


class LogplexMetricExporter(MetricExporter):  # type: ignore[misc]
    """Logs what OpenTelemetry has measured, once per interval of the reader that it is given to.

    Counters become increments, `count#http.server.requests.GET.200=17`, with the values of the
    attributes behind the name; gauges and counters that go down too become samples. Of histograms
    there are `.count`, `.min`, `.max`, `.mean`, `.p50`, `.p95` and `.p99` of what was recorded
    since the last time. They are kept in up to 160 buckets that fit themselves to the values: a
    percentile is off by at most 9 % where the largest is 100,000 times the least, and by less where
    they are closer. What l2met could not read, such as a negative value, is left out, counted and
    told once.

        PeriodicExportingMetricReader(
            LogplexMetricExporter(logging.getLogger("shop.metrics")), export_interval_millis=60_000
        )

    Args:
        logger: Where the lines are logged.
        source: The `source=` of these lines, in place of the formatter's. Default: the formatter's.

    Raises:
        ConfigurationError: (a ValueError) An argument cannot be used; the text names it.
    """

    def __init__(self, logger: logging.Logger, *, source: str | None = None) -> None:
        self._reporter = Metrics(logger, source=source)._reporter
        self._added = bridge.Increments()
        delta = AggregationTemporality.DELTA
        super().__init__(
            preferred_temporality={
                instruments.Counter: delta,
                instruments.ObservableCounter: delta,
                instruments.Histogram: delta,
            },
            preferred_aggregation={instruments.Histogram: ExponentialBucketHistogramAggregation()},
        )

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Log a line, or several, with all that there is; FAILURE if the logger logs nothing."""
        if not self._reporter.is_enabled():
            return MetricExportResult.FAILURE
        found = bridge.Gathered(self._reporter.leave_out)
        for metric, point in _points(metrics_data):
            name = bridge.named(metric.name, point.attributes or {})
            unit = bridge.letters(metric.unit or "")
            data = metric.data
            if isinstance(data, Sum) and data.is_monotonic:
                found.count(name, self._increment(name, data, point))
            elif isinstance(data, Histogram | ExponentialHistogram):
                found.distribution(name, unit, _parts(data, point))
            else:
                found.sample(name, point.value, unit)
        self._reporter.report_recorded(collected=found.pairs())
        return MetricExportResult.SUCCESS

    def _increment(self, name: str, data: Any, point: Any) -> Any:
        if data.aggregation_temporality is AggregationTemporality.DELTA:
            return point.value
        attributes = tuple(sorted((point.attributes or {}).items()))
        return self._added.of((name, attributes), point.value)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here; what was logged is the handler's to deliver."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """There is nothing to end."""


def _points(metrics_data: Any) -> Iterator[tuple[Any, Any]]:
    for resource in metrics_data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield metric, point


def _parts(data: Any, point: Any) -> Iterator[tuple[str, float, bool]]:
    if isinstance(data, ExponentialHistogram):
        counts, bounds = _exponential(point)
    else:
        counts = list(point.bucket_counts)
        bounds = list(pairwise([0.0, *point.explicit_bounds, float("inf")]))
    return histogram.parts(counts, bounds, point.sum, point.min, point.max)


def _exponential(point: Any) -> tuple[list[float], list[tuple[float, float]]]:
    """The counts of buckets and their bounds: number i is from `base ** i` to `base ** (i + 1)`."""
    base = 2.0 ** (2.0**-point.scale)
    counts: list[float] = [point.zero_count]
    bounds = [(0.0, 0.0)]
    for number, n in enumerate(point.positive.bucket_counts, point.positive.offset):
        counts.append(n)
        bounds.append((base**number, base ** (number + 1)))
    return counts, bounds
