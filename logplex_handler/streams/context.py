"""What all streams of a handler share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from logplex_handler._buffer.accumulator import Buffer, BufferLimits
from logplex_handler._buffer.memory_pool import Memory
from logplex_handler._process.diagnostics import Stderr
from logplex_handler._sender.circuit_breaker import Hosts
from logplex_handler._sender.disk_queue import Shelf, ShelfOptions, is_storable
from logplex_handler._sender.drain import Readdress, RenderFor
from logplex_handler._sender.drop_notices import OnDrop
from logplex_handler._sender.in_flight import Notice
from logplex_handler._sender.sender import OutletOptions
from logplex_handler._spool.store import Spool
from logplex_handler._wire.entry import Weigh
from logplex_handler.streams.resolver import Lookup


@dataclass(frozen=True, repr=False)
class Rooms:
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
    memory: Memory | None
    outlet: OutletOptions
    weigh: Weigh
    render: RenderFor
    readdress: Readdress
    notice: Notice
    stderr: Stderr
    on_drop: OnDrop | None
    hosts: Hosts
    lookup: Lookup | None
    may_wait: float | None
    on_news: Callable[[Any], None]
    is_deliverer: Callable[[], bool]
    spool: Spool | None
    shelf: ShelfOptions
    recover: Callable[[], object]

    def shelf_for(self, stream_id: Hashable, buffer: Buffer) -> Shelf | None:
        """Where a stream's records are between its buffer and a batch, if that is on disk."""
        if self.spool is None or not is_storable(stream_id):
            return None
        return Shelf(
            stream_id,
            self.spool,
            buffer,
            self.shelf,
            render=self.render,
            readdress=self.readdress,
            stderr=self.stderr,
        )
