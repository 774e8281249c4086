"""Asking the application where a stream goes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from logplex_handler._transport.answer import within_bounds
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import one_line
from logplex_handler.errors import ConfigurationError, LookupFailed

# Characters of an application's own words that are shown.
_MAX_PROBLEM = 200


class StreamSource(Protocol):
    """What knows where streams go.

    It may also have `refresh(stream, rejected)`, called when a receiver has refused the URL that it
    gave last: it returns the URL that is good now, or None if the stream has ended. Without it,
    `url_for` is asked again.
    """

    def url_for(self, stream: Any, /) -> str | Destination | None:
        """The URL of a stream; None or a KeyError if there is no such stream."""


Streams = Mapping[Any, str | Destination] | Callable[[Any], str | Destination | None] | StreamSource


@dataclass(frozen=True, repr=False, slots=True)
class Resolved:
    """What a look-up has brought. It holds a token, so it has no repr.

    Attributes:
        given: What the application gave, to be shown to it again when it is refused.
        destination: What that means.
    """

    given: str | Destination
    destination: Destination


class Resolver:
    """The application's `streams`, whatever its form. Asks, and so may take any time.

    Args:
        streams: A mapping, a callable, or an object with `url_for`.
        allow_http: Whether `http://` may go beyond this machine.
        check: Called with a destination; raises a ConfigurationError if it cannot be used.
    """

    def __init__(
        self, streams: Streams, *, allow_http: bool, check: Callable[[Destination], object]
    ) -> None:
        url_for = getattr(streams, "url_for", None)
        self._refresh = getattr(streams, "refresh", None) if callable(url_for) else None
        if callable(url_for):
            self._url_for = url_for
        elif isinstance(streams, Mapping):
            self._url_for = streams.__getitem__
        elif callable(streams):
            self._url_for = streams
        else:
            raise ConfigurationError(
                "streams: must be a mapping, a callable or an object with url_for"
            )
        if self._refresh is not None and not callable(self._refresh):
            raise ConfigurationError("streams: its refresh must be callable")
        self._allow_http = allow_http
        self._check = check

    def find(self, stream: Hashable) -> Resolved | None:
        """Where a stream goes; None if there is no such stream.

        Raises:
            LookupFailed: The application's part has failed, or given what is no URL.
        """
        return self._asked(self._url_for, stream, none_for=KeyError)

    def find_again(self, stream: Hashable, rejected: str | Destination) -> Resolved | None:
        """Where a stream goes whose URL was refused; None if it has ended.

        Raises:
            LookupFailed: as for `find`.
        """
        if self._refresh is None:
            return self.find(stream)
        return self._asked(self._refresh, stream, rejected)

    def _asked(
        self,
        ask: Callable[..., object],
        *arguments: object,
        none_for: type[Exception] | tuple[()] = (),
    ) -> Resolved | None:
        problem = ""
        retry_after = None
        try:
            given = ask(*arguments)
        except none_for:
            return None
        except BaseException as error:
            # It is the application's, and its text and its frames may hold the URL.
            problem, retry_after = _told_by(error)
        else:
            if given is None:
                return None
            try:
                return Resolved(given, self._checked(given))  # type: ignore[arg-type]
            except ConfigurationError as error:
                problem = str(error)
            except Exception as error:
                problem = f"what it gave cannot be used ({type(error).__name__})"
        raise LookupFailed(problem, retry_after=retry_after)

    def _checked(self, given: object) -> Destination:
        if isinstance(given, Destination):
            # It may have been made by hand, and be of any kind.
            destination = given.checked(allow_http=self._allow_http)
        else:
            destination = Destination.from_url(
                given,  # type: ignore[arg-type]  # it is checked there
                allow_http=self._allow_http,
                option="what it gave",
            )
        self._check(destination)
        return destination


def _told_by(error: BaseException) -> tuple[str, float | None]:
    """What an error of the application's says that can be shown, and when to ask again."""
    if isinstance(error, LookupFailed):
        with contextlib.suppress(Exception):
            asked: Any = error.retry_after
            return one_line(str(error))[:_MAX_PROBLEM], within_bounds(asked)
    return type(error).__name__, None
