"""Metrics of other libraries: their names in a line, and the pairs of one report."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter

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
# The largest number of metrics that a report did not have, and whose totals are kept: such a metric
# may come back with the total that it had. A histogram with 15 buckets takes about 2 kB.
_MAX_UNSEEN = 1_000

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
        # By metric: its totals, when the last report that saw it began, when it was created, and
        # its owner.
        self._seen: dict[Hashable, tuple[dict[str, float], float, float, object]] = {}

    def of(
        self,
        key: Hashable,
        totals: Mapping[str, float],
        now: float,
        created: float = 0.0,
        owner: object = None,
    ) -> dict[str, float]:
        """Return the increments of a metric's totals.

        They are the whole totals if they are the first, if one of them has become smaller, or if
        the metric was created after it was last seen. A sum may become smaller, and need not be
        finite.

        Args:
            key: What the metric is known by.
            totals: The total of each part of it.
            now: When this report began, in seconds, on the clock of `created`.
            created: When the metric was created. Default: unknown.
            owner: What `forget` knows the metric's origin by. Default: none.

        Raises:
            ValueError: A total is not a finite number; none of them is taken.
        """
        growing = {part: total for part, total in totals.items() if part != "_sum"}
        if not all(map(math.isfinite, growing.values())):
            raise ValueError("must be finite")
        before, at, made, _ = self._seen.get(key, ({}, now, created, None))
        # Some collectors compute the time of creation, and it varies a little. It is later than the
        # previous report only if the metric was created anew.
        is_new = created >= at and created != made
        if is_new or any(total < before.get(part, 0.0) for part, total in growing.items()):
            before = {}
        increments = {part: total - before.get(part, 0.0) for part, total in totals.items()}
        self._seen[key] = (dict(totals), now, created, owner)
        return increments

    def forget(self, now: float, but: Container[object] = ()) -> None:
        """Forget metrics that the report did not have, those that were seen last excepted.

        Metrics of the owners in `but` are kept: they could not be read.
        """
        unseen = [
            (at, key)
            for key, (_, at, _, owner) in self._seen.copy().items()
            if at != now and owner not in but
        ]
        unseen.sort(key=itemgetter(0))
        for _, key in unseen[: max(0, len(unseen) - _MAX_UNSEEN)]:
            self._seen.pop(key, None)


class Gathered:
    """The pairs of one report.

    `leave_out` is called with the name of each metric that cannot be reported, and the error.
    """

    def __init__(self, leave_out: Callable[[str, BaseException], object]) -> None:
        self._leave_out = leave_out
        self._counts: dict[str, number_format.Plain] = {}
        self._pairs: dict[str, str] = {}

    @contextlib.contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Leave out a metric whose block raises an error."""
        try:
            yield
        except Exception as error:
            self._leave_out(name, error)

    def count(self, name: str, n: float) -> None:
        """Add to a counter. Labels that become the same name share one counter."""
        with self.guarded(name):
            self._counts[name] = self._counts.get(name, 0) + number_format.plain(n)

    def sample(self, name: str, value: float | Callable[[], float], unit: str) -> None:
        """Report a value, or leave it out if another sample has the name."""
        with self.guarded(name):
            if f"sample#{name}" in self._pairs:
                raise ValueError(f"sample {name}: several have this name")
            value = value() if callable(value) else value
            self._pairs |= metric_pairs.sample(name, value, unit)

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
        self.sample(f"{name}.count", lambda: int(n), "")
        self.sample(f"{name}.mean", lambda: number_format.short(total / n), unit)
        for part, value in ((".min", least), (".max", most)):
            if value is not None:
                self.sample(name + part, partial(number_format.short, value), unit)
        for percent in PERCENTILES if bounds else ():
            estimate = partial(_percentile, percent / 100, counts, bounds, least, most)
            self.sample(f"{name}.p{percent}", estimate, unit)

    def pairs(self) -> dict[str, str]:
        for name, n in self._counts.items():
            if n:
                with self.guarded(name):
                    self._pairs |= _count(name, n)
        return self._pairs


def _count(name: str, n: number_format.Plain) -> dict[str, str]:
    return metric_pairs.count(name, int(n) if n == int(n) else n)


def _percentile(
    part: float,
    counts: Sequence[float],
    bounds: Bounds,
    least: float | None,
    most: float | None,
) -> float:
    """Return a rounded percentile, estimated as if its bucket's values were spread evenly."""
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
    return number_format.short(value if least is None else max(value, least))
