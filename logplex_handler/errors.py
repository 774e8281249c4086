"""The errors of this package that an application may catch."""

from __future__ import annotations

__all__ = ["ConfigurationError", "LogplexError", "LookupFailed"]


class LogplexError(Exception):
    """The base class of every error that this package defines."""


class ConfigurationError(LogplexError, ValueError):
    """An option cannot be used as given. The text names the option and the problem.

    The text never shows a URL, a token or the value of a header. The error is raised when a handler
    is created, never when records are logged.
    """


class LookupFailed(LogplexError):
    """The destination of a stream is not known at the moment; the stream waits meanwhile.

    Raise it from `url_for` or `refresh` to give a reason, or a time for the next look-up. Any other
    error has the same effect, but its text is not shown.

    Args:
        problem: The reason. It appears on stderr and in `set_aside`, so it must contain neither a
            URL nor a token.
        retry_after: Seconds to wait before the next look-up. Default: longer each time, from half a
            second to ten minutes.
    """

    def __init__(self, problem: str, *, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
