"""The errors that people may want to catch by name."""

from __future__ import annotations

__all__ = ["ConfigurationError", "LogplexError", "LookupFailed"]


class LogplexError(Exception):
    """The base of every error that this package defines."""


class ConfigurationError(LogplexError, ValueError):
    """An option cannot be used as given: the text names the option and what is wrong with it.

    The text never shows a URL, a token or the value of a header. It is raised when a handler is
    made, never while records are logged.
    """


class LookupFailed(LogplexError):
    """Where a stream goes cannot be told now, and may be asked again: the stream waits meanwhile.

    Raise it from `url_for` or `refresh` to say why, or when. Any other error means the same, but
    its text is not shown.

    Args:
        problem: What was the matter. It is shown on stderr and by `set_aside`, so it holds no URL
            and no token.
        retry_after: Seconds before which not to ask again. Default: longer each time, from half a
            second to ten minutes.
    """

    def __init__(self, problem: str, *, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
