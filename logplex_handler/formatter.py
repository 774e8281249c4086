"""The formatter whose lines `LogplexHandler` writes unless it is given another one."""

from logplex_handler._formatting.formatter import KeyValueFormatter

__all__ = ["KeyValueFormatter"]
