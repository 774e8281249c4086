"""Statistics of the values in a histogram, which keeps only how many values are in each bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from logplex_handler.metrics import number_format
from logplex_handler.metrics._summary import PERCENTILES

Bounds = Sequence[tuple[float, float]]


def parts(
    counts: Sequence[float],
    bounds: Bounds,
    total: float,
    least: float | None = None,
    most: float | None = None,
) -> Iterator[tuple[str, float, bool]]:
    """The statistics to report: the end of each name, the value, and whether it has the unit.

    A percentile lies somewhere in its bucket. It is estimated as if the bucket's values were spread
    evenly.

    Args:
        counts: The number of values in each bucket.
        bounds: The lower and upper bound of each bucket; empty if they are not known.
        total: The sum of all values.
        least, most: The smallest and the largest value, if known.
    """
    n = sum(counts)
    if n <= 0:
        return
    yield ".count", int(n), False
    values = {".mean": total / n, ".min": least, ".max": most}
    for percent in PERCENTILES if bounds else ():
        values[f".p{percent}"] = _percentile(percent / 100, counts, bounds, least, most)
    for part, value in values.items():
        if value is not None:
            yield part, number_format.short(value), True


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
            # The last bucket often has no upper bound; only its lower bound is known.
            value = low if high == float("inf") else low + (high - low) * min(1.0, rank / count)
            if rank <= count:
                break
        rank -= count
    value = value if most is None else min(value, most)
    return value if least is None else max(value, least)
