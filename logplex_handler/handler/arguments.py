"""The arguments of a handler by name, and checks that return one or raise an error naming it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict, TypeVar

from logplex_handler.errors import ConfigurationError

if TYPE_CHECKING:
    from logplex_handler._buffer.bounded_queue import OnFull
    from logplex_handler._sender.drop_reports import OnDrop
    from logplex_handler._transport.session import SessionFactory
    from logplex_handler.streams.resolver import Streams

# Longer waits than a day serve no purpose, and the operating system cannot do some of them.
_MAX_SECONDS = 86_400

Function = TypeVar("Function", bound=Callable[..., object])


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


def whole_number(
    given: Mapping[str, object], option: str, least: int, most: int | None = None
) -> int:
    value = given[option]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{option}: must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limits = f"at least {least:,}" if most is None else f"from {least:,} to {most:,}"
        raise ConfigurationError(f"{option}: must be {limits}, not {_shown(value)}")
    return value


def seconds(given: Mapping[str, object], option: str, *, may_be_zero: bool = False) -> float:
    value = given[option]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{option}: must be a number, not {type(value).__name__}")
    if not (0 <= value <= _MAX_SECONDS) or (value == 0 and not may_be_zero):
        least = "from 0" if may_be_zero else "more than 0"
        raise ConfigurationError(
            f"{option}: must be {least} to {_MAX_SECONDS:,} seconds, not {_shown(value)}"
        )
    return float(value)


def _shown(value: float) -> str:
    return f"{value:,}" if abs(value) < 1e15 else "that"


def flag(given: Mapping[str, object], option: str) -> bool:
    value = given[option]
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option}: must be True or False, not {type(value).__name__}")
    return value


def function(option: str, value: Function | None) -> Function | None:
    if value is not None and not callable(value):
        raise ConfigurationError(f"{option}: must be callable, not {type(value).__name__}")
    return value
