"""The options that say where records go: to the handler's own URL and to the streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler._checks import flag
from logplex_handler.handler._packet_options import checked_token
from logplex_handler.streams.resolver import Resolver, Streams


class StreamArguments(TypedDict):
    """The arguments of a handler that say where records go."""

    url: str | None
    allow_http: bool
    required: bool
    streams: Streams | None


def own_destination(given: StreamArguments, environ: Mapping[str, str]) -> Destination | None:
    """The destination of records that name no stream; None without a URL."""
    allow_http = flag("allow_http", given["allow_http"])
    required = flag("required", given["required"])
    if given["url"] is not None and not isinstance(given["url"], str):
        raise ConfigurationError("url: must be a string")
    option = "url" if given["url"] else "LOGPLEX_URL"
    if url := given["url"] or environ.get("LOGPLEX_URL", "").strip():
        token = environ.get("LOGPLEX_TOKEN", "").strip() or None
        return Destination.from_url(url, token=token, allow_http=allow_http, option=option)
    if required and given["streams"] is None:
        raise ConfigurationError("url: required, but neither url nor LOGPLEX_URL is set")
    return None


def resolver(given: StreamArguments, *, token_as_appname: bool) -> Resolver | None:
    """What looks up the destinations of the other streams; None if there are none."""
    if given["streams"] is None:
        return None
    check = checked_token if token_as_appname else _accept
    return Resolver(given["streams"], allow_http=given["allow_http"], check=check)


def _accept(destination: Destination) -> None:
    """Any destination will do."""
