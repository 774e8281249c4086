"""What people write becomes what the package works with: arguments and environment, checked.

A pure function of both. An argument comes before the environment, and an empty text is the same as
none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging.handlers import SysLogHandler
from pathlib import PurePath
from typing import Any, get_args

from logplex_handler._buffer.limits import BufferLimits, OnFull
from logplex_handler._formatting.formatter import checked_source
from logplex_handler._sender.drop_notices import OnDrop
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._spool import owner_locks
from logplex_handler._spool.store import SpoolOptions
from logplex_handler._transport.transport import TransportOptions
from logplex_handler._version import __version__
from logplex_handler._wire import packet
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.streams.resolver import Resolver

# Logplex answers a body over 8,000,000 bytes with an error or a reset connection.
MAX_BATCH_BYTES = 8_000_000
# Bytes: a few chunks, and SQLite's own pages.
_LEAST_SPOOL = 64 * 1024
# Each may be a thread or two.
_MAX_WORKERS = 64

_OWN_NAME = f"logplex_handler/{__version__}"
# Set for every request, so not to be given: in lower case.
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
# What l2met takes for lines of Heroku's own.
_RESERVED_PROCIDS = frozenset({"router", "logplex"})


@dataclass(frozen=True, repr=False)
class Options:
    """All that a handler needs to know, checked. It may hold a token, so it has no repr.

    Attributes:
        destination: Where the handler's own stream goes; None makes the handler inactive.
        source: The environment's `source=` for the formatter that is used if none is set.
        shutdown_timeout: Seconds that flushing and closing may take together.
        on_drop: Called with the number and cause of drops.
        lookup: Where the application's streams go; None if there are none.
        workers: Requests at a time, where there are several streams.
        token_as_appname: Whether each stream's token is its packets' appname.
        health_interval: Seconds between two lines on the handler's own health; None for none.
        spool: Where undelivered batches are kept; None if only in memory.
    """

    destination: Destination | None
    packet: PacketForm
    accumulator: BufferLimits
    sender: SenderOptions
    transport: TransportOptions
    source: str | None
    shutdown_timeout: float
    on_drop: OnDrop | None
    lookup: Resolver | None
    workers: int
    token_as_appname: bool
    health_interval: float | None
    spool: SpoolOptions | None


def resolve(
    given: Mapping[str, Any], environ: Mapping[str, str], *, machine: str, program: str
) -> Options:
    """The options of a handler.

    Args:
        given: The arguments of `LogplexHandler` by name; None where one was not given.
        environ: The process's environment.
        machine: The machine's name.
        program: The path of the program, as in `sys.argv[0]`.

    Raises:
        ConfigurationError: (a ValueError) names the option, and shows no URL, token or header.
    """
    # What a handler itself would say of it names neither option nor kind.
    if isinstance(given["level"], bool) or not isinstance(given["level"], int | str):
        raise ConfigurationError("level: must be a number or the name of a level")
    destination = _destination(given, environ)
    max_packet_bytes = _whole(
        given, "max_packet_bytes", packet.MIN_PACKET_BYTES, packet.MAX_PACKET_BYTES
    )
    max_batch_bytes = _whole(given, "max_batch_bytes", max_packet_bytes + 8, MAX_BATCH_BYTES)
    shutdown_timeout = _seconds(given, "shutdown_timeout", may_be_zero=True)
    on_full = given["on_full"]
    if on_full not in get_args(OnFull):
        raise ConfigurationError("on_full: must be 'drop_oldest', 'drop_newest' or 'block'")
    max_buffer_bytes = _whole(given, "max_buffer_bytes", max_packet_bytes)
    source = environ.get("LOGPLEX_SOURCE") or None
    spool = _spool(given, environ)
    return Options(
        destination=destination,
        packet=_packet_form(
            given, environ, destination, max_packet_bytes, machine=machine, program=program
        ),
        accumulator=BufferLimits(
            max_bytes=max_buffer_bytes,
            on_full=on_full,
            batch_frames=_whole(given, "batch_size", 1),
            # A small accumulator is emptied before it is full.
            batch_bytes=min(max_batch_bytes, max_buffer_bytes // 2),
            has_disk=spool is not None,
        ),
        sender=SenderOptions(
            flush_interval=_seconds(given, "flush_interval", may_be_zero=True),
            max_batch_bytes=max_batch_bytes,
        ),
        transport=TransportOptions(
            headers=_headers(given, environ),
            timeout=_seconds(given, "timeout"),
            compress=_flag(given, "compress"),
            session_factory=_callable(given, "session_factory"),
        ),
        source=source and checked_source("LOGPLEX_SOURCE", source),
        shutdown_timeout=shutdown_timeout,
        on_drop=_callable(given, "on_drop"),
        lookup=_lookup(given),
        workers=_whole(given, "workers", 1, _MAX_WORKERS),
        token_as_appname=given["token_as_appname"],
        health_interval=(
            None if given["health_interval"] is None else _seconds(given, "health_interval")
        ),
        spool=spool,
    )


def _spool(given: Mapping[str, Any], environ: Mapping[str, str]) -> SpoolOptions | None:
    max_bytes = _whole(given, "max_spool_bytes", _LEAST_SPOOL)
    interval = _seconds(given, "spool_interval")
    path = given["spool"] or environ.get("LOGPLEX_SPOOL")
    if not path:
        return None
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"spool: must be a path, not {type(path).__name__}")
    path = os.fspath(path)
    if not isinstance(path, str) or "\0" in path:
        raise ConfigurationError("spool: must be a path without a NUL character")
    if os.path.basename(path) in ("", ".", "..") or path == ":memory:":
        raise ConfigurationError("spool: must be the path of a file")
    if not owner_locks.are_possible():
        raise ConfigurationError("spool: this system has no POSIX record locks (fcntl)")
    return SpoolOptions(path, max_bytes, interval)


def _lookup(given: Mapping[str, Any]) -> Resolver | None:
    streams = given["streams"]
    if streams is None:
        return None
    check = _token_as_appname if given["token_as_appname"] else _any_will_do
    return Resolver(streams, allow_http=given["allow_http"], check=check)


def _any_will_do(destination: Destination) -> None:
    """It was checked already."""


def _destination(given: Mapping[str, Any], environ: Mapping[str, str]) -> Destination | None:
    allow_http = _flag(given, "allow_http")
    required = _flag(given, "required")
    if given["url"] is not None and not isinstance(given["url"], str):
        raise ConfigurationError("url: must be a string")
    option = "url" if given["url"] else "LOGPLEX_URL"
    if url := given["url"] or environ.get("LOGPLEX_URL", "").strip():
        token = environ.get("LOGPLEX_TOKEN", "").strip() or None
        return Destination.from_url(url, token=token, allow_http=allow_http, option=option)
    if required and given["streams"] is None:
        raise ConfigurationError("url: required, but neither url nor LOGPLEX_URL is set")
    return None


def _packet_form(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    destination: Destination | None,
    max_packet_bytes: int,
    *,
    machine: str,
    program: str,
) -> PacketForm:
    hostname = _field(given, environ, "hostname", packet.MAX_HOSTNAME)
    if hostname is None:
        default = environ.get("HEROKU_APP_ID") or machine
        hostname = packet.field(default, packet.MAX_HOSTNAME) or "localhost"
    if _flag(given, "token_as_appname"):
        if given["appname"]:
            raise ConfigurationError("appname: cannot be given together with token_as_appname")
        appname = _token_as_appname(destination) if destination is not None else "app"
    else:
        appname = _field(given, environ, "appname", packet.MAX_APPNAME) or "app"
    procid = _field(given, environ, "procid", packet.MAX_PROCID)
    if procid is None:
        default = environ.get("DYNO") or _program_name(program)
        procid = packet.field(default, packet.MAX_PROCID, dashes=False).strip(".")
        if not procid or procid in _RESERVED_PROCIDS:
            procid = "python"
    elif procid in _RESERVED_PROCIDS:
        raise ConfigurationError("procid: 'router' and 'logplex' stand for Heroku's own lines")
    facility = given["facility"]
    if not isinstance(facility, str) or facility not in SysLogHandler.facility_names:
        raise ConfigurationError(
            "facility: must be one of " + ", ".join(SysLogHandler.facility_names)
        )
    return PacketForm(
        hostname=hostname,
        appname=appname,
        procid=procid,
        facility=SysLogHandler.facility_names[facility],
        structured_data=_flag(given, "structured_data"),
        max_packet_bytes=max_packet_bytes,
    )


def _field(
    given: Mapping[str, Any], environ: Mapping[str, str], option: str, longest: int
) -> str | None:
    """A header field as given or in the environment, made safe; None if there is none."""
    text = given[option] or environ.get(f"LOGPLEX_{option.upper()}")
    if not text:
        return None
    if not isinstance(text, str):
        raise ConfigurationError(f"{option}: must be a string")
    field = packet.field(text, longest)
    if not field:
        raise ConfigurationError(f"{option}: holds no letter or digit (a-z, 0-9)")
    return field


def _token_as_appname(destination: Destination) -> str:
    token = destination.token
    if len(token) > packet.MAX_APPNAME or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigurationError(
            "token_as_appname: the token is not 1 to "
            f"{packet.MAX_APPNAME} printable ASCII characters without spaces"
        )
    return token


def _program_name(program: str) -> str:
    """`shop` for `/srv/shop.py`, and for `/srv/shop/__main__.py`; empty where there is no file."""
    if program.startswith("-"):
        return ""
    path = PurePath(program)
    return path.parent.name if path.name == "__main__.py" else path.name.removesuffix(".py")


def _headers(given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
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


def _whole(given: Mapping[str, Any], option: str, least: int, most: int | None = None) -> int:
    value = given[option]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{option}: must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limits = f"at least {least:,}" if most is None else f"from {least:,} to {most:,}"
        raise ConfigurationError(f"{option}: must be {limits}, not {_shown(value)}")
    return value


def _seconds(given: Mapping[str, Any], option: str, *, may_be_zero: bool = False) -> float:
    value = given[option]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{option}: must be a number, not {type(value).__name__}")
    # Longer waits than this are no waits, and the operating system cannot do some of them.
    if not (0 <= value <= 86_400) or (value == 0 and not may_be_zero):
        least = "from 0" if may_be_zero else "more than 0"
        raise ConfigurationError(
            f"{option}: must be {least} to 86,400 seconds, not {_shown(value)}"
        )
    return float(value)


def _shown(value: float) -> str:
    return f"{value:,}" if abs(value) < 1e15 else "that"


def _flag(given: Mapping[str, Any], option: str) -> bool:
    value = given[option]
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option}: must be True or False, not {type(value).__name__}")
    return value


def _callable(given: Mapping[str, Any], option: str) -> Callable[..., Any] | None:
    value: Callable[..., Any] | None = given[option]
    if value is not None and not callable(value):
        raise ConfigurationError(f"{option}: must be callable, not {type(value).__name__}")
    return value
