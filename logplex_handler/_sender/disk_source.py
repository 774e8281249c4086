"""The source of a stream with a spool: records are written to disk, and sent from there.

Records on disk are sent first, then frames that could not be written, then the accumulator's
entries. While the disk fails, the accumulator works as without a spool. Frames on disk hold neither
URL nor token.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import LARGE_BATCH
from logplex_handler._buffer.waking_queue import Backlog
from logplex_handler._formatting.codec import Codec
from logplex_handler._process.reentrancy import holding
from logplex_handler._sender.batch import new_frame_id
from logplex_handler._sender.disk_queue import DiskQueue
from logplex_handler._sender.drain import drain, held_bytes
from logplex_handler._sender.source import Lease, LeaseForm, Parts, Source, without_token
from logplex_handler._spool.chunk import Chunk, records_in
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, OwnFrame, frame_count, rewritten, total_bytes


class DiskOptions(NamedTuple):
    """Options that the disk sources of a handler share.

    Attributes:
        form: Of a chunk, and of what is sent at a time, unless that was sent together before.
        batch_frames: Frames that make a batch due.
        has_token: Whether a packet's appname is its stream's token.
    """

    form: LeaseForm
    batch_frames: int
    has_token: bool


class DiskSource(Source):
    """A source that writes the accumulator's records to disk, and fills leases from there."""

    __slots__ = ("_hostname", "_is_gone", "_lease", "_lock", "_options", "_queue", "_unwritten")

    def __init__(
        self, queue: DiskQueue, accumulator: Accumulator, options: DiskOptions, codec: Codec
    ) -> None:
        super().__init__(accumulator, options.form, codec)
        self._queue = queue
        self._options = options
        # Guards `_hostname`, `_unwritten`, `_lease`, `_queue`, and draining the accumulator,
        # because chunks must have the order of the entries. Held while entries are rendered and
        # written. Re-entrant, because a signal handler may flush while it is held.
        self._lock = threading.RLock()
        # The hostname in the stream's packets; None for the handler's own.
        self._hostname: str | None = None
        # Frames that were drained from the accumulator and could not be written.
        self._unwritten: list[Frame] = []
        # The lease that is being sent.
        self._lease: Lease | None = None
        # Whether `persist` has found that the file was removed or replaced.
        self._is_gone = False

    @property
    def is_synced(self) -> bool:
        return not self._unwritten and self._queue.is_synced

    @property
    def records(self) -> int:
        queue = self._queue
        return queue.written + queue.recovered + records_in(self._unwritten)

    @property
    def is_empty(self) -> bool:
        return False

    def backlog(self) -> Backlog:
        backlog = self._accumulator.backlog()
        stored = self.records
        if not stored:
            return backlog
        records = backlog.records + stored
        batch = self._options.batch_frames
        return backlog._replace(
            records=records,
            full_batch=backlog.full_batch or records >= batch,
            pressing=backlog.pressing or records >= batch * LARGE_BATCH,
            since=min(backlog.since, self._queue.since),
        )

    def age(self) -> float:
        # The age of a dead process's records counts from when they are read.
        since = self._queue.since or math.inf
        return max(super().age(), time.monotonic() - since)

    def readable_in(self, now: float) -> float:
        return self._queue.readable_in(now)

    def set_hostname(self, hostname: str | None) -> None:
        with self._lock:
            old, new = without_token(self._hostname), without_token(hostname)
            self._unwritten = self._readdressed(self._unwritten, old, new)
            self._hostname = hostname

    def takes_own_lines(self, lease: Lease) -> bool:
        """Return whether own lines may be sent now, in a request without records."""
        return lease.is_new and self._queue.recovered <= 0

    def fill(self, lease: Lease, room: int) -> None:
        if not lease.frames:
            # The disk may hang while another thread writes. A caller that flushes waits no longer.
            holding(self._lock, self._queue.patience(), self._fill, lease, room)

    def replace(self, lease: Lease, left: Parts) -> None:
        destination = lease.destination
        on_disk = without_token(destination.hostname)
        parts = []
        for frame_id, frames in left:
            of_records = [frame for frame in frames if not isinstance(frame, OwnFrame)]
            parts.append((frame_id, self._readdressed(of_records, destination, on_disk)))
        with self._lock:
            chunks = self._queue.replace(
                lease.chunks,
                destination.hostname,
                [part for part in parts if part[1]],
                recovered=lease.recovered,
            )
            if chunks is None:
                # The other records of the batch are settled.
                frames = [frame for _, part in parts for frame in part]
                lease.unwritten = min(lease.unwritten, records_in(frames))
            else:
                lease.chunks = chunks
                lease.unwritten = 0

    def forget(self, lease: Lease) -> None:
        with self._lock:
            self._lease = None
            self._queue.settle(lease.chunks, lease.frame_id)
            self._keep()

    def spill(self) -> bool:
        with self._lock:
            self._queue.delete_settled()
            if self._queue.has_ended or (self._unwritten and not self._write()):
                return False
            since = self._accumulator.backlog().since
            self._drain_to(self._unwritten, self.max_bytes, self._form.max_frames)
            self._queue.since = min(self._queue.since, since)
            wrote = bool(self._unwritten) and self._write()
            return wrote and self._accumulator.backlog().records > 0

    def count_recovered(self, records: int) -> None:
        with self._lock:
            self._queue.recovered += records
            self._queue.since = 0.0
            self._accumulator.count_recovered(records)

    def persist(self) -> Iterator[None]:
        while self.spill():
            yield
        self._is_gone = self._queue.is_gone

    @property
    def unwritten(self) -> int | None:
        # Without the lock, which a thread may hold for as long as the disk hangs.
        lease = self._lease
        left = records_in(self._unwritten) + (lease.unwritten if lease else 0)
        return None if self._is_gone else left

    def discard(self) -> None:
        with self._lock:
            self._unwritten = []
            self._lease = None
            self._queue.end()

    # The methods below are called with the lock held.

    def _fill(self, lease: Lease, room: int) -> None:
        since = time.monotonic() - super().age()
        chunks = None if self._queue.has_ended else self._queue.next_chunks(room, lease.chunks)
        chunks = chunks and self._first_that_fit(chunks)
        if chunks is not None and _may_join(lease, chunks):
            age = max(0.0, time.time() - chunks[0].written_at) if chunks else 0.0
            lease.since = min(lease.since, time.monotonic() - age if chunks else since)
            self._take(lease, chunks, room)

    def _take(self, lease: Lease, chunks: Sequence[Chunk], room: int) -> None:
        """Lease the chunks and, if no other chunk comes in between, frames not yet on disk."""
        frames: list[Frame] = []
        for chunk in chunks:
            on_disk = without_token(chunk.hostname)
            of_chunk = self._queue.frames_of(chunk)
            frames += self._readdressed(of_chunk, on_disk, lease.destination)
        stored = len(frames)
        ids = [chunk.id for chunk in chunks]
        frame_id = chunks[0].frame_id if chunks else None
        if frame_id is None:
            frame_id = self.new_id() or new_frame_id()
            is_all = sum([chunk.records for chunk in chunks]) == self._queue.written
            if not self._queue.recovered and is_all:
                self._add_fresh(frames, room)
            ids += self._assign(lease, ids, frame_id, frames, stored)
            on_disk = without_token(self._hostname)
            frames[stored:] = self._readdressed(frames[stored:], on_disk, lease.destination)
        self._queue.lease(chunks)
        self._lease = lease
        lease.chunks += ids
        lease.held_bytes += held_bytes(frames)
        lease.recovered = bool(chunks) and chunks[0].recovered
        lease.frame_id = frame_id
        lease.frames += frames
        self._keep()
        if not self.records:
            self._queue.since = math.inf

    def _first_that_fit(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The first chunks, with as many frames as may be taken at a time; at least one chunk.

        Those that were sent together stay together: a receiver that knows their frame id would take
        the others for the ones that it has.
        """
        room = self._form.max_frames
        if room == sys.maxsize or chunks[0].frame_id is not None:
            return list(chunks)
        fitting: list[Chunk] = []
        for chunk in chunks:
            room -= frame_count(chunk.frames)
            if fitting and room < 0:
                break
            fitting.append(chunk)
        return fitting

    def _add_fresh(self, frames: list[Frame], room: int) -> None:
        """Add records that are not on disk yet, if they fit: unwritten frames, or else entries.

        They stay unwritten until `_assign` has returned: a signal handler may raise an error.
        """
        room -= total_bytes(frames)
        max_frames = self._form.max_frames
        if frames and max_frames < sys.maxsize:
            max_frames -= frame_count(frames)
        if frames and min(room, max_frames) <= 0:
            return
        if not self._unwritten:
            self._drain_to(self._unwritten, room, max_frames)
        fresh = self._unwritten
        fits = total_bytes(fresh) <= room and frame_count(fresh) <= max_frames
        if fits or not frames:
            frames += fresh

    def _assign(
        self, lease: Lease, ids: list[int], frame_id: str, frames: list[Frame], stored: int
    ) -> list[int]:
        """Write the frame id of the leased chunks, and the fresh frames; return the new chunk.

        If the disk does not take the fresh frames, they are sent after the records on disk.
        """
        fresh = frames[stored:]
        if fresh:
            chunk = self._queue.append(self._hostname, fresh, frame_id, ids)
            if chunk is not None:
                self._unwritten = []
                return [chunk]
            if not ids:
                # No records on disk come before these frames, so they are sent anyway.
                lease.unwritten += records_in(fresh)
                self._unwritten = []
                return []
            del frames[stored:]
        if ids:
            self._queue.join(ids, frame_id)
        return []

    def _write(self) -> bool:
        if self._queue.append(self._hostname, self._unwritten) is None:
            return False
        self._unwritten = []
        self._keep()
        return True

    def _drain_to(self, frames: list[Frame], max_bytes: int, max_frames: int) -> None:
        render = partial(self._codec.render, destination=without_token(self._hostname))
        drain(
            frames,
            max_bytes,
            self._accumulator,
            render,
            held=self._leased_bytes,
            max_frames=max_frames,
        )

    def _keep(self) -> None:
        """Report to the accumulator how much memory is held here."""
        self._accumulator.resize_taken(self._leased_bytes + held_bytes(self._unwritten))

    @property
    def _leased_bytes(self) -> int:
        return self._lease.held_bytes if self._lease else 0

    def _readdressed(self, frames: list[Frame], old: Destination, new: Destination) -> list[Frame]:
        if not frames or (old.hostname == new.hostname and not self._options.has_token):
            return frames
        return rewritten(frames, lambda frame: self._codec.readdress(frame, old, new))


def _may_join(lease: Lease, chunks: Sequence[Chunk]) -> bool:
    """Return whether chunks may be sent together with those of the lease."""
    if not lease.chunks:
        return True
    recovered = bool(chunks) and chunks[0].recovered
    has_frame_id = bool(chunks) and chunks[0].frame_id is not None
    return not has_frame_id and recovered == lease.recovered
