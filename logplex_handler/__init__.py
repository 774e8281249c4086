"""A logging handler that delivers a program's log records to a Heroku app's log stream."""

from typing import TYPE_CHECKING

from logplex_handler._process.lazy import lazy

if TYPE_CHECKING:
    from logplex_handler._formatting.formatter import KeyValueFormatter
    from logplex_handler._wire.destination import Destination
    from logplex_handler.errors import ConfigurationError, LogplexError, LookupFailed
    from logplex_handler.handler import LogplexHandler
    from logplex_handler.handler.diagnosis import Obstacle, diagnose
    from logplex_handler.handler.shutdown import flush_all
    from logplex_handler.handler.uncaught import log_uncaught_exceptions
    from logplex_handler.metrics import Metrics, count, measure, sample
    from logplex_handler.sigterm import flush_on_sigterm
    from logplex_handler.stats import SetAside, Stats
    from logplex_handler.streams.current import use_stream
else:
    # The same names, and the modules that `import logplex_handler` has always made available.
    _HOMES = {
        "ConfigurationError": "errors",
        "Destination": "_wire.destination",
        "KeyValueFormatter": "_formatting.formatter",
        "LogplexError": "errors",
        "LogplexHandler": "handler",
        "LookupFailed": "errors",
        "Metrics": "metrics",
        "Obstacle": "handler.diagnosis",
        "SetAside": "stats",
        "Stats": "stats",
        "count": "metrics.metric_pairs",
        "diagnose": "handler.diagnosis",
        "errors": "errors",
        "flush_all": "handler.shutdown",
        "flush_on_sigterm": "sigterm",
        "handler": "handler",
        "log_uncaught_exceptions": "handler.uncaught",
        "measure": "metrics.metric_pairs",
        "metrics": "metrics",
        "sample": "metrics.metric_pairs",
        "sigterm": "sigterm",
        "stats": "stats",
        "streams": "streams",
        "use_stream": "streams.current",
    }
    __getattr__ = lazy(__name__, _HOMES)

    def __dir__():
        return sorted({*globals(), *_HOMES})


__all__ = [
    "ConfigurationError",
    "Destination",
    "KeyValueFormatter",
    "LogplexError",
    "LogplexHandler",
    "LookupFailed",
    "Metrics",
    "Obstacle",
    "SetAside",
    "Stats",
    "count",
    "diagnose",
    "flush_all",
    "flush_on_sigterm",
    "log_uncaught_exceptions",
    "measure",
    "sample",
    "use_stream",
]
