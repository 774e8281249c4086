"""Makes the options that the package works with from arguments and environment variables.

An argument takes precedence over the environment, and an empty text counts as not given.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, get_args

from logplex_handler._buffer.bounded_queue import BufferLimits, OnFull
from logplex_handler._process.checks import flag, optional_function, seconds, text, whole_number
from logplex_handler._process.version import __version__
from logplex_handler._sender.drop_reports import OnDrop
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._transport.transport import TransportOptions
from logplex_handler._wire import packet
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.arguments import Arguments, headers, is_header_value, level
from logplex_handler.metrics.metric_pairs import checked_source
from logplex_handler.streams.resolver import Resolver

if TYPE_CHECKING:
    from logplex_handler._spool.spool import SpoolOptions
    from logplex_handler.handler.relay_options import RelayOptions

# Bytes before a packet in its frame: its length and a space.
_FRAME_OVERHEAD = 8
# The most workers, each of which may be a thread or two.
_MAX_WORKERS = 64
# The number of the default facility.
_LOCAL7 = 23
# l2met takes lines with these procids for Heroku's own lines.
_RESERVED_PROCIDS = frozenset({"router", "logplex"})
# The smallest spool, in bytes: a few chunks and SQLite's own pages.
_MIN_SPOOL_BYTES = 64 * 1024

_OWN_NAME = f"logplex_handler/{__version__}"


@dataclass(frozen=True, repr=False)
class Options:
    """The options of a handler, checked. They may hold a token, so there is no repr.

    Attributes:
        destination: Where the handler's own stream goes; None without a URL.
        source: The environment's `source=` for the formatter that is used if none is set.
        lookup: Looks up the application's streams; None if there are none.
        spool: The options of the spool; None if batches are kept only in memory.
        relay: Where the batches of streams go; None if they go to receivers.
    """

    level: int
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
    relay: RelayOptions | None = None

    @property
    def is_active(self) -> bool:
        return any(way is not None for way in (self.destination, self.lookup, self.relay))

    @property
    def has_streams(self) -> bool:
        return self.lookup is not None or self.relay is not None


def resolve(given: Arguments, environ: Mapping[str, str], *, machine: str, program: str) -> Options:
    """Return the options of a handler on a machine, in a program with this path.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used. The text names the option, and
            shows no URL, token or header.
    """
    destination = _own_destination(given, environ)
    form = _packet_form(given, environ, destination, machine=machine, program=program)
    min_batch_bytes = form.max_packet_bytes + _FRAME_OVERHEAD
    max_batch_bytes = whole_number(
        "max_batch_bytes", given["max_batch_bytes"], min_batch_bytes, packet.MAX_BODY_BYTES
    )
    timeout = seconds("timeout", given["timeout"])
    relay = None
    if given["relay"] or environ.get("LOGPLEX_RELAY"):
        # Imported here, because it is not needed without a relay.
        from logplex_handler.handler.relay_options import relay_options

        relay = relay_options(given["relay"], environ, timeout=timeout)
    streams = given["streams"] if relay is None else None
    spool = _spool(given, environ)
    source = environ.get("LOGPLEX_SOURCE") or None
    return Options(
        level=level(given["level"]),
        destination=destination,
        packet=form,
        accumulator=_limits(given, form, max_batch_bytes, has_disk=spool is not None),
        sender=SenderOptions(
            flush_interval=seconds("flush_interval", given["flush_interval"], may_be_zero=True),
            max_batch_bytes=max_batch_bytes,
        ),
        transport=TransportOptions(
            headers=headers(given) | {"User-Agent": _user_agent(given["user_agent"], environ)},
            timeout=seconds("timeout", given["timeout"]),
            compress=flag("compress", given["compress"]),
            session_factory=optional_function("session_factory", given["session_factory"]),
        ),
        source=source and checked_source("LOGPLEX_SOURCE", source),
        shutdown_timeout=seconds("shutdown_timeout", given["shutdown_timeout"], may_be_zero=True),
        on_drop=optional_function("on_drop", given["on_drop"]),
        lookup=None
        if streams is None
        else Resolver(
            streams,
            allow_http=given["allow_http"],
            check=_checked_token if given["token_as_appname"] else lambda _: None,
        ),
        workers=whole_number("workers", given["workers"], 1, _MAX_WORKERS),
        token_as_appname=given["token_as_appname"],
        health_interval=(
            None
            if given["health_interval"] is None
            else seconds("health_interval", given["health_interval"])
        ),
        spool=spool,
        relay=relay,
    )


def resolve_for_process(given: Arguments, environ: Mapping[str, str] | None = None) -> Options:
    program = str(sys.argv[0]) if sys.argv else ""
    return resolve(
        given,
        os.environ if environ is None else environ,
        machine=socket.gethostname(),
        program=program,
    )


def _limits(
    given: Arguments, form: PacketForm, max_batch_bytes: int, *, has_disk: bool
) -> BufferLimits:
    on_full = given["on_full"]
    if on_full not in get_args(OnFull):
        raise ConfigurationError("on_full: must be 'drop_oldest', 'drop_newest' or 'block'")
    max_bytes = whole_number("max_buffer_bytes", given["max_buffer_bytes"], form.max_packet_bytes)
    return BufferLimits(
        max_bytes=max_bytes,
        on_full=on_full,
        batch_frames=whole_number("batch_size", given["batch_size"], 1),
        # Half of the memory, so that a small accumulator is emptied before it is full.
        batch_bytes=min(max_batch_bytes, max_bytes // 2),
        has_disk=has_disk,
    )


def _own_destination(given: Arguments, environ: Mapping[str, str]) -> Destination | None:
    """Return the destination of records that name no stream, or None without a URL."""
    allow_http = flag("allow_http", given["allow_http"])
    required = flag("required", given["required"])
    url = "" if given["url"] is None else text("url", given["url"])
    option = "url" if url else "LOGPLEX_URL"
    if url := url or environ.get("LOGPLEX_URL", "").strip():
        token = environ.get("LOGPLEX_TOKEN", "").strip() or None
        return Destination.from_url(url, token=token, allow_http=allow_http, option=option)
    # A mapping of streams may be empty as yet.
    has_streams = given["streams"] is not None or given["relay"] or environ.get("LOGPLEX_RELAY")
    if required and not has_streams:
        raise ConfigurationError("url: required, but neither url nor LOGPLEX_URL is set")
    return None


def _packet_form(
    given: Arguments,
    environ: Mapping[str, str],
    destination: Destination | None,
    *,
    machine: str,
    program: str,
) -> PacketForm:
    return PacketForm(
        hostname=_hostname(given["hostname"], environ, machine),
        appname=_appname(given, environ, destination),
        procid=_procid(given["procid"], environ, program),
        facility=_facility(given["facility"]),
        structured_data=flag("structured_data", given["structured_data"]),
        max_packet_bytes=whole_number(
            "max_packet_bytes",
            given["max_packet_bytes"],
            packet.MIN_PACKET_BYTES,
            packet.MAX_PACKET_BYTES,
        ),
    )


def _facility(name: object) -> int:
    if name == "local7":
        return _LOCAL7
    # Imported here, because it imports other libraries.
    from logging.handlers import SysLogHandler

    if not isinstance(name, str) or name not in SysLogHandler.facility_names:
        raise ConfigurationError(
            "facility: must be one of " + ", ".join(SysLogHandler.facility_names)
        )
    return SysLogHandler.facility_names[name]


def _checked_token(destination: Destination) -> str:
    """Return the token, if it can be an appname."""
    token = destination.token
    if len(token) > packet.MAX_APPNAME or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigurationError(
            "token_as_appname: the token is not 1 to "
            f"{packet.MAX_APPNAME} printable ASCII characters without spaces"
        )
    return token


def _hostname(given: str | None, environ: Mapping[str, str], machine: str) -> str:
    hostname = _field("hostname", given, environ, packet.MAX_HOSTNAME)
    if hostname is None:
        default = environ.get("HEROKU_APP_ID") or machine
        hostname = packet.field(default, packet.MAX_HOSTNAME) or "localhost"
    return hostname


def _appname(given: Arguments, environ: Mapping[str, str], destination: Destination | None) -> str:
    if not flag("token_as_appname", given["token_as_appname"]):
        return _field("appname", given["appname"], environ, packet.MAX_APPNAME) or "app"
    if given["appname"]:
        raise ConfigurationError("appname: cannot be given together with token_as_appname")
    return _checked_token(destination) if destination is not None else "app"


def _procid(given: str | None, environ: Mapping[str, str], program: str) -> str:
    procid = _field("procid", given, environ, packet.MAX_PROCID)
    if procid in _RESERVED_PROCIDS:
        raise ConfigurationError("procid: 'router' and 'logplex' stand for Heroku's own lines")
    if procid is None:
        default = environ.get("DYNO") or _program_name(program)
        procid = packet.field(default, packet.MAX_PROCID, dashes=False).strip(".")
        if not procid or procid in _RESERVED_PROCIDS:
            procid = "python"
    return procid


def _field(option: str, given: object, environ: Mapping[str, str], longest: int) -> str | None:
    """Return a safe header field from the argument or the environment, or None without either."""
    found = given or environ.get(f"LOGPLEX_{option.upper()}")
    if not found:
        return None
    field = packet.field(text(option, found), longest)
    if not field:
        raise ConfigurationError(f"{option}: holds no letter or digit (a-z, 0-9)")
    return field


def _program_name(program: str) -> str:
    """Return `shop` for `/srv/shop.py` and `/srv/shop/__main__.py`, or empty without a file."""
    if program.startswith("-"):
        return ""
    path = PurePath(program)
    return path.parent.name if path.name == "__main__.py" else path.name.removesuffix(".py")


def _user_agent(given: str | None, environ: Mapping[str, str]) -> str:
    user_agent = given or environ.get("LOGPLEX_USER_AGENT") or ""
    if user_agent and not is_header_value(user_agent):
        raise ConfigurationError("user_agent: must be one line of printable ASCII")
    return f"{str.__str__(user_agent)} {_OWN_NAME}".strip()


def _spool(given: Arguments, environ: Mapping[str, str]) -> SpoolOptions | None:
    max_bytes = whole_number("max_spool_bytes", given["max_spool_bytes"], _MIN_SPOOL_BYTES)
    interval = seconds("spool_interval", given["spool_interval"])
    path: object = given["spool"] or environ.get("LOGPLEX_SPOOL")
    if not path:
        return None
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"spool: must be a path, not {type(path).__name__}")
    try:
        path = os.fspath(path)
    except Exception as error:
        raise ConfigurationError(f"spool: has no path: {type(error).__name__}") from None
    if not isinstance(path, str) or "\0" in path:
        raise ConfigurationError("spool: must be a path without a NUL character")
    if os.path.basename(path) in ("", ".", "..") or path == ":memory:":
        raise ConfigurationError("spool: must be the path of a file")
    try:
        # A forked child opens the same file, wherever its working directory is by then.
        path = os.path.realpath(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "cannot be encoded"
        raise ConfigurationError(f"spool: {why}") from None
    try:
        from logplex_handler._spool import owner_locks
        from logplex_handler._spool.spool import SpoolOptions
    except ImportError as error:
        raise ConfigurationError(f"spool: this Python lacks a module: {error}") from None
    if not owner_locks.are_possible():
        raise ConfigurationError("spool: this system has no POSIX record locks (fcntl)")
    return SpoolOptions(path, max_bytes, interval)
