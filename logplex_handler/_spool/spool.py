"""Undelivered batches on disk: one SQLite file for all processes that are given its path.

A row is a chunk of one stream's frames. It belongs to an owner, of which a process has one for each
of its handlers; when that is dead, another one takes its rows over. Chunks that are sent together
have one frame id, which is on disk before they are sent. Neither a URL nor a token is ever written.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from logplex_handler._spool import rows
from logplex_handler._spool.chunk import Chunk, StreamId
from logplex_handler._spool.rows import Place, Served
from logplex_handler._spool.transactions import Transactions
from logplex_handler._wire.frames import Frame


@dataclass(frozen=True)
class SpoolOptions:
    """Where undelivered batches are kept, and how.

    Attributes:
        path: Of the file.
        max_bytes: How large it may be.
        interval: Seconds after which what waits in memory is written to it.
    """

    path: str
    max_bytes: int
    interval: float


class Spool:
    """A handler's rows in the file. Any thread may use it; each method is one transaction.

    The file is opened when it is first used. All methods raise a SpoolError if it cannot be used.
    """

    def __init__(self, options: SpoolOptions) -> None:
        self._transactions = Transactions(options.path, options.max_bytes)
        # The place of the chunk written last; changed within transactions only.
        self._last_place = 0

    def write(
        self,
        stream: StreamId,
        hostname: str | None,
        frames: Sequence[Frame],
        frame_id: str | None = None,
        *,
        join: Collection[int] = (),
    ) -> int:
        """Add a chunk; its id. Those to join get the same frame id."""
        with self._transactions.begin() as db:
            rows.set_frame_id(db, join, frame_id)
            place = Place(self._next_place())
            return rows.insert(db, self._owner, stream, place, hostname, frames, frame_id)

    def join(self, ids: Collection[int], frame_id: str) -> None:
        """Chunks are sent together."""
        with self._transactions.begin() as db:
            rows.set_frame_id(db, ids, frame_id)

    def replace(
        self,
        ids: Collection[int],
        stream: StreamId,
        hostname: str | None,
        parts: Iterable[tuple[str, Sequence[Frame]]],
        *,
        recovered: bool,
    ) -> list[int]:
        """Put parts, each with its frame id, in the place of chunks; their ids."""
        with self._transactions.begin() as db:
            at = min(rows.places(db, ids), default=self._next_place())
            rows.delete(db, ids)
            return [
                rows.insert(
                    db,
                    self._owner,
                    stream,
                    Place(at, part),
                    hostname,
                    frames,
                    frame_id,
                    recovered=recovered,
                )
                for part, (frame_id, frames) in enumerate(parts)
            ]

    def read(
        self, stream: StreamId, max_bytes: int, *, exclude: Collection[int] = ()
    ) -> list[Chunk]:
        """The first chunks of a stream: all of one frame id, or what fits of those without one.

        One that is not what was written comes alone, and without frames.
        """
        chunks: list[Chunk] = []
        size = 0
        with self._transactions.begin(writes=False) as db:
            for chunk in rows.in_order(db, self._owner, stream, exclude):
                if not chunks and chunk.frames and chunk.frame_id is not None:
                    # What was sent together is sent together again, though chunks that other dead
                    # processes have left may stand between.
                    together = rows.of_frame_id(db, self._owner, stream, chunk.frame_id, exclude)
                    return [one for one in together if one.frames]
                if chunks:
                    first = chunks[0]
                    alike = (first.hostname, first.recovered) == (chunk.hostname, chunk.recovered)
                    fits = size + chunk.size <= max_bytes
                    if chunk.frame_id is not None or not (alike and fits and chunk.frames):
                        break
                size += chunk.size
                chunks.append(chunk)
                if not chunk.frames:
                    break
        return chunks

    def delete(self, ids: Collection[int]) -> None:
        """Remove chunks that are settled."""
        if ids:
            with self._transactions.begin() as db:
                rows.delete(db, ids)

    def delete_stream(self, stream: StreamId) -> None:
        """Remove all chunks of a stream."""
        with self._transactions.begin() as db:
            rows.delete(db, rows.ids_of(db, self._owner, stream))

    def take_over(self, served: Served) -> dict[StreamId, int]:
        """Take over what dead processes have left for the streams that are served.

        Returns:
            The number of records of each stream.
        """
        found: dict[StreamId, int] = {}
        with self._transactions.begin() as db:
            owner_lock = self._transactions.owner_lock
            dead = [owner for owner in rows.owners(db) if owner_lock.try_claim(owner)]
            try:
                for owner in dead:
                    for stream, records, place in rows.counts(db, owner, served):
                        found[stream] = found.get(stream, 0) + records
                        # Whatever clock it was by, what is written next comes behind it.
                        self._last_place = max(self._last_place, place)
                    rows.take_over(db, self._owner, owner, served)
                # No other process may find these owners dead while they still have chunks.
                db.execute("COMMIT")
                db.execute("BEGIN")
            finally:
                for owner in dead:
                    owner_lock.release_claim(owner)
        return found

    def give_up(self, why: str) -> None:
        """Do without the file from now on. Its chunks stay this process's until its end."""
        self._transactions.give_up(why)

    def set_deadline(self, deadline: float) -> None:
        """Wait for other processes until then only, on the monotonic clock."""
        self._transactions.set_deadline(deadline)

    def close(self) -> None:
        """Close the file, and let others take over what is left."""
        self._transactions.close()

    @property
    def _owner(self) -> int:
        return self._transactions.owner_lock.owner

    def _next_place(self) -> int:
        """Behind all others; by the clock, so that it is behind those of processes before, too."""
        self._last_place = max(self._last_place + 1, time.time_ns())
        return self._last_place
