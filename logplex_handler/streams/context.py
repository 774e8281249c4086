"""The dependencies that all streams of a handler share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._formatting.codec import Codec
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.disk_queue import DiskQueue, is_storable
from logplex_handler._sender.disk_source import DiskOptions, DiskSource
from logplex_handler._sender.drop_reports import OnDrop
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._sender.source import Source
from logplex_handler._spool.spool import Spool
from logplex_handler.streams.resolver import Resolver

if TYPE_CHECKING:
    from logplex_handler.streams.stream import Stream


@dataclass(frozen=True, repr=False)
class StreamContext:
    """The dependencies of a stream.

    Attributes:
        resolver: Looks URLs up; None without the application's `streams`.
        max_block: Seconds that a caller may wait for room; None if it does not wait.
        on_news: Called with a stream that has records to deliver or drops to report.
        is_delivering: Whether the calling thread is one that delivers.
        spool: Keeps records on disk; None without one.
        recover: Called before each request, because records that dead processes left on disk come
            first.
    """

    limits: BufferLimits
    memory: MemoryPool | None
    sender: SenderOptions
    codec: Codec
    diagnostics: Diagnostics
    on_drop: OnDrop | None
    breakers: CircuitBreakers
    resolver: Resolver | None
    max_block: float | None
    on_news: Callable[[Stream], None]
    is_delivering: Callable[[], bool]
    spool: Spool | None
    disk: DiskOptions
    recover: Callable[[], object]

    def source_for(
        self, stream_id: Hashable, accumulator: Accumulator, *, has_ended: bool
    ) -> Source:
        """The source of a stream's batches: the spool if it can hold the stream, else memory."""
        if self.spool is None or has_ended or not is_storable(stream_id):
            return Source(accumulator, self.sender.max_batch_bytes, self.codec)
        return DiskSource(
            DiskQueue(stream_id, self.spool, accumulator, self.diagnostics),
            accumulator,
            self.disk,
            self.codec,
        )
