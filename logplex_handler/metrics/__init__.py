"""Metrics: `measure`, `sample` and `count` for one line, and `Metrics`, which aggregates between
two reports.

Comes in: names and numbers.
Goes out: pairs for `extra=`.
Must not know: lines, streams, receivers.

- `metric_pairs`, `number_format`: the pairs of one line, and the numbers in them.
- `_metrics`, `meter`: `Metrics`, and the metrics of one stream between two reports.
- `_summary`, `_timer`: aggregated values, and measured times.
- `reporter`: the thread that logs what the meters have recorded.
- `bridge`: the metrics of other libraries.
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
