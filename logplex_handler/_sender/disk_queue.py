"""The chunks of one stream on disk: which are next, and which are settled but not deleted yet.

Chunks of dead processes come first, then those of this process. Errors of the disk are reported
here, and the caller gets False or None. Records that can never be read are counted as lost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._spool.chunk import Chunk, StreamId, records_in
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.spool import Spool
from logplex_handler._wire.frames import Frame, PieceFrame, SplitRecord, goes_on, resumed

T = TypeVar("T")

# Seconds after which a failed read is repeated; and seconds of failure after which the records on
# disk are given up, so that those in memory are sent.
_BETWEEN_READS = 0.1
_UNREADABLE = 60.0


class DiskQueue:
    """The chunks of one stream. The owner guards it.

    Attributes:
        written: The number of records on disk that this process has written, except leased ones.
        recovered: The number of records on disk that other processes have left, except leased ones.
        since: When the first record that makes a batch due came, on the monotonic clock.
        has_ended: Whether the stream has ended, so that nothing is delivered any more.
    """

    __slots__ = (
        "_accumulator", "_begun", "_diagnostics", "_is_cleared", "_read_at", "_settled", "_spool",
        "_stream", "_unreadable_since", "has_ended", "recovered", "since", "written",
    )  # fmt: skip

    def __init__(
        self, stream: StreamId, spool: Spool, accumulator: Accumulator, diagnostics: Diagnostics
    ) -> None:
        self._stream = stream
        self._spool = spool
        self._accumulator = accumulator
        self._diagnostics = diagnostics
        self.written = 0
        self.recovered = 0
        self.since = math.inf
        # Settled chunks that could not be deleted yet, with their frame ids, which are held so that
        # a relay remembers them. And whether an ended stream was deleted as a whole.
        self._settled: dict[int, str | None] = {}
        # The record that the last chunk has begun, and when that chunk was written.
        self._begun: tuple[float, SplitRecord] | None = None
        self.has_ended = self._is_cleared = False
        # When the disk may be read again, and since when it could not be, on the monotonic clock.
        self._read_at = -math.inf
        self._unreadable_since = math.inf

    @property
    def is_synced(self) -> bool:
        return not self._settled and (self._is_cleared or not self.has_ended)

    @property
    def is_gone(self) -> bool:
        return self._spool.is_gone

    def patience(self) -> float:
        return self._spool.patience()

    def readable_in(self, now: float) -> float:
        return max(0.0, self._read_at - now)

    def append(
        self,
        hostname: str | None,
        frames: Sequence[Frame],
        frame_id: str | None = None,
        join: Collection[int] = (),
    ) -> int | None:
        """Write frames as a chunk; return its id, or None if it could not be written.

        The frames wait or, with a frame id, are leased at once. The leased chunks in `join` are
        sent together with the new one, and get the same frame id.
        """
        chunk = self._tried(
            lambda: self._spool.write(self._stream, hostname, frames, frame_id, join=join)
        )
        if chunk is not None and frame_id is None:
            self.written += records_in(frames)
        return chunk

    def join(self, chunks: Collection[int], frame_id: str) -> None:
        """Write the frame id under which chunks are sent together, if that is possible."""
        self._tried(lambda: self._spool.join(chunks, frame_id))

    def next_chunks(self, max_bytes: int, leased: Collection[int]) -> list[Chunk] | None:
        """Return the chunks to send next, except leased ones; None if the disk cannot be read."""
        while self.written or self.recovered:
            try:
                chunks = self._spool.read(
                    self._stream, max_bytes, exclude={*leased, *self._settled}
                )
            except SpoolError as error:
                self._report(error)
                if not self._is_unreadable(error):
                    return None
                chunks = []
            self._unreadable_since = math.inf
            if not chunks:
                self._lose(self.written)
                self._lose(self.recovered, recovered=True)
            elif chunks[0].frames:
                self._count_unforeseen(chunks)
                return chunks
            else:
                # The file is damaged: the chunks are not what was written.
                for chunk in chunks:
                    self._lose(chunk.records, recovered=chunk.recovered)
                self.settle([chunk.id for chunk in chunks])
        return []

    def _count_unforeseen(self, chunks: Sequence[Chunk]) -> None:
        """Count records of the chunks that another program has added to this stream."""
        records = sum([chunk.records for chunk in chunks])
        if chunks[0].recovered and records > self.recovered:
            self._accumulator.count_recovered(records - self.recovered)
            self.recovered = records
        elif not chunks[0].recovered and records > self.written:
            self._accumulator.count_unforeseen(records - self.written)
            self.written = records

    def frames_of(self, chunk: Chunk) -> list[Frame]:
        """Return the frames of the next chunk; those of a record that was cut are linked."""
        frames = chunk.frames
        if self._begun is not None and self._begun[0] == chunk.written_at:
            frames = resumed(frames, self._begun[1])
        last = frames[-1]
        self._begun = None
        if isinstance(last, PieceFrame) and last.record.goes_on:
            self._begun = chunk.written_at, last.record
        return frames

    def lease(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            counts = self._accumulator
            if chunk.recovered:
                self.recovered -= chunk.records
                count = counts.count_recovered
            else:
                self.written -= chunk.records
                count = counts.count_unforeseen
            if goes_on(chunk.frames):
                # The next chunk has it, too.
                count(-1)

    def replace(
        self,
        chunks: Collection[int],
        hostname: str | None,
        parts: Sequence[tuple[str, Sequence[Frame]]],
        *,
        recovered: bool,
    ) -> list[int] | None:
        """Replace leased chunks by parts with their frame ids; return the ids of the new chunks."""
        return self._tried(
            lambda: self._spool.replace(chunks, self._stream, hostname, parts, recovered=recovered)
        )

    def settle(self, chunks: Iterable[int], frame_id: str | None = None) -> None:
        """Delete leased chunks, which were sent under this id, now or later."""
        self._settled |= dict.fromkeys(chunks, frame_id)
        self.delete_settled()

    def end(self) -> None:
        self.has_ended = True
        self._is_cleared = False
        self.written = self.recovered = 0
        self.delete_settled()

    def delete_settled(self) -> None:
        try:
            if self.has_ended and not self._is_cleared:
                self._spool.delete_stream(self._stream)
                self._is_cleared = True
            self._spool.delete(self._settled)
            self._settled = {}
        except SpoolError as error:
            self._report(error)

    def _is_unreadable(self, error: SpoolError) -> bool:
        """Record that the disk failed; return whether its records are given up for good."""
        now = time.monotonic()
        self._unreadable_since = min(self._unreadable_since, now)
        if now - self._unreadable_since > _UNREADABLE:
            self._spool.give_up(str(error))
            return True
        self._read_at = now + _BETWEEN_READS
        return error.for_good

    def _lose(self, records: int, *, recovered: bool = False) -> None:
        if recovered:
            records = min(records, self.recovered)
            self.recovered -= records
        else:
            records = min(records, self.written)
            self.written -= records
        if records:
            self._accumulator.settle(dropped=records, cause="spool_lost", recovered=recovered)

    def _tried(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except SpoolError as error:
            self._report(error)
            return None

    def _report(self, error: SpoolError) -> None:
        waiting = records_in_words(self._accumulator.counts()[2])
        self._diagnostics.warn(
            "spool", f"spool: {error}; {waiting} pending, new ones wait in memory"
        )
