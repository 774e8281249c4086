"""Metrics: `measure`, `sample` and `count` for one line, and what adds up between two reports.

Comes in: names and numbers. Goes out: pairs for `extra=`. The three functions are public; the other
modules are for this package alone.
"""

from logplex_handler.metrics.metric_pairs import count, measure, sample

__all__ = ["count", "measure", "sample"]
