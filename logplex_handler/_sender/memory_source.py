"""The source of a stream without a spool: its records wait in the accumulator only."""

from __future__ import annotations

from functools import partial

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._sender.drain import drain, held_bytes
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._sender.source import Lease, Parts
from logplex_handler._wire.codec import Codec


class MemorySource:
    """Drains the accumulator into leases.

    Args:
        max_bytes: Bytes of the frames that are taken at a time.
    """

    __slots__ = ("_accumulator", "_codec", "max_bytes")

    is_synced = True

    def __init__(self, accumulator: Accumulator, max_bytes: int, codec: Codec) -> None:
        self._accumulator = accumulator
        self.max_bytes = max_bytes
        self._codec = codec

    def backlog(self) -> Backlog:
        return self._accumulator.backlog()

    def readable_in(self, now: float) -> float:
        return 0.0

    def set_hostname(self, hostname: str | None) -> None:
        """Do nothing: entries are rendered for the destination of their lease."""

    def fill(self, lease: Lease, room: int, own_lines: OwnLines) -> None:
        """The handler's own lines and records share a request."""
        try:
            own_lines.add_to(lease.frames, lease.destination)
            render = partial(self._codec.render, destination=lease.destination)
            drain(lease.frames, room, self._accumulator, render, held=lease.held_bytes)
        finally:
            lease.held_bytes += held_bytes(lease.frames)

    def replace(self, lease: Lease, left: Parts) -> None:
        """Do nothing: no record is on disk."""

    def forget(self, lease: Lease) -> None:
        """Do nothing: no record is on disk."""

    def spill(self) -> bool:
        return False

    def recover(self, records: int) -> None:
        """Do nothing: no record on disk belongs to this stream."""

    def persist(self) -> None:
        return None

    def discard(self) -> None:
        """Do nothing: the accumulator drops the waiting entries."""
