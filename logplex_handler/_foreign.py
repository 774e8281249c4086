"""What metrics of other libraries are called in a line, and what their numbers become."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

from logplex_handler import _number, metrics
from logplex_handler._summary import LONGEST_PART, PERCENTILES

# What no name may hold; a dot in a label's value would look like another level.
_NOT_IN_NAMES = re.compile(r"""[\x00-\x20="'\\#.\x7f-\x9f\ud800-\udfff]+""")
_LONGEST_NAME = metrics.MAX_NAME_BYTES - len(LONGEST_PART)
_UNITS = {"seconds": "s", "bytes": "bytes", "By": "bytes", "1": "", "ratio": ""}
_LETTERS = re.compile("[A-Za-z]{1,20}")


def named(name: str, labels: Mapping[str, object]) -> str:
    """The name with the values of its labels behind it, from least to most specific.

    `http_requests` with `{"method": "get", "status": 200}` is `http_requests.get.200`.
    """
    parts = [name, *(_NOT_IN_NAMES.sub("_", str(value)) or "_" for value in labels.values())]
    return ".".join(parts).encode()[:_LONGEST_NAME].decode(errors="ignore")


def letters(unit: str) -> str:
    """A unit as it can stand in a line: `s` for seconds; empty for what has no letters alone."""
    unit = _UNITS.get(unit, unit)
    return unit if _LETTERS.fullmatch(unit) else ""


class Increments:
    """Totals that only grow become what was added since the last time; the first all of it."""

    def __init__(self) -> None:
        self._totals: dict[Hashable, float] = {}

    def of(self, key: Hashable, total: float) -> float:
        """What was added; all of a total that has begun anew."""
        before = self._totals.get(key, 0.0)
        self._totals[key] = total
        return total - before if total >= before else total


def counted(name: str, n: float) -> dict[str, str]:
    """A counter's increment; nothing if there is none."""
    return metrics.count(name, int(n) if n == int(n) else n) if n else {}


def distribution(
    name: str,
    unit: str,
    counts: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    total: float,
    least: float | None = None,
    most: float | None = None,
) -> dict[str, str]:
    """What is known of values by their number in each bucket, and by their total.

    A percentile lies somewhere in its bucket: it is taken to be where it would be if the bucket's
    values were spread evenly.
    """
    n = sum(counts)
    if n <= 0:
        return {}
    pairs = metrics.sample(f"{name}.count", int(n))
    values: dict[str, float | None] = {".mean": total / n, ".min": least, ".max": most}
    for percent in PERCENTILES if bounds else ():
        values[f".p{percent}"] = _percentile(percent / 100, counts, bounds, least, most)
    for part, value in values.items():
        if value is not None:
            pairs |= metrics.sample(name + part, _number.short(value), unit)
    return pairs


def _percentile(
    part: float,
    counts: Sequence[float],
    bounds: Iterable[tuple[float, float]],
    least: float | None,
    most: float | None,
) -> float:
    rank = part * sum(counts)
    value = 0.0
    for count, (low, high) in zip(counts, bounds, strict=True):
        if count:
            # The last bucket of many has no end: nothing more is known than where it begins.
            value = low if high == float("inf") else low + (high - low) * min(1.0, rank / count)
            if rank <= count:
                break
        rank -= count
    value = value if most is None else min(value, most)
    return value if least is None else max(value, least)
