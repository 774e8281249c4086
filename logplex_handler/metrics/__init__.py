"""Metrics: `measure`, `sample` and `count` for one line, and aggregation between two reports.

Comes in: names and numbers. Goes out: pairs for `extra=`. Knows nothing of lines, streams or
receivers. The three functions are public; `Metrics` is in `logplex_handler.reports`.
"""

from logplex_handler.metrics.metric_pairs import count, measure, sample

__all__ = ["count", "measure", "sample"]
