"""`Metrics` and `Meter`, which are defined in `logplex_handler.metrics`."""

from logplex_handler.metrics import Meter, Metrics

__all__ = ["Meter", "Metrics"]
