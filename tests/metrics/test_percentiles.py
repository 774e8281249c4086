"""Percentiles are within one percent of NumPy's."""

from __future__ import annotations

import sys

import numpy
import pytest

from tests.metrics.shared import recording, values

DISTRIBUTIONS = {
    "uniform": lambda generator, n: generator.uniform(0, 1000, n),
    "exponential": lambda generator, n: generator.exponential(50, n),
    "lognormal": lambda generator, n: generator.lognormal(3, 2, n),
    "pareto": lambda generator, n: generator.pareto(1.2, n) + 1,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [1_000, 100_000])
def test_percentiles_are_within_one_percent_of_numpys(name, n):
    """The documented bound, for four distributions; the other statistics are exact."""
    data = DISTRIBUTIONS[name](numpy.random.default_rng(20260101), n)
    with recording() as (metrics, lines):
        for value in data.tolist():
            metrics.measure("job", value, "ms", aggregate=True)
        metrics.report()
        read = {name: value for name, (value, _) in values(lines).items()}
        assert read["job.count"] == n
        assert read["job.min"] == pytest.approx(data.min(), abs=1e-6)
        assert read["job.max"] == pytest.approx(data.max(), abs=1e-6)
        assert read["job.mean"] == pytest.approx(data.mean(), rel=1e-5)
        for percent in (50, 95, 99):
            true = numpy.percentile(data, percent, method="lower")
            # The last six digits are rounded away.
            assert abs(read[f"job.p{percent}"] - true) <= 0.01 * true + 1e-5 * true


def test_the_largest_floats_have_percentiles_too():
    """Though the estimate may be beyond them; the report has all other metrics."""
    with recording() as (metrics, lines):
        metrics.measure("job", sys.float_info.max, aggregate=True)
        metrics.count("orders", 5)
        metrics.report()
        assert lines.sums() == {"orders": 5}
        assert values(lines)["job.p99"][0] == pytest.approx(sys.float_info.max)
