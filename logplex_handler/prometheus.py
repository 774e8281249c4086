"""`PrometheusBridge`: the metrics of `prometheus_client` become lines.

It needs `prometheus-client`: `pip install 'logplex-handler[prometheus]'`.
"""

from __future__ import annotations

import os
import time
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
    first report. A collector that fails costs its own metrics alone. A counter whose labels are
    removed, and made again, starts at zero; one that was absent for a while goes on from the total
    that it had, unless 1,000 others became absent after it.

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
        # The process whose increments these are.
        self._pid = 0
        self._increments = bridge.Increments()
        # The collectors whose totals have no starting point yet: they have failed so far.
        self._not_begun: set[int] = set()
        self._collect()
        metrics.collect(self._collect)

    def _collect(self) -> dict[str, str]:
        # Call all collectors before taking the first increment: one of them may raise SystemExit.
        now = time.time()
        collected: list[tuple[int, list[Any]]] = []
        failed: set[int] = set()
        for collector, name in self._collectors():
            try:
                collected.append((id(collector), list(collector.collect())))
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                # A function of the application has failed; it may succeed later.
                failed.add(id(collector))
                self._leave_out(name, error)
        if self._pid != os.getpid():
            # The bridge is new, or this is a forked child: the parent reports what the parent has
            # counted. The present totals are the starting point.
            self._increments = bridge.Increments()
            self._not_begun = failed | {owner for owner, _ in collected}
            self._pid = os.getpid()
        found = bridge.Gathered(self._leave_out)
        for owner, families in collected:
            for family in families:
                with found.guarded(str(getattr(family, "name", type(family).__name__))):
                    if owner in self._not_begun:
                        self._take(family, bridge.Gathered(_ignore), owner, now)
                    self._take(family, found, owner, now)
        self._not_begun &= failed
        self._increments.forget(now, but=failed)
        return found.pairs()

    def _collectors(self) -> list[tuple[Any, str]]:
        """Return the registry's collectors, each with a name of its metrics.

        The registry's own `collect` ends at the first collector that fails. Only a registry of
        another class, which may have none, is asked as a whole.
        """
        from prometheus_client import CollectorRegistry

        registry = self._registry
        registered = getattr(registry, "_collector_to_names", None)
        own = getattr(type(registry), "collect", None) is CollectorRegistry.collect
        if not own or not isinstance(registered, dict):
            return [(registry, type(self).__name__)]
        return [
            (collector, names[0] if names else type(collector).__name__)
            for collector, names in registered.copy().items()
        ]

    def _take(self, family: Any, found: bridge.Gathered, owner: int, now: float) -> None:
        unit = _unit(family)
        if family.type in ("counter", "histogram", "summary"):
            for labels, totals, created in _totals(family):
                name = bridge.named(family.name, dict(labels))
                with found.guarded(name):
                    key = (family.name, labels)
                    increments = self._increments.of(key, totals, now, created, owner)
                    if family.type == "counter":
                        found.count(name, increments["_total"])
                        continue
                    total, n = increments.pop("_sum", 0.0), increments.pop("_count", 0.0)
                    counts, bounds = _buckets(increments) if increments else ([n], [])
                    found.histogram(name, unit, counts, bounds, total)
        elif family.type in ("gauge", "stateset", "unknown"):
            for one in family.samples:
                with found.guarded(str(one.name)):
                    found.sample(bridge.named(one.name, one.labels), one.value, unit)


def _ignore(_name: str, _error: BaseException) -> None:
    """Leave out a metric that the report itself leaves out, too."""


def _totals(family: Any) -> Iterator[tuple[_Labels, dict[str, float], float]]:
    """Yield the labels, the totals of each bucket or suffix, and the time of creation, or 0."""
    by_labels: defaultdict[_Labels, dict[str, float]] = defaultdict(dict)
    created: dict[_Labels, float] = {}
    for one in family.samples:
        kind = one.name.removeprefix(family.name)
        if family.type == "counter" and one.name.endswith("_total"):
            kind = "_total"
        labels: dict[str, str] = dict(one.labels)
        # Of other metrics, `le` is a label like any other.
        bound = labels.pop("le", "") if kind == "_bucket" else ""
        key = tuple(labels.items())
        if kind == "_created":
            created[key] = one.value
        elif kind in ("_total", "_bucket", "_count", "_sum"):
            by_labels[key][bound or kind] = one.value
    for key, totals in by_labels.items():
        yield key, totals, created.get(key, 0.0)


def _buckets(up_to: dict[str, float]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the number of values in each bucket, and its bounds, from cumulative numbers."""
    counts, bounds, low, before = [], [], 0.0, 0.0
    for end, number in sorted((float(bound), number) for bound, number in up_to.items()):
        counts.append(number - before)
        bounds.append((min(low, end), end))
        low, before = end, number
    return counts, bounds


def _unit(family: Any) -> str:
    for suffix, unit in _SUFFIXES.items():
        if family.name.endswith(suffix):
            return unit
    return bridge.letters(family.unit)
