"""What all streams of a handler share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.disk_queue import DiskQueue, DiskQueueOptions, is_storable
from logplex_handler._sender.drain import Readdress, RenderFor
from logplex_handler._sender.drop_notices import OnDrop
from logplex_handler._sender.in_flight import Notice
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._spool.store import Spool
from logplex_handler._wire.entry import Weigh
from logplex_handler.streams.resolver import Resolver


@dataclass(frozen=True, repr=False)
class StreamContext:
    """What a stream is made with.

    Attributes:
        lookup: The application's `streams`; None if there are none.
        may_wait: Seconds that a record may wait for room; None if it may not.
        on_news: Called with a stream that has something to deliver.
        is_deliverer: Whether the calling thread is one that delivers.
        spool: Where what waits is kept on disk; None if it is not.
        recover: Called before anything is sent: what is on disk comes first.
    """

    limits: BufferLimits
    memory: MemoryPool | None
    sender: SenderOptions
    weigh: Weigh
    render: RenderFor
    readdress: Readdress
    notice: Notice
    diagnostics: Diagnostics
    on_drop: OnDrop | None
    breakers: CircuitBreakers
    lookup: Resolver | None
    may_wait: float | None
    on_news: Callable[[Any], None]
    is_deliverer: Callable[[], bool]
    spool: Spool | None
    disk_queue: DiskQueueOptions
    recover: Callable[[], object]

    def disk_queue_for(self, stream_id: Hashable, accumulator: Accumulator) -> DiskQueue | None:
        """Where a stream's records are between its accumulator and a batch, if that is on disk."""
        if self.spool is None or not is_storable(stream_id):
            return None
        return DiskQueue(
            stream_id,
            self.spool,
            accumulator,
            self.disk_queue,
            render=self.render,
            readdress=self.readdress,
            diagnostics=self.diagnostics,
        )
