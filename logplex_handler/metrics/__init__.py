"""Metrics: `measure`, `sample` and `count` for one line, and `Metrics`, which aggregates between
two reports.

Comes in: names and numbers. Goes out: pairs for `extra=`. Knows nothing of lines, streams or
receivers.
"""

from typing import TYPE_CHECKING

from logplex_handler._process.lazy import lazy
from logplex_handler.metrics.metric_pairs import count, measure, sample

if TYPE_CHECKING:
    from logplex_handler.metrics._metrics import Metrics
    from logplex_handler.metrics.meter import Meter
else:
    __getattr__ = lazy(__name__, {"Meter": "meter", "Metrics": "_metrics"})

__all__ = ["Meter", "Metrics", "count", "measure", "sample"]
