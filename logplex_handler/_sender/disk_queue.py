"""What one stream has in the spool: its records come from the accumulator, and leave for the
sender.

On disk comes first what other processes have left, then what this one has written; behind that
stands a chunk that could not be written, if there is one, and what is still in the accumulator. As
long as the disk does not work, the accumulator does what it does without a spool.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeGuard

from logplex_handler._buffer.accumulator import Accumulator, Backlog
from logplex_handler._buffer.limits import LARGE
from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._sender.batch import Batch
from logplex_handler._sender.drain import FRAME_BYTES, Readdress, RenderFor, drain
from logplex_handler._spool.chunk import Chunk, records_in, without_own
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.store import Spool, StreamId
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, number, rewritten, size

# In place of a token that is a packet's appname: what is on disk is as long as can be, so that no
# packet becomes too long when the token is put in.
_NO_TOKEN = "-" * 48
# Seconds after which a disk that could not be read is tried again; and how long it may fail before
# what is on it is given up, so that memory goes on.
_BETWEEN_READS = 0.1
_UNREADABLE = 60.0


@dataclass(frozen=True)
class DiskQueueOptions:
    """What all shelves of a handler share.

    Attributes:
        max_bytes: Of a chunk, and of what is sent at a time unless it was more before.
        batch_frames: Frames that make a batch due.
        has_token: Whether a packet's appname is its stream's token.
    """

    max_bytes: int
    batch_frames: int
    has_token: bool


class DiskQueue:
    """A stream's part of the spool. Any thread may `spill`; the rest is for who delivers.

    Args:
        stream: The stream's id, as it is written to disk.
        render: Makes frames of entries.
        readdress: Makes frames for one destination of those for another.
    """

    def __init__(
        self,
        stream: StreamId,
        spool: Spool,
        accumulator: Accumulator,
        options: DiskQueueOptions,
        *,
        render: RenderFor,
        readdress: Readdress,
        diagnostics: Diagnostics,
    ) -> None:
        self._stream = stream
        self._spool = spool
        self._accumulator = accumulator
        self._options = options
        self._render = render
        self._readdress = readdress
        self._diagnostics = diagnostics
        # Guards all below, and who takes from the accumulator: its order is that of the chunks.
        # Held while records are rendered and written. Re-entrant as a signal's handler may flush.
        self._lock = threading.RLock()
        # The hostname in this stream's packets, if it has one of its own.
        self._hostname: str | None = None
        # Records on disk that are not being sent: of this process, and of others.
        self._written = 0
        self._recovered = 0
        self._since = math.inf
        # Frames that could not be written.
        self._unwritten: list[Frame] = []
        # What is being sent.
        self._in_flight: list[int] = []
        self._in_flight_bytes = 0
        self._in_flight_unwritten = 0
        self.in_flight_recovered = False
        # What was settled and could not be deleted; and whether that is all of the stream's.
        self._undeleted: list[int] = []
        self._is_over = self._is_cleared = False
        # When the disk may be read again, and since when it could not be, on the monotonic clock.
        self._read_at = -math.inf
        self._unreadable_since = math.inf

    def set_hostname(self, hostname: str | None) -> None:
        """From now on the stream's packets have this hostname."""
        with self._lock:
            old, new = self._stored_for(self._hostname), self._stored_for(hostname)
            if self._unwritten and old != new:
                self._unwritten = rewritten(
                    self._unwritten, lambda frame: self._readdress(frame, old, new)
                )
            self._hostname = hostname

    @property
    def max_bytes(self) -> int:
        """Of what is sent at a time, unless it was more before."""
        return self._options.max_bytes

    @property
    def records(self) -> int:
        """How many wait here."""
        return self._written + self._recovered + records_in(self._unwritten)

    @property
    def has_recovered(self) -> bool:
        """Whether some of them are of dead processes, and come before all else."""
        return self._recovered > 0

    @property
    def is_tidy(self) -> bool:
        """Whether the disk has taken all that it was given, and let go of all that is settled."""
        return not (self._unwritten or self._undeleted or (self._is_over and not self._is_cleared))

    def pause(self, now: float) -> float:
        """Seconds until it can be tried again what comes next."""
        return max(0.0, self._read_at - now)

    @property
    def is_unsafe(self) -> bool:
        """Whether some of what is being sent could not be written."""
        return self._in_flight_unwritten > 0

    def with_stored(self, backlog: Backlog) -> Backlog:
        """What waits in the accumulator and here."""
        stored = self.records
        if not stored:
            return backlog
        records = backlog.records + stored
        batch = self._options.batch_frames
        return replace(
            backlog,
            records=records,
            full_batch=backlog.full_batch or records >= batch,
            pressing=backlog.pressing or records >= batch * LARGE,
            since=min(backlog.since, self._since),
        )

    def recover(self, records: int) -> None:
        """So many records of dead processes are this stream's to deliver."""
        with self._lock:
            self._recovered += records
            self._since = 0.0
            self._accumulator.recover(records)

    def spill(self) -> bool:
        """Write what waits in the accumulator, up to one chunk; whether there is more to write."""
        with self._lock:
            self._tidy()
            if self._is_over or (self._unwritten and not self._write()):
                return False
            since = self._accumulator.backlog().since
            frames = self._unwritten
            render = partial(self._render, destination=self._stored_for(self._hostname))
            drain(
                frames,
                self._options.max_bytes,
                self._accumulator,
                render,
                held=self._in_flight_bytes,
            )
            self._since = min(self._since, since)
            return bool(frames) and self._write() and self._accumulator.backlog().records > 0

    def take(self, destination: Destination, room: int, *, more: bool) -> tuple[str, list[Frame]]:
        """The frames to send next, in their order, and their frame id. They are on disk.

        Args:
            room: Bytes that they may have; more if one record has more, or they had so before.
            more: Whether they go with those that are being sent.
        """
        with self._lock:
            chunks = None if self._is_over else self._read(room)
            if chunks is None:
                return "", []
            frame_id = chunks[0].frame_id if chunks else None
            recovered = bool(chunks) and chunks[0].recovered
            is_other = frame_id is not None or recovered != self.in_flight_recovered
            if more and self._in_flight and is_other:
                return "", []
            records = sum([chunk.records for chunk in chunks])
            frames: list[Frame] = []
            for chunk in chunks:
                frames += self._for(destination, chunk.hostname, chunk.frames)
            stored = len(frames)
            ids = [chunk.id for chunk in chunks]
            if frame_id is None:
                frame_id = str(uuid.uuid4())
                try:
                    if not self._recovered and records == self._written:
                        self._add_fresh(frames, room)
                    ids += self._assign(ids, frame_id, frames, stored)
                except BaseException:
                    # A signal's: what was taken from the accumulator is sent next.
                    self._unwritten = frames[stored:] or self._unwritten
                    raise
                frames[stored:] = self._for(destination, self._hostname, frames[stored:])
            if recovered:
                self._recovered -= records
            else:
                self._written -= records
            self._in_flight += ids
            self._in_flight_bytes += _held(frames)
            self.in_flight_recovered = recovered
            self._keep()
            if not self.records:
                self._since = math.inf
            return frame_id, frames

    def divided(self, batch: Batch, destination: Destination) -> None:
        """What is being sent goes on in parts, each with a frame id of its own."""
        stored = self._stored_for(destination.hostname)
        parts = []
        for frame_id, frames in batch.left:
            records = without_own(frames)
            if self._options.has_token:
                records = rewritten(
                    records, lambda frame: self._readdress(frame, destination, stored)
                )
            if records:
                parts.append((frame_id, records))
        with self._lock:
            try:
                self._in_flight = self._spool.replace(
                    self._in_flight,
                    self._stream,
                    destination.hostname,
                    parts,
                    recovered=self.in_flight_recovered,
                )
                self._in_flight_unwritten = 0
            except SpoolError as error:
                self._say(error)

    def settled(self) -> None:
        """What was being sent is delivered or dropped."""
        with self._lock:
            self._undeleted += self._in_flight
            self._in_flight = []
            self._in_flight_bytes = self._in_flight_unwritten = 0
            self.in_flight_recovered = False
            self._tidy()
            self._keep()

    def park(self) -> int:
        """Write all that is left, as there is no later; how many taken records could not be."""
        while self.spill():
            pass
        return records_in(self._unwritten) + self._in_flight_unwritten

    def clear(self) -> None:
        """Nothing of the stream is to be delivered any more."""
        with self._lock:
            self._is_over = True
            self._written = self._recovered = 0
            self._unwritten = []
            self._tidy()

    # The methods below are called with the lock held.

    def _tidy(self) -> None:
        """Delete what is settled."""
        try:
            if self._is_over and not self._is_cleared:
                self._spool.delete_stream(self._stream)
                self._is_cleared = True
            self._spool.delete(self._undeleted)
            self._undeleted = []
        except SpoolError as error:
            self._say(error)

    def _write(self) -> bool:
        try:
            self._spool.write(self._stream, self._hostname, self._unwritten)
        except SpoolError as error:
            self._say(error)
            return False
        self._written += records_in(self._unwritten)
        self._unwritten = []
        self._keep()
        return True

    def _keep(self) -> None:
        self._accumulator.keep(self._in_flight_bytes + _held(self._unwritten))

    def _add_fresh(self, frames: list[Frame], room: int) -> None:
        """What is not on disk yet, as nothing on disk comes before it."""
        if self._unwritten:
            frames += self._unwritten
            self._unwritten = []
        else:
            render = partial(self._render, destination=self._stored_for(self._hostname))
            drain(frames, room, self._accumulator, render, held=self._in_flight_bytes)

    def _assign(self, ids: list[int], frame_id: str, frames: list[Frame], stored: int) -> list[int]:
        """Give what is to be sent its frame id on disk; the ids of the fresh frames there.

        Those for which there is no room are not sent beside what is there.
        """
        fresh = frames[stored:]
        if fresh:
            try:
                added = self._spool.write(self._stream, self._hostname, fresh, frame_id, join=ids)
            except SpoolError as error:
                self._say(error)
            else:
                return [added]
            if not ids:
                # They are sent all the same.
                self._in_flight_unwritten += records_in(fresh)
                return []
            self._unwritten = fresh
            del frames[stored:]
        if ids:
            try:
                self._spool.join(ids, frame_id)
            except SpoolError as error:
                # It is sent all the same.
                self._say(error)
        return []

    def _read(self, room: int) -> list[Chunk] | None:
        """What comes next on disk; None if that cannot be known just now."""
        while self._written or self._recovered:
            try:
                chunks = self._spool.read(
                    self._stream, room, but={*self._in_flight, *self._undeleted}
                )
            except SpoolError as error:
                self._say(error)
                if not self._is_unreadable(error):
                    return None
                chunks = []
            self._unreadable_since = math.inf
            if not chunks:
                self._lose(self._written, recovered=False)
                self._lose(self._recovered, recovered=True)
            elif chunks[0].frames:
                return chunks
            else:
                # It is not what was written.
                self._undeleted.append(chunks[0].id)
                self._lose(chunks[0].records, recovered=chunks[0].recovered)
        return []

    def _is_unreadable(self, error: SpoolError) -> bool:
        """Whether what is on disk is given up; else it is tried again a little later."""
        now = time.monotonic()
        self._unreadable_since = min(self._unreadable_since, now)
        if now - self._unreadable_since > _UNREADABLE:
            self._spool.give_up(str(error))
            return True
        self._read_at = now + _BETWEEN_READS
        return error.for_good

    def _lose(self, records: int, *, recovered: bool) -> None:
        if recovered:
            records = min(records, self._recovered)
            self._recovered -= records
        else:
            records = min(records, self._written)
            self._written -= records
        if records:
            self._accumulator.settle(dropped=records, cause="spool_lost", recovered=recovered)

    def _stored_for(self, hostname: str | None) -> Destination:
        return Destination("", "", _NO_TOKEN, hostname)

    def _for(
        self, destination: Destination, hostname: str | None, frames: Sequence[Frame]
    ) -> Sequence[Frame]:
        """Frames from disk as they are sent."""
        if hostname == destination.hostname and not self._options.has_token:
            return frames
        stored = self._stored_for(hostname)
        return rewritten(frames, lambda frame: self._readdress(frame, stored, destination))

    def _say(self, error: SpoolError) -> None:
        waiting = records_in_words(self._accumulator.counts()[2])
        self._diagnostics.warn(
            "spool", f"spool: {error}; {waiting} pending, new ones wait in memory"
        )


def is_storable(stream_id: Hashable) -> TypeGuard[StreamId]:
    """Whether a stream of this id can be on disk, and be known by it in another process."""
    if type(stream_id) is str:
        return not any("\ud800" <= character <= "\udfff" for character in stream_id)
    return stream_id is None or (type(stream_id) is int and -(2**63) <= stream_id < 2**63)


def _held(frames: Iterable[Frame]) -> int:
    return size(frames) + number(frames) * FRAME_BYTES
