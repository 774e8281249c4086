"""The aggregated values of one interval: their minimum, their maximum and a sketch.

The sketch is Datadog's DDSketch. Its percentiles are within 1 % of the true value:
https://arxiv.org/abs/1908.10693.
"""

from __future__ import annotations

import math
from typing import Any

from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import number_format

PERCENTILES = (50, 95, 99)
# The longest suffix of the names under which a summary is reported.
LONGEST_PART = ".count"


def sketch_class() -> Any:
    """Return the optional library's class; called early, so that its absence is known at once."""
    try:
        from ddsketch import LogCollapsingLowestDenseDDSketch
    except ImportError:
        raise ConfigurationError(
            "aggregate: percentiles need an extra: pip install 'logplex-handler[percentiles]'"
        ) from None
    return LogCollapsingLowestDenseDDSketch


class Summary:
    """Values of one unit. Not thread-safe: the owner holds a lock."""

    __slots__ = ("_add", "_least", "_most", "_sketch", "unit")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        # The sketch has at most 2,048 counters, which cover 17 orders of magnitude. If the values
        # are spread further, the smallest are counted as larger than they are.
        self._sketch = sketch_class()(relative_accuracy=0.01)
        self._add = self._sketch.add
        self._least = math.inf
        self._most = 0.0

    def add(self, value: float) -> None:
        # The value is finite and not negative.
        self._add(value)
        if value < self._least:
            self._least = value
        if value > self._most:
            self._most = value

    def parts(self) -> dict[str, tuple[float, str]]:
        """Return the statistics to report, by the suffix of their name, each with its unit."""
        parts: dict[str, tuple[float, str]] = {
            ".count": (int(self._sketch.count), ""),
            ".min": (self._least, self.unit),
            ".max": (self._most, self.unit),
            ".mean": (number_format.short(self._sketch.sum / self._sketch.count), self.unit),
        }
        for percent in PERCENTILES:
            try:
                value = self._sketch.get_quantile_value(percent / 100)
            except OverflowError:
                # The estimate is beyond the largest float.
                value = self._most
            # The estimate may be outside the range of the values.
            value = min(max(value, self._least), self._most)
            parts[f".p{percent}"] = (number_format.short(value), self.unit)
        return parts
