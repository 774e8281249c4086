"""What has come together in one interval becomes metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from logplex_handler.metrics import metric_pairs
from logplex_handler.metrics._summary import Summary


def pairs(
    counts: Mapping[str, float],
    held: Mapping[str, str],
    summaries: Mapping[str, Summary],
    leave_out: Callable[[str, BaseException], object],
) -> dict[str, str]:
    """Pairs as for `extra=`.

    Args:
        counts: What was added to each counter.
        held: Samples that stand, as pairs.
        summaries: The values of each name that is aggregated.
        leave_out: Called with the name of what cannot be reported, and why.
    """
    found: dict[str, str] = {}

    def add(name: str, kind: Any, *value: Any) -> None:
        try:
            made = kind(name, *value)
            if made.keys() & found.keys():
                raise ValueError(f"{name}: a sample and a part of an aggregate have this name")
        except ValueError as error:
            # Or together they have become larger than the largest float.
            leave_out(name, error)
        else:
            found.update(made)

    for name, n in counts.items():
        if n:
            add(name, metric_pairs.count, n)
    found |= held
    for name, summary in summaries.items():
        for part, value in summary.parts().items():
            add(name + part, metric_pairs.sample, *value)
    return found
