"""`PrometheusBridge`: what `prometheus_client` counts becomes lines of metrics.

It needs `prometheus-client`: `pip install 'logplex-handler[prometheus]'`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from logplex_handler import _foreign, _number, metrics
from logplex_handler.errors import ConfigurationError
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
        self._begin()
        metrics.collect(self._collect)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._added = _foreign.Increments()
        # What there is already was counted before.
        list(self._found())

    def _collect(self) -> dict[str, str]:
        if self._pid != os.getpid():
            # What the parent has counted is the parent's to report.
            self._begin()
        counts: defaultdict[str, float] = defaultdict(int)
        pairs: dict[str, str] = {}
        for name, n, make in self._found():
            try:
                if make is None:
                    # Two that differ in characters that no name can hold are one.
                    _number.plain(n)
                    counts[name] += n
                else:
                    pairs |= make()
            except Exception as error:
                self._leave_out(name, error)
        for name, n in counts.items():
            pairs |= _foreign.counted(name, n)
        return pairs

    def _found(self) -> Iterator[tuple[str, float, Callable[[], dict[str, str]] | None]]:
        """Of each metric its name, and an increment or what makes its samples."""
        for family in self._registry.collect():
            unit = _unit(family)
            if family.type == "counter":
                for one in family.samples:
                    if one.name.endswith("_total"):
                        added = self._added.of((one.name, _labels(one)), one.value)
                        yield _foreign.named(family.name, one.labels), added, None
            elif family.type in ("histogram", "summary"):
                yield from self._distributions(family, unit)
            elif family.type in ("gauge", "stateset", "unknown"):
                for one in family.samples:
                    name = _foreign.named(one.name, one.labels)
                    yield name, 0, partial(metrics.sample, name, one.value, unit)

    def _distributions(
        self, family: Any, unit: str
    ) -> Iterator[tuple[str, float, Callable[[], dict[str, str]]]]:
        by_labels: defaultdict[_Labels, dict[str, float]] = defaultdict(dict)
        for one in family.samples:
            kind = one.name.removeprefix(family.name)
            bound = one.labels.get("le", "")
            if kind in ("_bucket", "_count", "_sum"):
                added = self._added.of((one.name, _labels(one), bound), one.value)
                by_labels[_labels(one)][bound or kind] = added
        for labels, values in by_labels.items():
            total, n = values.pop("_sum", 0.0), values.pop("_count", 0.0)
            name = _foreign.named(family.name, dict(labels))
            yield name, 0, partial(_distribution, name, unit, n, total, values)


def _distribution(
    name: str, unit: str, n: float, total: float, up_to: dict[str, float]
) -> dict[str, str]:
    """What was observed, of which so many were up to each bound; there may be no bounds."""
    if not up_to:
        return _foreign.distribution(name, unit, [n], [], total)
    counts, bounds, low, before = [], [], 0.0, 0.0
    for end, number in sorted((float(bound), number) for bound, number in up_to.items()):
        counts.append(number - before)
        bounds.append((min(low, end), end))
        low, before = end, number
    return _foreign.distribution(name, unit, counts, bounds, total)


def _labels(one: Any) -> _Labels:
    return tuple((key, value) for key, value in one.labels.items() if key not in ("le", "quantile"))


def _unit(family: Any) -> str:
    for suffix, unit in _SUFFIXES.items():
        if family.name.endswith(suffix):
            return unit
    return _foreign.letters(family.unit)
