"""The source of a stream's records, in memory or on disk, and the lease of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame

# For each request its frame id and its frames.
Parts = Sequence[tuple[str, Sequence[Frame]]]


class Lease:
    """The records that a batch has taken from a source, until each of them is settled.

    One thread at a time uses it. It ends with `ack`, or with `release` if the process ends first.

    Args:
        source: Provides the frames.
        accumulator: Its ledger counts the outcomes.
        destination: The destination of the frames.

    Attributes:
        frames: Frames that were taken and are in no batch yet.
        frame_id: The id under which they are on disk; None if they are not.
        held_bytes: The memory of all taken records.
        recovered: Whether a dead process left the records.
        chunks: The chunks of the records on disk.
        unwritten: The number of records that the disk did not take.
        is_new: Whether no batch was made of the lease yet.
    """

    __slots__ = (
        "_accumulator",
        "_source",
        "chunks",
        "destination",
        "frame_id",
        "frames",
        "held_bytes",
        "is_new",
        "recovered",
        "unwritten",
    )  # fmt: skip

    def __init__(self, source: Source, accumulator: Accumulator, destination: Destination) -> None:
        self._source = source
        self._accumulator = accumulator
        self.destination = destination
        self.frames: list[Frame] = []
        self.frame_id: str | None = None
        self.held_bytes = 0
        self.recovered = False
        self.chunks: list[int] = []
        self.unwritten = 0
        self.is_new = True

    def fill(self, room: int, own_lines: OwnLines) -> None:
        """Take frames of at most this many bytes, but at least those of one record."""
        self._source.fill(self, room, own_lines)

    def take_frames(self) -> list[Frame]:
        """Hand over the frames that are in no batch yet."""
        frames, self.frames = self.frames, []
        self.is_new = False
        return frames

    def ack(self, delivered: int, dropped: int) -> None:
        """Settle all records as delivered or dropped."""
        self._source.forget(self)
        self._accumulator.settle(delivered=delivered, dropped=dropped, recovered=self.recovered)

    def replace(self, left: Parts, delivered: int = 0, dropped: int = 0) -> None:
        """Settle some records; the others are sent in the given parts."""
        self._source.replace(self, left)
        self._accumulator.settle(
            delivered=delivered, dropped=dropped, recovered=self.recovered, through=False
        )

    def release(self, left: Parts) -> None:
        """Stop sending in this process; write the records to disk that it did not take before."""
        if self.unwritten:
            self._source.replace(self, left)


class Source(Protocol):
    """The records of a stream, from the accumulator until they are settled.

    Any thread may call `spill`, `recover` and `backlog`. Only the delivering thread calls the other
    methods.
    """

    @property
    def max_bytes(self) -> int:
        """Bytes of the frames that are taken at a time."""

    @property
    def is_synced(self) -> bool:
        """Whether the disk has written all records, and deleted all settled ones."""

    def backlog(self) -> Backlog:
        """The waiting records."""

    def readable_in(self, now: float) -> float:
        """Seconds until the next records may be read; 0 if they may be now."""

    def set_hostname(self, hostname: str | None) -> None:
        """Use this hostname in the stream's packets from now on."""

    def fill(self, lease: Lease, room: int, own_lines: OwnLines) -> None:
        """Add frames to the lease: at most this many bytes, but at least those of one record.

        If a signal interrupts this, the frames that were added stay in the lease.
        """

    def replace(self, lease: Lease, left: Parts) -> None:
        """Write the remaining records of a lease, with the frame ids under which they are sent."""

    def forget(self, lease: Lease) -> None:
        """Delete a lease whose records are all settled."""

    def spill(self) -> bool:
        """Write some of the records waiting in memory to disk; return whether there are more."""

    def recover(self, records: int) -> None:
        """Accept records that a dead process left on disk; they come before all others."""

    def persist(self) -> int | None:
        """Write all records waiting in memory to disk, because the process ends.

        Returns:
            The number of taken records that could not be written; None without a disk.
        """

    def discard(self) -> None:
        """Delete all records, because the stream has ended."""
