"""What the streams of a handler share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._formatting.codec import Codec
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.drop_reports import OnDrop
from logplex_handler._sender.lag_reports import LagReports
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._sender.source import LeaseForm
from logplex_handler._wire.entry import Weigh
from logplex_handler.streams.resolver import Resolver

if TYPE_CHECKING:
    from logplex_handler._sender.disk_source import DiskOptions
    from logplex_handler._sender.relay import Relay
    from logplex_handler._sender.taken_source import Hands
    from logplex_handler._spool.spool import Spool
    from logplex_handler.streams.stream import Stream


class Relaying(NamedTuple):
    """What streams have to do with a relay.

    Attributes:
        sink: Takes the batches of all streams that have an id; None if receivers do.
        hands: The shipper, if records come from a relay instead of from callers.
    """

    sink: Relay | None = None
    hands: Hands | None = None


@dataclass(repr=False, eq=False)
class StreamContext:
    """The dependencies that all streams of a handler share.

    Attributes:
        form: The form of leases without a spool or a relay, as one object for all streams.
        resolver: Looks URLs up; None without the application's `streams`.
        weigh: The codec's method, as one object for all streams.
        max_block: Seconds that a caller may wait for room; None if it does not wait.
        on_news: Called with a stream that has records to deliver or drops to report.
        is_delivering: Returns whether the calling thread delivers.
        make_room: Has the waiting records of all streams sent at once.
        recover: Called before each request, because records that dead processes left on disk come
            first.
        disk: The spool, and what a stream needs to know of it; None without a spool.
        relaying: The relay that batches go to, or come from, if there is one.
    """

    limits: BufferLimits
    memory: MemoryPool | None
    sender: SenderOptions
    form: LeaseForm
    codec: Codec
    weigh: Weigh
    diagnostics: Diagnostics
    on_drop: OnDrop | None
    breakers: CircuitBreakers
    lag_reports: LagReports
    resolver: Resolver | None
    max_block: float | None
    on_news: Callable[[Stream], None]
    is_delivering: Callable[[], bool]
    make_room: Callable[[], object]
    disk: tuple[Spool, DiskOptions] | None
    recover: Callable[[], object]
    relaying: Relaying
