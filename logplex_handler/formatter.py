"""The formatter that `LogplexHandler` uses by default."""

from logplex_handler._formatting.formatter import KeyValueFormatter

__all__ = ["KeyValueFormatter"]
