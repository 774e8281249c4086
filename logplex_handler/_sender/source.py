"""The source of a stream's records, which makes the frames of a batch from its accumulator."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.waking_queue import Backlog
from logplex_handler._formatting.codec import Codec
from logplex_handler._sender.drain import drain, held_bytes
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame

# The frame id and the frames of each request.
Parts = Sequence[tuple[str, Sequence[Frame]]]

# Replaces a token that is the appname of a packet that is stored. It is as long as the longest
# token, so that no packet becomes too long when the token replaces it again.
_NO_TOKEN = "-" * 48


def without_token(hostname: str | None = None) -> Destination:
    """The destination of packets that are stored, on disk or in a relay."""
    return Destination("", "", _NO_TOKEN, hostname)


class LeaseForm(NamedTuple):
    """How much a lease takes, and the name of its batch.

    Attributes:
        max_bytes: Bytes of the frames that are taken at a time.
        max_frames: The number of those frames, unless one record has more.
        new_id: Makes the frame id of a batch, which then is never parted. Default: each part of a
            batch gets one of its own.
    """

    max_bytes: int
    max_frames: int = sys.maxsize
    new_id: Callable[[], str] | None = None


class Lease:
    """The records that a batch has taken from a source, until each of them is settled.

    Attributes:
        destination: The destination of the frames.
        since: When the oldest record came, on the monotonic clock.
        frames: Frames that were taken and are in no batch yet.
        parts: Instead of frames, the parts of a batch that was made before.
        frame_id: The id under which the frames are on disk; None if they are not.
        held_bytes: The memory of all taken records.
        recovered: Whether a dead process left the records.
        chunks: The chunks of the records on disk.
        unwritten: The number of records that the disk did not take.
        is_new: Whether no batch was made from the lease yet.
        is_outdated: Whether its batch has frame ids that the disk does not have.
        delivered, dropped: The outcome of the last part, until it is counted.
    """

    __slots__ = (
        "chunks", "delivered", "destination", "dropped", "frame_id", "frames", "held_bytes",
        "is_new", "is_outdated", "parts", "recovered", "since", "unwritten",
    )  # fmt: skip

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.since = math.inf
        self.frames: list[Frame] = []
        self.parts: list[tuple[str, list[Frame]]] = []
        self.frame_id: str | None = None
        self.held_bytes = 0
        self.recovered = False
        self.chunks: list[int] = []
        self.unwritten = 0
        self.is_new = True
        self.is_outdated = False
        self.delivered = self.dropped = 0

    def take_frames(self) -> list[Frame]:
        """Hand over the frames that are in no batch yet."""
        frames, self.frames = self.frames, []
        self.is_new = False
        return frames


def age_of_oldest(accumulator: Accumulator, codec: Codec) -> float:
    """Return the seconds since the oldest queued record was logged or queued, or 0."""
    with accumulator.lock:
        if not accumulator.entries:
            return 0.0
        logged_at, since = codec.created(accumulator.entries[accumulator.gone]), accumulator.since
    return age_of(logged_at, since)


def age_of(logged_at: float, since: float) -> float:
    """Return the seconds since a record was logged, or since the first one in its queue came."""
    # A record may have any time, and `since` is too early if the accumulator was never empty.
    return max(0.0, min(time.time() - logged_at, time.monotonic() - since))


class Source:
    """The records that wait in a stream's accumulator. With a spool, a `DiskSource` replaces it.

    Any thread may call `spill`, `count_recovered`, `is_empty` and `backlog`. Only the delivering
    thread calls the other methods.
    """

    __slots__ = ("_accumulator", "_codec", "_form")

    def __init__(self, accumulator: Accumulator, form: LeaseForm, codec: Codec) -> None:
        self._accumulator = accumulator
        self._form = form
        self._codec = codec

    @property
    def max_bytes(self) -> int:
        return self._form.max_bytes

    def new_id(self) -> str | None:
        """The frame id of a whole batch; None if each of its parts gets one of its own."""
        return None if self._form.new_id is None else self._form.new_id()

    @property
    def is_synced(self) -> bool:
        """Whether the disk has written all records, and deleted all settled ones."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether certainly nothing waits, as mostly after a request; `backlog` costs more."""
        # Not `queued`, which is wrong while another thread removes dropped entries.
        return not self._accumulator.entries

    def backlog(self) -> Backlog:
        return self._accumulator.backlog()

    def age(self) -> float:
        """Return the seconds since the oldest waiting record was logged or queued, or 0."""
        return age_of_oldest(self._accumulator, self._codec)

    def readable_in(self, now: float) -> float:
        """Return the seconds until the next records may be read, or 0 if they may be now."""
        return 0.0

    def set_hostname(self, hostname: str | None) -> None:
        """Use this hostname in packets that wait on disk, or for the disk."""

    def time_left(self) -> float:
        """Seconds that a request may take; 0 if there may be none now."""
        return math.inf

    def readdress(self, frame: bytes, old: Destination, new: Destination) -> bytes:
        return self._codec.readdress(frame, old, new)

    def takes_own_lines(self, lease: Lease) -> bool:
        """Return whether the handler's own lines may be added to the lease."""
        return True

    def fill(self, lease: Lease, room: int) -> None:
        """Add frames to the lease: at most `room` bytes, but at least those of one record.

        If a signal interrupts this, the frames that were added stay in the lease.
        """
        lease.since = min(lease.since, time.monotonic() - self.age())
        try:
            render = partial(self._codec.render, destination=lease.destination)
            drain(
                lease.frames,
                room,
                self._accumulator,
                render,
                held=lease.held_bytes,
                max_frames=self._form.max_frames,
            )
        finally:
            lease.held_bytes += held_bytes(lease.frames)

    def replace(self, lease: Lease, left: Parts) -> None:
        """Write the remaining records of a lease, with the frame ids under which they are sent."""

    def forget(self, lease: Lease) -> None:
        """Delete a lease whose records are all settled."""

    def spill(self) -> bool:
        """Write some of the records waiting in memory to disk; return whether there are more."""
        return False

    def count_recovered(self, records: int) -> None:
        """Count records that a dead process left on disk; they come before all others."""

    def persist(self) -> Iterable[None]:
        """Write all records waiting in memory to disk, because the process ends.

        Yields after each chunk. Afterwards, `unwritten` says how many taken records are not there.
        """
        return ()

    @property
    def unwritten(self) -> int | None:
        """The number of taken records that are not on disk; None without a file on disk."""
        return None

    def discard(self) -> None:
        """Delete all records from disk, because the stream has ended."""
