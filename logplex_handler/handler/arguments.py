"""The arguments of a handler by name, and the checks that no other options need."""

from __future__ import annotations

import logging
import operator
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, SupportsIndex, TypedDict

from logplex_handler.errors import ConfigurationError

if TYPE_CHECKING:
    from logplex_handler._buffer.bounded_queue import OnFull
    from logplex_handler._sender.drop_reports import OnDrop
    from logplex_handler._transport.session import SessionFactory
    from logplex_handler.streams.resolver import Streams

# The headers that the handler itself sets for every request, in lower case.
_OWN_HEADERS = (
    "authorization", "connection", "content-encoding", "content-length", "content-type", "expect",
    "host", "logplex-frame-id", "logplex-msg-count", "transfer-encoding", "user-agent",
)  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*")


class Arguments(TypedDict):
    """The arguments of `LogplexHandler`. Configuration files may hold any value."""

    url: str | None
    level: int | str
    hostname: str | None
    appname: str | None
    procid: str | None
    facility: str
    token_as_appname: bool
    structured_data: bool
    user_agent: str | None
    headers: Mapping[str, str] | None
    timeout: float
    compress: bool
    session_factory: SessionFactory | None
    allow_http: bool
    batch_size: int
    max_batch_bytes: int
    flush_interval: float
    max_buffer_bytes: int
    max_packet_bytes: int
    on_full: OnFull
    shutdown_timeout: float
    required: bool
    on_drop: OnDrop | None
    streams: Streams | None
    workers: int
    health_interval: float | None
    spool: str | os.PathLike[str] | None
    max_spool_bytes: int
    spool_interval: float
    relay: str | Sequence[str] | None


def logger_of(given: logging.Logger | str | None) -> logging.Logger:
    """Return the logger itself, or the one with this name; the root logger for None."""
    if isinstance(given, logging.Logger):
        return given
    if not isinstance(given, str | None):
        raise ConfigurationError("logger: must be a logger or its name")
    return logging.getLogger(given)


def level(given: object) -> int:
    """Return the number of a level, which may be given by its name."""
    number = logging.getLevelName(str.__str__(given)) if isinstance(given, str) else given
    if isinstance(number, bool) or not isinstance(number, SupportsIndex):
        raise ConfigurationError("level: is not a level that logging knows")
    return int(operator.index(number))


def level_above_zero(given: object) -> int:
    number = level(given)
    if number <= 0:
        raise ConfigurationError("level: must be above 0 (NOTSET), as `logging` ignores the others")
    return number


def is_header_value(value: object) -> bool:
    """Return whether the value can be that of an HTTP header."""
    return isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None


def headers(given: Arguments) -> dict[str, str]:
    """Return the additional headers.

    Each value is looked up, because `logging.config` converts `ext://` and `cfg://` only then.
    """
    extra = given["headers"]
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise ConfigurationError("headers: must be a mapping of names to values")
    found: dict[str, str] = {}
    problem = ""
    try:
        found = {name: extra[name] for name in extra}
    except Exception as error:
        problem = f"cannot be read: {type(error).__name__}"
        traceback.clear_frames(error.__traceback__)
    for name, value in found.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            problem = "holds a name that is no name of an HTTP header"
        elif name.lower() in _OWN_HEADERS:
            problem = f"{name} is set by the handler"
        elif not is_header_value(value):
            problem = f"the value of {name} must be one line of printable ASCII"
    if problem:
        raise ConfigurationError(f"headers: {problem}")
    return {str.__str__(name): str.__str__(value) for name, value in found.items()}
