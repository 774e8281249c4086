"""`PrometheusBridge`: the metrics of `prometheus_client` become lines.

It needs `prometheus-client`: `pip install 'logplex-handler[prometheus]'`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import Metrics, bridge
from logplex_handler.metrics.meter import reporter_of

__all__ = ["PrometheusBridge"]

_SUFFIXES = {"_seconds": "s", "_bytes": "bytes"}
_Labels = tuple[tuple[str, str], ...]


class PrometheusBridge:
    """Reports a registry of `prometheus_client` once per interval.

    Counters become increments, `count#http_requests.get.200=17`, with the values of the labels
    after the name; gauges and states become samples. A histogram or summary becomes `.count` and
    `.mean` of the values since the previous report; a histogram also becomes `.p50`, `.p95` and
    `.p99`, which are as exact as its buckets. The unit is the metric's own, or comes from the end
    of its name: `s` for seconds, `bytes`. A metric that l2met could not read, such as a negative
    gauge, is left out and counted; the first such failure of a name is logged.

        PrometheusBridge(metrics)

    Only increments after the bridge was made are reported; in a forked child, only those after its
    first report.

    Args:
        metrics: The `Metrics` that reports the registry.
        registry: A registry of `prometheus_client`. Default: the library's own, `REGISTRY`.

    Raises:
        ConfigurationError: (a ValueError) `prometheus_client` is not installed.
    """

    def __init__(self, metrics: Metrics, registry: Any = None) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError:
            raise ConfigurationError(
                "PrometheusBridge needs an extra: pip install 'logplex-handler[prometheus]'"
            ) from None
        self._registry = REGISTRY if registry is None else registry
        self._leave_out = reporter_of(metrics).leave_out
        self._pid = 0
        self._increments = bridge.Increments()
        try:
            self._begin()
        except Exception as error:
            # One of the application's functions has failed; it may succeed later.
            self._leave_out(type(self).__name__, error)
        metrics.collect(self._collect)

    def _begin(self) -> None:
        """Take the present totals as the starting point."""
        self._increments = bridge.Increments()
        self._gather()
        self._pid = os.getpid()

    def _collect(self) -> dict[str, str]:
        if self._pid != os.getpid():
            # This is a forked child: the parent reports what the parent has counted.
            self._begin()
        return self._gather().pairs()

    def _gather(self) -> bridge.Gathered:
        # Collect all families before taking the first increment: an application's function may
        # fail.
        families = list(self._registry.collect())
        found = bridge.Gathered(self._leave_out)
        for family in families:
            unit = _unit(family)
            if family.type == "counter":
                for one in family.samples:
                    if one.name.endswith("_total"):
                        increment = self._increments.of((one.name, _labels(one)), one.value)
                        found.count(bridge.named(family.name, one.labels), increment)
            elif family.type in ("histogram", "summary"):
                for name, counts, bounds, total in self._histograms(family):
                    found.histogram(name, unit, counts, bounds, total)
            elif family.type in ("gauge", "stateset", "unknown"):
                for one in family.samples:
                    found.sample(bridge.named(one.name, one.labels), one.value, unit)
        return found

    def _histograms(
        self, family: Any
    ) -> Iterator[tuple[str, list[float], list[tuple[float, float]], float]]:
        """Yield the histogram of each combination of labels.

        It consists of the name, the number of values in each bucket, the buckets' bounds, and the
        sum of the values.
        """
        by_labels: defaultdict[_Labels, dict[str, float]] = defaultdict(dict)
        for one in family.samples:
            kind = one.name.removeprefix(family.name)
            bound = one.labels.get("le", "")
            if kind in ("_bucket", "_count", "_sum"):
                increment = self._increments.of((one.name, _labels(one), bound), one.value)
                by_labels[_labels(one)][bound or kind] = increment
        for labels, values in by_labels.items():
            total, n = values.pop("_sum", 0.0), values.pop("_count", 0.0)
            counts, bounds = _buckets(values) if values else ([n], [])
            yield bridge.named(family.name, dict(labels)), counts, bounds, total


def _buckets(up_to: dict[str, float]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the number of values in each bucket, and its bounds, from cumulative numbers."""
    counts, bounds, low, before = [], [], 0.0, 0.0
    for end, number in sorted((float(bound), number) for bound, number in up_to.items()):
        counts.append(number - before)
        bounds.append((min(low, end), end))
        low, before = end, number
    return counts, bounds


def _labels(one: Any) -> _Labels:
    return tuple((key, value) for key, value in one.labels.items() if key not in ("le", "quantile"))


def _unit(family: Any) -> str:
    for suffix, unit in _SUFFIXES.items():
        if family.name.endswith(suffix):
            return unit
    return bridge.letters(family.unit)
