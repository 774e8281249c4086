"""The options of every request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from logplex_handler._transport.session import SessionFactory
from logplex_handler._transport.transport import TransportOptions
from logplex_handler._version import __version__
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler._checks import flag, function, seconds

_OWN_NAME = f"logplex_handler/{__version__}"
# In lower case, the headers that the handler itself sets for every request.
_OWN_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "logplex-frame-id",
        "logplex-msg-count",
        "transfer-encoding",
        "user-agent",
    }
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*")


class TransportArguments(TypedDict):
    """The arguments of a handler that concern requests."""

    user_agent: str | None
    headers: Mapping[str, str] | None
    timeout: float
    compress: bool
    session_factory: SessionFactory | None


def transport_options(given: TransportArguments, environ: Mapping[str, str]) -> TransportOptions:
    """The options of every request."""
    return TransportOptions(
        headers=_headers(given, environ),
        timeout=seconds("timeout", given["timeout"]),
        compress=flag("compress", given["compress"]),
        session_factory=function("session_factory", given["session_factory"]),
    )


def _headers(given: TransportArguments, environ: Mapping[str, str]) -> dict[str, str]:
    user_agent = given["user_agent"] or environ.get("LOGPLEX_USER_AGENT") or ""
    if user_agent and not _is_header_value(user_agent):
        raise ConfigurationError("user_agent: must be one line of printable ASCII")
    extra = given["headers"] if given["headers"] is not None else {}
    if not isinstance(extra, Mapping):
        raise ConfigurationError("headers: must be a mapping of names to values")
    for name, value in extra.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("headers: holds a name that is no name of an HTTP header")
        if name.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"headers: {name} is set by the handler")
        if not _is_header_value(value):
            raise ConfigurationError(
                f"headers: the value of {name} must be one line of printable ASCII"
            )
    return {**extra, "User-Agent": f"{user_agent} {_OWN_NAME}".strip()}


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None
