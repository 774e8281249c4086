"""What is known of values by their number in each bucket, as histograms keep it."""

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
    """What there is to report of values: what stands behind the name, a number, and whether it
    has their unit.

    A percentile lies somewhere in its bucket: it is taken to be where it would be if the bucket's
    values were spread evenly.

    Args:
        counts: How many are in each bucket.
        bounds: Of each bucket; empty if nothing is known of them.
        total: All of them added up.
        least, most: Among them, where it is known.
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
            # The last bucket of many has no end: nothing more is known than where it begins.
            value = low if high == float("inf") else low + (high - low) * min(1.0, rank / count)
            if rank <= count:
                break
        rank -= count
    value = value if most is None else min(value, most)
    return value if least is None else max(value, least)
