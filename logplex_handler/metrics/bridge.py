"""Metrics of other libraries: their names in a line, and the pairs of one report."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial

from logplex_handler.metrics import metric_pairs, number_format
from logplex_handler.metrics._summary import LONGEST_PART, PERCENTILES

# Characters that no name may contain; a dot in a label's value would look like another level.
_NOT_IN_NAMES = re.compile(r"""[\x00-\x20="'\\#.\x7f-\x9f\ud800-\udfff]+""")
_LONGEST_NAME = metric_pairs.MAX_NAME_BYTES - len(LONGEST_PART)
_UNITS = {
    "seconds": "s", "bytes": "bytes", "By": "bytes", "1": "", "ratio": "", "%": "percent",
}  # fmt: skip
# An annotation of OpenTelemetry, such as `{request}`, is not part of the unit.
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_LETTERS = re.compile("[A-Za-z]{1,20}")

Bounds = Sequence[tuple[float, float]]


def named(name: str, labels: Mapping[str, object]) -> str:
    """Return the name followed by the values of its labels, from least to most specific.

    `http_requests` with `{"method": "get", "status": 200}` is `http_requests.get.200`.
    """
    parts = [name, *(_NOT_IN_NAMES.sub("_", str(value)) or "_" for value in labels.values())]
    return ".".join(parts).encode()[:_LONGEST_NAME].decode(errors="ignore")


def name_and_unit(name: str, unit: str) -> tuple[str, str]:
    """Return the name and the unit as a line has them.

    A unit that does not consist of letters alone, such as `m/s`, becomes a part of the name:
    `speed.m/s`.
    """
    unit = _ANNOTATION.sub("", unit)
    written = letters(unit)
    if written or unit in _UNITS or not unit:
        return name, written
    return f"{name}.{_NOT_IN_NAMES.sub('_', unit)}", ""


def letters(unit: str) -> str:
    """Return a unit as a line has it (`s` for seconds), or empty unless it is letters alone."""
    unit = _UNITS.get(unit, unit)
    return unit if _LETTERS.fullmatch(unit) else ""


class Increments:
    """Turns totals that only grow into increments since the previous report."""

    def __init__(self) -> None:
        self._totals: dict[Hashable, float] = {}

    def of(self, key: Hashable, total: float) -> float:
        """Return the increment: the whole total if it is the first or has become smaller."""
        before = self._totals.get(key, 0.0)
        self._totals[key] = total
        return total - before if total >= before else total


class Gathered:
    """The pairs of one report.

    `leave_out` is called with the name of each metric that cannot be reported, and the error.
    """

    def __init__(self, leave_out: Callable[[str, BaseException], object]) -> None:
        self._leave_out = leave_out
        self._counts: dict[str, float] = {}
        self._pairs: dict[str, str] = {}

    def count(self, name: str, n: float) -> None:
        """Add to a counter. Labels that become the same name share one counter."""
        try:
            number_format.plain(n)
        except (TypeError, ValueError) as error:
            self._leave_out(name, error)
        else:
            self._counts[name] = self._counts.get(name, 0) + n

    def sample(self, name: str, value: float, unit: str) -> None:
        """Report a value, or leave it out if another sample has the name."""
        if f"sample#{name}" in self._pairs:
            self._leave_out(name, ValueError(f"sample {name}: several have this name"))
            return
        self._add(name, partial(metric_pairs.sample, name, value, unit))

    def histogram(
        self,
        name: str,
        unit: str,
        counts: Sequence[float],
        bounds: Bounds,
        total: float,
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        """Report the statistics of a histogram.

        Percentiles need the bounds of its buckets; the minimum and the maximum are reported if
        given.
        """
        n = sum(counts)
        if n <= 0:
            return
        self.sample(f"{name}.count", int(n), "")
        values = {".mean": total / n, ".min": least, ".max": most}
        for percent in PERCENTILES if bounds else ():
            values[f".p{percent}"] = _percentile(percent / 100, counts, bounds, least, most)
        for part, value in values.items():
            if value is not None:
                self.sample(name + part, number_format.short(value), unit)

    def pairs(self) -> dict[str, str]:
        for name, n in self._counts.items():
            if n:
                self._add(name, partial(_count, name, n))
        return self._pairs

    def _add(self, name: str, make: Callable[[], dict[str, str]]) -> None:
        try:
            self._pairs |= make()
        except (TypeError, ValueError, OverflowError) as error:
            self._leave_out(name, error)


def _count(name: str, n: float) -> dict[str, str]:
    return metric_pairs.count(name, int(n) if n == int(n) else n)


def _percentile(
    part: float,
    counts: Sequence[float],
    bounds: Bounds,
    least: float | None,
    most: float | None,
) -> float:
    """Return a percentile, estimated as if the values of its bucket were spread evenly."""
    rank = part * sum(counts)
    value = 0.0
    for count, (low, high) in zip(counts, bounds, strict=True):
        if count:
            # The last bucket often has no upper bound; only its lower bound is known.
            value = low if high == float("inf") else low + (high - low) * min(1.0, rank / count)
            if rank <= count:
                break
        rank -= count
    value = value if most is None else min(value, most)
    return value if least is None else max(value, least)
