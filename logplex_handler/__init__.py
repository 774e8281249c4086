"""A logging handler that delivers a program's log records to a Heroku app's log stream."""

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
