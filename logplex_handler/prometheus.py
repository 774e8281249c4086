"""`PrometheusBridge`: what `prometheus_client` counts becomes lines of metrics.

It needs `prometheus-client`: `pip install 'logplex-handler[prometheus]'`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import bridge, histogram
from logplex_handler.reports import Metrics

__all__ = ["PrometheusBridge"]

_SUFFIXES = {"_seconds": "s", "_bytes": "bytes"}
_Labels = tuple[tuple[str, str], ...]


class PrometheusBridge:
    """Reports a registry of `prometheus_client` once per interval.

    Counters become increments, `count#http_requests.get.200=17`, with the values of the labels
    behind the name; gauges and states become samples. Of histograms and summaries there are
    `.count` and `.mean` of what was observed since the last report, and of histograms `.p50`,
    `.p95` and `.p99`, as exact as their buckets are. The unit is that of the metric, or what its
    name ends with: `s` for seconds, `bytes`. What l2met could not read, such as a negative gauge,
    is left out, counted and told once.

        PrometheusBridge(metrics)

    It reports what is counted after it was made; behind a fork, after its first report there.

    Args:
        metrics: Where it is reported.
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
        self._leave_out = metrics._reporter.leave_out
        self._begun_in = 0
        self._added = bridge.Increments()
        try:
            self._begin()
        except Exception as error:
            # A function of the application's that is asked may work later.
            self._leave_out(type(self).__name__, error)
        metrics.collect(self._collect)

    def _begin(self) -> None:
        self._added = bridge.Increments()
        # What there is already was counted before.
        self._gather()
        self._begun_in = os.getpid()

    def _collect(self) -> dict[str, str]:
        if self._begun_in != os.getpid():
            # What the parent has counted is the parent's to report.
            self._begin()
        return self._gather().pairs()

    def _gather(self) -> bridge.Gathered:
        # All of it before anything is taken for reported: a function that is asked may fail.
        families = list(self._registry.collect())
        found = bridge.Gathered(self._leave_out)
        for family in families:
            unit = _unit(family)
            if family.type == "counter":
                for one in family.samples:
                    if one.name.endswith("_total"):
                        added = self._added.of((one.name, _labels(one)), one.value)
                        found.count(bridge.named(family.name, one.labels), added)
            elif family.type in ("histogram", "summary"):
                for name, counts, bounds, total in self._distributions(family):
                    found.distribution(name, unit, histogram.parts(counts, bounds, total))
            elif family.type in ("gauge", "stateset", "unknown"):
                for one in family.samples:
                    found.sample(bridge.named(one.name, one.labels), one.value, unit)
        return found

    def _distributions(
        self, family: Any
    ) -> Iterator[tuple[str, list[float], list[tuple[float, float]], float]]:
        """Of each what was observed: its name, the number in each bucket, their bounds, the sum."""
        by_labels: defaultdict[_Labels, dict[str, float]] = defaultdict(dict)
        for one in family.samples:
            kind = one.name.removeprefix(family.name)
            bound = one.labels.get("le", "")
            if kind in ("_bucket", "_count", "_sum"):
                added = self._added.of((one.name, _labels(one), bound), one.value)
                by_labels[_labels(one)][bound or kind] = added
        for labels, values in by_labels.items():
            total, n = values.pop("_sum", 0.0), values.pop("_count", 0.0)
            counts, bounds = _buckets(values) if values else ([n], [])
            yield bridge.named(family.name, dict(labels)), counts, bounds, total


def _buckets(up_to: dict[str, float]) -> tuple[list[float], list[tuple[float, float]]]:
    """How many are in each bucket, of which so many were up to each bound."""
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
