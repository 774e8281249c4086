"""The counts, samples and summaries of one interval become pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from logplex_handler.metrics import metric_pairs
from logplex_handler.metrics._summary import Summary


def pairs(
    counts: Mapping[str, float],
    held: Mapping[str, str],
    summaries: Mapping[str, Summary],
    leave_out: Callable[[str, BaseException], object],
) -> dict[str, str]:
    """The pairs, as for `extra=`.

    Args:
        counts: The increment of each counter.
        held: Samples that are repeated in each report, as pairs.
        summaries: The aggregated values of each name.
        leave_out: Called with the name of each metric that cannot be reported, and the error.
    """
    found: dict[str, str] = {}
    for name, n in counts.items():
        if n:
            try:
                found |= metric_pairs.count(name, n)
            except ValueError as error:
                # The sum is larger than the largest float.
                leave_out(name, error)
    found |= held
    for name, summary in summaries.items():
        for part, (value, unit) in summary.parts().items():
            full_name = name + part
            try:
                pair = metric_pairs.sample(full_name, value, unit)
                if pair.keys() & found.keys():
                    raise ValueError(
                        f"{full_name}: a sample and a part of an aggregate have this name"
                    )
            except ValueError as error:
                leave_out(full_name, error)
            else:
                found |= pair
    return found
