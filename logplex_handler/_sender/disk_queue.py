"""What one stream has on disk: which chunks come next, and which are settled but not yet deleted.

First comes what other processes have left, then what this one has written. Each error of the disk
is reported and answered by False or None; what cannot be read for good is counted as lost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import TypeGuard

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._spool.chunk import Chunk, StreamId, records_in
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.store import Spool
from logplex_handler._wire.frames import Frame

# Seconds after which a disk that could not be read is tried again, and how long it may fail before
# the records on it are given up, so that those in memory are sent.
_BETWEEN_READS = 0.1
_UNREADABLE = 60.0


class DiskQueue:
    """The chunks of one stream. Its owner guards it.

    Args:
        stream: The stream's id, as it is written to disk.
        accumulator: Counts what is lost.

    Attributes:
        written: Records of this process that are on disk and not leased.
        recovered: Those that other processes have left.
        since: When the first of them came that is a reason to send, on the monotonic clock.
        has_ended: Whether nothing of the stream is delivered any more.
    """

    __slots__ = (
        "_accumulator",
        "_diagnostics",
        "_is_cleared",
        "_read_at",
        "_settled",
        "_spool",
        "_stream",
        "_unreadable_since",
        "has_ended",
        "recovered",
        "since",
        "written",
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
        # Chunks that are settled and could not be deleted; and whether all of the stream's were.
        self._settled: list[int] = []
        self.has_ended = self._is_cleared = False
        # When the disk may be read again, and since when it could not be, on the monotonic clock.
        self._read_at = -math.inf
        self._unreadable_since = math.inf

    @property
    def is_synced(self) -> bool:
        """Whether the disk has deleted all that is settled."""
        return not self._settled and (self._is_cleared or not self.has_ended)

    def readable_in(self, now: float) -> float:
        """Seconds until the disk may be read again."""
        return max(0.0, self._read_at - now)

    def append(self, hostname: str | None, frames: Sequence[Frame]) -> bool:
        """Write frames as a chunk, for later; whether that is done."""
        try:
            self._spool.write(self._stream, hostname, frames)
        except SpoolError as error:
            self._report(error)
            return False
        self.written += records_in(frames)
        return True

    def append_leased(
        self,
        hostname: str | None,
        frames: Sequence[Frame],
        frame_id: str,
        join: Collection[int],
    ) -> int | None:
        """Write frames that are sent now, with these chunks, under one frame id; their chunk."""
        try:
            return self._spool.write(self._stream, hostname, frames, frame_id, join=join)
        except SpoolError as error:
            self._report(error)
            return None

    def join(self, chunks: Collection[int], frame_id: str) -> None:
        """Chunks are sent together, under one frame id. They are even if that cannot be written."""
        try:
            self._spool.join(chunks, frame_id)
        except SpoolError as error:
            self._report(error)

    def next_chunks(self, max_bytes: int, leased: Collection[int]) -> list[Chunk] | None:
        """What comes next but for what is leased; None if that cannot be known just now."""
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
                self._lose(self.written, recovered=False)
                self._lose(self.recovered, recovered=True)
            elif chunks[0].frames:
                return chunks
            else:
                # The file is damaged: this is not what was written.
                self._settled.append(chunks[0].id)
                self._lose(chunks[0].records, recovered=chunks[0].recovered)
        return []

    def lease(self, chunks: Iterable[Chunk]) -> None:
        """These chunks are sent: they do not wait any more."""
        for chunk in chunks:
            if chunk.recovered:
                self.recovered -= chunk.records
            else:
                self.written -= chunk.records

    def replace(
        self,
        chunks: Collection[int],
        hostname: str | None,
        parts: Iterable[tuple[str, Sequence[Frame]]],
        *,
        recovered: bool,
    ) -> list[int] | None:
        """Write parts with their frame ids in the place of leased chunks; their chunks."""
        try:
            return self._spool.replace(chunks, self._stream, hostname, parts, recovered=recovered)
        except SpoolError as error:
            self._report(error)
            return None

    def settle(self, chunks: Iterable[int]) -> None:
        """Leased chunks are settled."""
        self._settled += chunks
        self.delete_settled()

    def end(self) -> None:
        """Delete all of the stream, now or later."""
        self.has_ended = True
        self.written = self.recovered = 0
        self.delete_settled()

    def delete_settled(self) -> None:
        """Delete what is settled and could not be deleted before."""
        try:
            if self.has_ended and not self._is_cleared:
                self._spool.delete_stream(self._stream)
                self._is_cleared = True
            self._spool.delete(self._settled)
            self._settled = []
        except SpoolError as error:
            self._report(error)

    def _is_unreadable(self, error: SpoolError) -> bool:
        """Whether what is on disk is given up; else it is read again a little later."""
        now = time.monotonic()
        self._unreadable_since = min(self._unreadable_since, now)
        if now - self._unreadable_since > _UNREADABLE:
            self._spool.give_up(str(error))
            return True
        self._read_at = now + _BETWEEN_READS
        return error.for_good

    def _lose(self, records: int, *, recovered: bool) -> None:
        if recovered:
            records = min(records, self.recovered)
            self.recovered -= records
        else:
            records = min(records, self.written)
            self.written -= records
        if records:
            self._accumulator.settle(dropped=records, cause="spool_lost", recovered=recovered)

    def _report(self, error: SpoolError) -> None:
        waiting = records_in_words(self._accumulator.counts()[2])
        self._diagnostics.warn(
            "spool", f"spool: {error}; {waiting} pending, new ones wait in memory"
        )


def is_storable(stream_id: Hashable) -> TypeGuard[StreamId]:
    """Whether a stream of this id can be on disk, and be known by it in another process."""
    if type(stream_id) is str:
        return not any("\ud800" <= character <= "\udfff" for character in stream_id)
    return stream_id is None or (type(stream_id) is int and -(2**63) <= stream_id < 2**63)
