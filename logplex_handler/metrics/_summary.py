"""What is kept of the values of one interval: how many, the least, the most, and a sketch of them.

The sketch is Datadog's DDSketch, whose percentiles are off by at most one part in a hundred of the
true value: https://arxiv.org/abs/1908.10693.
"""

from __future__ import annotations

import math
from typing import Any

from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import number_format

# The bound of a percentile's error, as a part of the value that has this rank.
ERROR = 0.01
PERCENTILES = (50, 95, 99)
# The parts of a name that a summary is reported under.
LONGEST_PART = ".count"


def require() -> None:
    """Raise the error of a missing library while the program can still be mended."""
    _sketch_class()


def _sketch_class() -> Any:
    try:
        from ddsketch import LogCollapsingLowestDenseDDSketch
    except ImportError:
        raise ConfigurationError(
            "aggregate: percentiles need an extra: pip install 'logplex-handler[percentiles]'"
        ) from None
    return LogCollapsingLowestDenseDDSketch


class Summary:
    """Values of one unit. Whoever owns it guards it."""

    __slots__ = ("_add", "_least", "_most", "_sketch", "unit")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        # Of at most 2,048 counters. They reach over 17 orders of magnitude; of values that are
        # spread further than that, the least are taken for larger than they are.
        self._sketch = _sketch_class()(relative_accuracy=ERROR)
        self._add = self._sketch.add
        self._least = math.inf
        self._most = 0.0

    def add(self, value: float) -> None:
        """Count a value, which is a finite number and not negative."""
        self._add(value)
        if value < self._least:
            self._least = value
        if value > self._most:
            self._most = value

    def parts(self) -> dict[str, tuple[float, str]]:
        """What there is to report, each with its unit."""
        parts: dict[str, tuple[float, str]] = {
            ".count": (int(self._sketch.count), ""),
            ".min": (self._least, self.unit),
            ".max": (self._most, self.unit),
            ".mean": (number_format.short(self._sketch.sum / self._sketch.count), self.unit),
        }
        for percent in PERCENTILES:
            value = self._sketch.get_quantile_value(percent / 100)
            # What it is off may lead beyond all that there was.
            value = min(max(value, self._least), self._most)
            parts[f".p{percent}"] = (number_format.short(value), self.unit)
        return parts
