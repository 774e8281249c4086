"""Arguments and environment are checked and become the options that the package works with.

A pure function of both. An argument takes precedence over the environment, and an empty text counts
as not given.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from logplex_handler._buffer.limits import BufferLimits, OnFull
from logplex_handler._formatting.formatter import checked_source
from logplex_handler._sender.drop_notices import OnDrop
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._spool.store import SpoolOptions
from logplex_handler._transport.transport import TransportOptions
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import MAX_PACKET_BYTES, MIN_PACKET_BYTES, PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler._checks import function, seconds, whole_number
from logplex_handler.handler._packet_options import PacketArguments, packet_form
from logplex_handler.handler._spool_options import SpoolArguments, spool_options
from logplex_handler.handler._stream_options import StreamArguments, own_destination, resolver
from logplex_handler.handler._transport_options import TransportArguments, transport_options
from logplex_handler.streams.resolver import Resolver

# Logplex answers a body over 8,000,000 bytes with an error or a reset connection.
MAX_BATCH_BYTES = 8_000_000
# A packet's length and a space stand before it in a frame.
_FRAME_OVERHEAD = 8
# Each may be a thread or two.
_MAX_WORKERS = 64


class Arguments(PacketArguments, TransportArguments, SpoolArguments, StreamArguments):
    """The arguments of `LogplexHandler`, by name. Configuration files may hold any value."""

    level: int | str
    batch_size: int
    max_batch_bytes: int
    flush_interval: float
    max_buffer_bytes: int
    on_full: OnFull
    shutdown_timeout: float
    on_drop: OnDrop | None
    workers: int
    health_interval: float | None


@dataclass(frozen=True, repr=False)
class Options:
    """The options of a handler, checked. They may hold a token, so there is no repr.

    Attributes:
        destination: Where the handler's own stream goes; None without a URL.
        source: The environment's `source=` for the formatter that is used if none is set.
        shutdown_timeout: Seconds that flushing and closing may take together.
        on_drop: Called with the number and cause of drops.
        lookup: Finds where the application's streams go; None if there are none.
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

    @property
    def is_active(self) -> bool:
        """Whether there is any destination to deliver to."""
        return self.destination is not None or self.lookup is not None


def resolve(given: Arguments, environ: Mapping[str, str], *, machine: str, program: str) -> Options:
    """The options of a handler.

    Args:
        given: The arguments.
        environ: The environment of the process.
        machine: The machine's name.
        program: The path of the program, as in `sys.argv[0]`.

    Raises:
        ConfigurationError: (a ValueError) names the option, and shows no URL, token or header.
    """
    # What `logging.Handler` says of a bad level names neither the option nor its kind.
    if isinstance(given["level"], bool) or not isinstance(given["level"], int | str):
        raise ConfigurationError("level: must be a number or the name of a level")
    destination = own_destination(given, environ)
    max_packet_bytes = whole_number(
        "max_packet_bytes", given["max_packet_bytes"], MIN_PACKET_BYTES, MAX_PACKET_BYTES
    )
    packet = packet_form(
        given, environ, destination, max_packet_bytes, machine=machine, program=program
    )
    max_batch_bytes = whole_number(
        "max_batch_bytes",
        given["max_batch_bytes"],
        max_packet_bytes + _FRAME_OVERHEAD,
        MAX_BATCH_BYTES,
    )
    spool = spool_options(given, environ)
    source = environ.get("LOGPLEX_SOURCE") or None
    health_interval = given["health_interval"]
    return Options(
        destination=destination,
        packet=packet,
        accumulator=_limits(given, max_packet_bytes, max_batch_bytes, has_disk=spool is not None),
        sender=SenderOptions(
            flush_interval=seconds("flush_interval", given["flush_interval"], may_be_zero=True),
            max_batch_bytes=max_batch_bytes,
        ),
        transport=transport_options(given, environ),
        source=source and checked_source("LOGPLEX_SOURCE", source),
        shutdown_timeout=seconds("shutdown_timeout", given["shutdown_timeout"], may_be_zero=True),
        on_drop=function("on_drop", given["on_drop"]),
        lookup=resolver(given, token_as_appname=given["token_as_appname"]),
        workers=whole_number("workers", given["workers"], 1, _MAX_WORKERS),
        token_as_appname=given["token_as_appname"],
        health_interval=(
            None if health_interval is None else seconds("health_interval", health_interval)
        ),
        spool=spool,
    )


def resolve_for_process(given: Arguments) -> Options:
    """The options of a handler in this process, as with `resolve`."""
    program = str(sys.argv[0]) if sys.argv else ""
    return resolve(given, os.environ, machine=socket.gethostname(), program=program)


def _limits(
    given: Arguments, max_packet_bytes: int, max_batch_bytes: int, *, has_disk: bool
) -> BufferLimits:
    on_full = given["on_full"]
    if on_full not in get_args(OnFull):
        raise ConfigurationError("on_full: must be 'drop_oldest', 'drop_newest' or 'block'")
    max_bytes = whole_number("max_buffer_bytes", given["max_buffer_bytes"], max_packet_bytes)
    return BufferLimits(
        max_bytes=max_bytes,
        on_full=on_full,
        batch_frames=whole_number("batch_size", given["batch_size"], 1),
        # A small accumulator is emptied before it is full.
        batch_bytes=min(max_batch_bytes, max_bytes // 2),
        has_disk=has_disk,
    )
