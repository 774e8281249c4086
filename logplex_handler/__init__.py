"""A logging handler that delivers what a program logs to a Heroku app's log stream."""

from logplex_handler._together import flush_all
from logplex_handler.errors import ConfigurationError, LogplexError
from logplex_handler.formatter import KeyValueFormatter
from logplex_handler.handler import LogplexHandler
from logplex_handler.metrics import count, measure, sample
from logplex_handler.sigterm import flush_on_sigterm
from logplex_handler.stats import Stats

__all__ = [
    "ConfigurationError",
    "KeyValueFormatter",
    "LogplexError",
    "LogplexHandler",
    "Stats",
    "count",
    "flush_all",
    "flush_on_sigterm",
    "measure",
    "sample",
]
