"""Where the records of a stream wait until they are sent, and what of them a batch holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.snapshot import Backlog
from logplex_handler._sender.own_lines import OwnLines
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame

# Of one request each: its frame id, and its frames.
Parts = Sequence[tuple[str, Sequence[Frame]]]


class Lease:
    """What a batch has taken from a source, until each of its records is settled.

    One thread at a time uses it. `ack` ends it; `replace` says what is left of it; `release` leaves
    what is left to whoever sends it later.

    Args:
        destination: What the frames are made for.

    Attributes:
        frames: Those that were taken, and are in no batch yet.
        frame_id: What they are on record under; None if they are not.
        held_bytes: Memory of all that was taken.
        recovered: Whether another process has left them.
        chunks: Where they are on disk.
        unwritten: Records that are not there, as the disk did not take them.
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
        """Take frames of so many bytes, or of one record that has more."""
        self._source.fill(self, room, own_lines)

    def take_frames(self) -> list[Frame]:
        """The frames that are in no batch yet, for one."""
        frames, self.frames = self.frames, []
        self.is_new = False
        return frames

    def ack(self, delivered: int, dropped: int) -> None:
        """All records are settled: so many are delivered, and so many dropped."""
        recovered = self.recovered
        self._source.forget(self)
        self._accumulator.settle(delivered=delivered, dropped=dropped, recovered=recovered)

    def replace(self, left: Parts, delivered: int = 0, dropped: int = 0) -> None:
        """Some records are settled, and the others go on as these parts."""
        self._source.replace(self, left)
        self._accumulator.settle(
            delivered=delivered, dropped=dropped, recovered=self.recovered, through=False
        )

    def release(self, left: Parts) -> None:
        """Nobody sends it any more in this process: what the disk did not take is offered again."""
        if self.unwritten:
            self._source.replace(self, left)


class Source(Protocol):
    """The records of a stream, from the accumulator until they are settled.

    Any thread may call `spill` and `recover`, and read what waits; the rest is for the thread that
    delivers.
    """

    @property
    def max_bytes(self) -> int:
        """Bytes of what is taken at a time."""

    @property
    def is_synced(self) -> bool:
        """Whether the disk has taken all that it was given, and deleted all that is settled."""

    def backlog(self) -> Backlog:
        """What waits to be taken."""

    def readable_in(self, now: float) -> float:
        """Seconds until the next records may be taken; 0 if they may be now."""

    def set_hostname(self, hostname: str | None) -> None:
        """The stream's packets have this hostname from now on."""

    def fill(self, lease: Lease, room: int, own_lines: OwnLines) -> None:
        """Add frames to the lease: of so many bytes, or of one record that has more.

        What was added when a signal interrupts this is the lease's.
        """

    def replace(self, lease: Lease, left: Parts) -> None:
        """Put on record what is left of a lease, and under which frame ids it is sent."""

    def forget(self, lease: Lease) -> None:
        """All records of the lease are settled."""

    def spill(self) -> bool:
        """Write some of what waits in memory to disk; whether there is more to write."""

    def recover(self, records: int) -> None:
        """Count records that a dead process has left on disk: they come before all others."""

    def persist(self) -> int | None:
        """Write all that waits in memory to disk, as the process ends.

        How many of the records that were taken could not be; None if there is no disk.
        """

    def discard(self) -> None:
        """Forget everything: the stream has ended."""
