"""The errors that people may want to catch by name."""

from __future__ import annotations

__all__ = ["ConfigurationError", "LogplexError"]


class LogplexError(Exception):
    """The base of every error that this package defines."""


class ConfigurationError(LogplexError, ValueError):
    """An option cannot be used as given: the text names the option and what is wrong with it.

    The text never shows a URL, a token or the value of a header. It is raised when a handler is
    made, never while records are logged.
    """
