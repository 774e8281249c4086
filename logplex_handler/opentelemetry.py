"""`LogplexMetricExporter`: the metrics of OpenTelemetry become lines.

It needs `opentelemetry-sdk`: `pip install 'logplex-handler[opentelemetry]'`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Hashable, Iterator
from itertools import pairwise
from typing import Any

from logplex_handler._formatting.value_text import text_of
from logplex_handler.metrics import Metrics, bridge, number_format
from logplex_handler.metrics.meter import reporter_of

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
    """Logs OpenTelemetry's metrics, once per interval of the metric reader that exports them.

    Counters become increments, `count#http.server.requests.GET.200=17`, with the values of the
    attributes after the name, written as in log lines: `true`, `[a,b]`. A unit of letters follows
    the number, as in `4ms`; another unit, such as `m/s`, is a part of the name, and a count has
    none. Gauges and up-down counters become samples. A histogram becomes `.count`, `.min`, `.max`,
    `.mean`, `.p50`, `.p95` and `.p99` of the values since the previous export. It has up to 160
    buckets, which adapt to the values: a percentile is off by at most 9 % if the largest value is
    100,000 times the smallest, and by less if they are closer. A metric that l2met could not read,
    such as a negative value, is left out and counted; the first such failure of a name is logged.

        PeriodicExportingMetricReader(
            LogplexMetricExporter(logging.getLogger("shop.metrics")), export_interval_millis=60_000
        )

    Args:
        logger: The logger for the lines.
        source: The `source=` of these lines, in place of the formatter's. Default: the formatter's.

    Raises:
        ConfigurationError: (a ValueError) An argument is invalid; the text names it.
    """

    def __init__(self, logger: logging.Logger, *, source: str | None = None) -> None:
        self._reporter = reporter_of(Metrics(logger, source=source))
        self._increments = bridge.Increments()
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
        """Log all metrics in one or more lines; return FAILURE if the logger does not do so."""
        if not self._reporter.is_enabled():
            return MetricExportResult.FAILURE
        found = bridge.Gathered(self._reporter.leave_out)
        now = time.time()
        for scope, metric, point in _points(metrics_data):
            with found.guarded(metric.name):
                self._take(scope, metric, point, found, now)
        self._increments.forget(now)
        is_logged = self._reporter.report_recorded(collected=found.pairs())
        return MetricExportResult.SUCCESS if is_logged else MetricExportResult.FAILURE

    def _take(
        self, scope: Hashable, metric: Any, point: Any, found: bridge.Gathered, now: float
    ) -> None:
        data = metric.data
        name, unit = bridge.name_and_unit(metric.name, metric.unit or "")
        name = bridge.named(name, _attributes(point))
        if isinstance(data, Sum) and data.is_monotonic:
            # A count has no unit.
            name = bridge.named(metric.name, _attributes(point))
            found.count(name, self._increment((scope, metric.name), data, point, now))
        elif isinstance(data, Histogram | ExponentialHistogram):
            counts, bounds = _buckets(data, point)
            # A view may leave out the minimum and the maximum; both are infinite then.
            least, most = [one if math.isfinite(one) else None for one in (point.min, point.max)]
            found.histogram(name, unit, counts, bounds, point.sum, least, most)
        else:
            found.sample(name, point.value, unit)

    def _increment(self, counter: Hashable, data: Any, point: Any, now: float) -> Any:
        if data.aggregation_temporality is AggregationTemporality.DELTA:
            return point.value
        attributes = tuple(sorted((point.attributes or {}).items()))
        return self._increments.of((counter, attributes), {"": point.value}, now)[""]

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: the exporter keeps no metrics, and the handler delivers the lines."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: the exporter has neither a thread nor a connection."""


def _points(metrics_data: Any) -> Iterator[tuple[Hashable, Any, Any]]:
    for resource in metrics_data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield scope.scope, metric, point


def _attributes(point: Any) -> dict[str, str]:
    """Return the attributes as a line has them; sequences are without the quotes of JSON."""
    given = (point.attributes or {}).items()
    return {
        key: value if isinstance(value, str) else text_of(value).replace('"', "")
        for key, value in given
    }


def _buckets(data: Any, point: Any) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the buckets' counts and bounds."""
    if not isinstance(data, ExponentialHistogram):
        return list(point.bucket_counts), [*pairwise([0.0, *point.explicit_bounds, float("inf")])]
    # Bucket i is from `base ** i` to `base ** (i + 1)`, and the base is `2 ** (2 ** -scale)`.
    width = 2.0**-point.scale
    counts: list[float] = [point.zero_count]
    bounds = [(0.0, 0.0)]
    for number, n in enumerate(point.positive.bucket_counts, point.positive.offset):
        counts.append(n)
        bounds.append((_power_of_two(number * width), _power_of_two((number + 1) * width)))
    return counts, bounds


def _power_of_two(exponent: float) -> float:
    try:
        return math.pow(2.0, exponent)
    except OverflowError:
        # The bucket of the largest values ends beyond the largest float.
        return number_format.LARGEST
