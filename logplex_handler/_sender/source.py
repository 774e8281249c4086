"""Where the records of a stream wait until they are sent, and what a batch has taken of them.

A source is in memory or on disk. A batch is made of one lease, whichever the source is.
"""

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
    """What a batch has taken from a source, until each of its records is settled.

    One thread at a time uses it. It ends with `ack`, or with `release` if the process ends first.

    Args:
        source: Where the frames are taken from.
        accumulator: Its ledger counts the outcomes.
        destination: What the frames are made for.

    Attributes:
        frames: Frames that were taken and are in no batch yet.
        frame_id: The id under which they are on disk; None if they are not.
        held_bytes: Memory of all that was taken.
        recovered: Whether another process has left the records.
        chunks: Where the records are on disk.
        unwritten: Records that are not there because the disk did not take them.
        is_new: Whether no batch was made of it yet.
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
        """Take frames of at most so many bytes, but at least those of one record."""
        self._source.fill(self, room, own_lines)

    def take_frames(self) -> list[Frame]:
        """Hand over the frames that are in no batch yet."""
        frames, self.frames = self.frames, []
        self.is_new = False
        return frames

    def ack(self, delivered: int, dropped: int) -> None:
        """Settle all records: so many were delivered, and so many dropped."""
        self._source.forget(self)
        self._accumulator.settle(delivered=delivered, dropped=dropped, recovered=self.recovered)

    def replace(self, left: Parts, delivered: int = 0, dropped: int = 0) -> None:
        """Settle some records; the others are sent as these parts."""
        self._source.replace(self, left)
        self._accumulator.settle(
            delivered=delivered, dropped=dropped, recovered=self.recovered, through=False
        )

    def release(self, left: Parts) -> None:
        """Send no more of it in this process: the disk gets what it did not take before."""
        if self.unwritten:
            self._source.replace(self, left)


class Source(Protocol):
    """The records of a stream, from the accumulator until they are settled.

    Any thread may call `spill` and `recover`, and ask what waits. The other methods are for the
    thread that delivers.
    """

    @property
    def max_bytes(self) -> int:
        """Bytes of the frames that are taken at a time."""

    @property
    def is_synced(self) -> bool:
        """Whether the disk has written all that it was given, and deleted all that is settled."""

    def backlog(self) -> Backlog:
        """What waits."""

    def readable_in(self, now: float) -> float:
        """Seconds until the next records may be read; 0 if they may be now."""

    def set_hostname(self, hostname: str | None) -> None:
        """Use this hostname in the stream's packets from now on."""

    def fill(self, lease: Lease, room: int, own_lines: OwnLines) -> None:
        """Add frames to the lease: at most so many bytes, but at least one record.

        If a signal interrupts this, the frames that were added stay in the lease.
        """

    def replace(self, lease: Lease, left: Parts) -> None:
        """Write down what is left of a lease, and the frame ids under which it is sent."""

    def forget(self, lease: Lease) -> None:
        """Delete a lease whose records are all settled."""

    def spill(self) -> bool:
        """Write some of what waits in memory to disk; whether there is more to write."""

    def recover(self, records: int) -> None:
        """Accept records that a dead process has left on disk; they come before all others."""

    def persist(self) -> int | None:
        """Write all that waits in memory to disk, because the process ends.

        Returns:
            How many of the records that were taken from the accumulator could not be written; None
            if there is no disk.
        """

    def discard(self) -> None:
        """Delete everything, because the stream has ended."""
