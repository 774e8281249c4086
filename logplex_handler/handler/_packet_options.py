"""The options that the header of each packet shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from logging.handlers import SysLogHandler
from pathlib import PurePath

from logplex_handler._wire import packet
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.arguments import Arguments, flag, whole_number

# l2met takes lines with these procids for lines of Heroku's own.
_RESERVED_PROCIDS = frozenset({"router", "logplex"})


def packet_form(
    given: Arguments,
    environ: Mapping[str, str],
    destination: Destination | None,
    *,
    machine: str,
    program: str,
) -> PacketForm:
    """The form of all packets of a handler; `destination` is that of its own stream."""
    max_packet_bytes = whole_number(
        given, "max_packet_bytes", packet.MIN_PACKET_BYTES, packet.MAX_PACKET_BYTES
    )
    facility = given["facility"]
    if not isinstance(facility, str) or facility not in SysLogHandler.facility_names:
        raise ConfigurationError(
            "facility: must be one of " + ", ".join(SysLogHandler.facility_names)
        )
    return PacketForm(
        hostname=_hostname(given["hostname"], environ, machine),
        appname=_appname(given, environ, destination),
        procid=_procid(given["procid"], environ, program),
        facility=SysLogHandler.facility_names[facility],
        structured_data=flag(given, "structured_data"),
        max_packet_bytes=max_packet_bytes,
    )


def checked_token(destination: Destination) -> str:
    """The token of a destination, if it can be an appname."""
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
    if not flag(given, "token_as_appname"):
        return _field("appname", given["appname"], environ, packet.MAX_APPNAME) or "app"
    if given["appname"]:
        raise ConfigurationError("appname: cannot be given together with token_as_appname")
    return checked_token(destination) if destination is not None else "app"


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
    """A header field from the argument or the environment, made safe; None without either."""
    text = given or environ.get(f"LOGPLEX_{option.upper()}")
    if not text:
        return None
    if not isinstance(text, str):
        raise ConfigurationError(f"{option}: must be a string")
    field = packet.field(text, longest)
    if not field:
        raise ConfigurationError(f"{option}: holds no letter or digit (a-z, 0-9)")
    return field


def _program_name(program: str) -> str:
    """`shop` for `/srv/shop.py`, and for `/srv/shop/__main__.py`; empty where there is no file."""
    if program.startswith("-"):
        return ""
    path = PurePath(program)
    return path.parent.name if path.name == "__main__.py" else path.name.removesuffix(".py")
