"""Look-ups: asking the application for the URL of a stream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from logplex_handler._process.checks import function
from logplex_handler._transport.answer import within_bounds
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import one_line
from logplex_handler.errors import ConfigurationError, LookupFailed

# The most characters that are shown of an application's message.
_MAX_PROBLEM = 200


class StreamSource(Protocol):
    """Knows the URLs of streams.

    It may also have `refresh(stream, refused)`, which is called when a receiver has refused the
    URL that was returned last. It returns the URL that is valid now, or None if the stream has
    ended. Without it, `url_for` is called again.
    """

    def url_for(self, stream: Any, /) -> str | Destination | None:
        """Return the URL of a stream; return None or raise KeyError if there is no such stream."""


# An application's keys may be of any hashable type, which its functions name; hence `Any`.
Streams = Mapping[Any, str | Destination] | Callable[[Any], str | Destination | None] | StreamSource


@dataclass(repr=False, eq=False)
class Resolved:
    """The result of a look-up. It holds a token, so it has no repr.

    Attributes:
        given: The application's answer, which `refresh` gets when it is refused.
        destination: The answer, parsed.
    """

    given: str | Destination
    destination: Destination


class Resolver:
    """The application's `streams`, in any of its forms. Its methods call the application.

    So they may block.

    Args:
        check: Called with each destination; raises a ConfigurationError if it cannot be used.
    """

    def __init__(
        self, streams: Streams, *, allow_http: bool, check: Callable[[Destination], object]
    ) -> None:
        url_for = getattr(streams, "url_for", None)
        self._refresh = getattr(streams, "refresh", None) if callable(url_for) else None
        if callable(url_for):
            self._url_for = function("streams: its url_for", url_for)
        elif isinstance(streams, Mapping):
            self._url_for = streams.__getitem__
        elif callable(streams):
            self._url_for = function("streams", streams)
        else:
            raise ConfigurationError(
                "streams: must be a mapping, a callable or an object with url_for"
            )
        if self._refresh is not None:
            function("streams: its refresh", self._refresh)
        self._allow_http = allow_http
        self._check = check

    def look_up(self, stream: Hashable) -> Resolved | None:
        """Look up a stream; return None if there is no such stream. Raises only LookupFailed."""
        return self._call(self._url_for, stream, none_for=KeyError)

    def look_up_again(self, stream: Hashable, refused: str | Destination) -> Resolved | None:
        """Look up again a stream whose URL was refused; return None if it has ended."""
        if self._refresh is None:
            return self.look_up(stream)
        return self._call(self._refresh, stream, refused)

    def _call(
        self,
        function: Callable[..., object],
        *arguments: object,
        none_for: type[Exception] | tuple[()] = (),
    ) -> Resolved | None:
        problem, retry_after = "", None
        try:
            given = function(*arguments)
        except none_for:
            return None
        except BaseException as error:
            # The application's error is not chained: its text and its frames may hold the URL.
            problem, retry_after = _described(error)
        else:
            if given is None:
                return None
            try:
                return Resolved(given, self._parse(given))  # type: ignore[arg-type]
            except ConfigurationError as error:
                problem = str(error)
            except Exception as error:
                problem = f"what it gave cannot be used ({type(error).__name__})"
        raise LookupFailed(problem, retry_after=retry_after)

    def _parse(self, given: object) -> Destination:
        if isinstance(given, Destination):
            # It may not come from `from_url`, so it is checked.
            destination = given.checked(allow_http=self._allow_http)
        else:
            destination = Destination.from_url(
                given,  # type: ignore[arg-type]  # `from_url` checks it
                allow_http=self._allow_http,
                option="what it gave",
            )
        self._check(destination)
        return destination


def _described(error: BaseException) -> tuple[str, float | None]:
    """Return the part of an application's error that may be shown, and its `retry_after`."""
    if isinstance(error, LookupFailed):
        # Its arguments may be of any type, so its `str()` may fail.
        with contextlib.suppress(Exception):
            return one_line(str(error))[:_MAX_PROBLEM], within_bounds(error.retry_after)
    return type(error).__name__, None
