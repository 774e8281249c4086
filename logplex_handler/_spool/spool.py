"""Undelivered batches on disk, in one SQLite file for all processes that use its path.

A row is a chunk of one stream's frames. It belongs to an owner; a process has one owner for each of
its handlers. When an owner is dead, another one takes over its rows. Chunks that are sent together
have one frame id, which is on disk before they are sent. Neither a URL nor a token is ever written.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._spool.chunk import NO_ID, Chunk, StreamId, chunk_of, packed
from logplex_handler._spool.transactions import Transactions
from logplex_handler._wire.frames import Frame

_INSERT = (
    "INSERT INTO chunks "
    "(place, part, stream, hostname, frame_id, recovered, owner, records, sizes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SET_FRAME_ID = "UPDATE chunks SET frame_id = ? WHERE id = ?"
_CHUNKS = (
    "SELECT id, hostname, frame_id, records, recovered, sizes, body "
    "FROM chunks LEFT JOIN bodies USING (id) WHERE owner = ? AND stream IS ? "
)
_IN_ORDER = f"{_CHUNKS} ORDER BY place, part"
_OF_FRAME_ID = f"{_CHUNKS} AND frame_id = ? ORDER BY place, part"
_SERVED = "(stream IS NULL AND ?) OR (stream IS NOT NULL AND ?)"
# A damaged row may hold anything.
_COUNTS = (
    "SELECT stream, sum(max(1, CAST(records AS INTEGER))), max(CAST(place AS INTEGER)) "
    f"FROM chunks WHERE owner = ? AND ({_SERVED}) GROUP BY stream"  # nosec B608
)
_TAKE_OVER = f"UPDATE chunks SET owner = ?, recovered = 1 WHERE owner = ? AND ({_SERVED})"  # nosec B608


@dataclass(frozen=True)
class SpoolOptions:
    """The path of the file, its largest size, and the seconds between two writes."""

    path: str
    max_bytes: int
    interval: float


class Served(NamedTuple):
    """The chunks that a handler sends: those of its own URL, and those of other streams."""

    own_url: bool
    streams: bool


class Spool(Transactions):
    """A handler's rows in the file. Any thread may use it.

    Each method here is one transaction, except `take_over`, which is two. They raise a SpoolError
    if the file cannot be used.
    """

    def __init__(self, options: SpoolOptions) -> None:
        super().__init__(options.path, options.max_bytes)
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
        """Add a chunk and return its id. The chunks to join get the same frame id."""
        with self.begin() as db:
            _set_frame_id(db, join, frame_id)
            columns = (self._next_place(), 0, stream, hostname, frame_id or NO_ID, False)
            return self._insert(db, frames, *columns)

    def join(self, ids: Collection[int], frame_id: str) -> None:
        """Give one frame id to chunks that are sent together."""
        with self.begin() as db:
            _set_frame_id(db, ids, frame_id)

    def replace(
        self,
        ids: Collection[int],
        stream: StreamId,
        hostname: str | None,
        parts: Iterable[tuple[str, Sequence[Frame]]],
        *,
        recovered: bool,
    ) -> list[int]:
        """Replace chunks by parts, each with its frame id; return the ids of the parts."""
        with self.begin() as db:
            found = [db.execute("SELECT place FROM chunks WHERE id = ?", (id,)) for id in ids]
            places = [place for cursor in found for (place,) in cursor]
            at = min(places, default=self._next_place())
            _delete(db, ids)
            return [
                self._insert(db, frames, at, part, stream, hostname, frame_id, recovered)
                for part, (frame_id, frames) in enumerate(parts)
            ]

    def read(
        self, stream: StreamId, max_bytes: int, *, exclude: Collection[int] = ()
    ) -> list[Chunk]:
        """Return the first chunks of a stream: all of one frame id, or as many as fit without one.

        A damaged chunk comes alone, and without frames.
        """
        chunks: list[Chunk] = []
        size = 0
        with self.begin(writes=False) as db:
            for chunk in _chunks(db, _IN_ORDER, (self._owner, stream), exclude):
                if not chunks and chunk.frames and chunk.frame_id is not None:
                    # Chunks that were sent together are sent together again, even if chunks of
                    # other dead processes come in between.
                    key = (self._owner, stream, chunk.frame_id)
                    together = _chunks(db, _OF_FRAME_ID, key, exclude)
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
        if ids:
            with self.begin() as db:
                _delete(db, ids)

    def delete_stream(self, stream: StreamId) -> None:
        with self.begin() as db:
            statement = "SELECT id FROM chunks WHERE owner = ? AND stream IS ?"
            _delete(db, [id for (id,) in db.execute(statement, (self._owner, stream))])

    def take_over(self, served: Served) -> dict[StreamId, int]:
        """Take over the chunks of dead owners; return the number of records of each stream."""
        found: dict[StreamId, int] = {}
        with self.begin() as db:
            owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM chunks")]
            dead = [owner for owner in owners if self.owner_lock.try_claim(owner)]
            try:
                for owner in dead:
                    for stream, records, place in db.execute(_COUNTS, (owner, *served)):
                        found[stream] = found.get(stream, 0) + records
                        # The next chunk comes after this one, whatever clock the dead process used.
                        self._last_place = max(self._last_place, place)
                    db.execute(_TAKE_OVER, (self._owner, owner, *served))
                # Before the claims are released, or another process could take the chunks as well.
                db.execute("COMMIT")
                db.execute("BEGIN")
            finally:
                for owner in dead:
                    self.owner_lock.release_claim(owner)
        return found

    @property
    def _owner(self) -> int:
        return self.owner_lock.owner

    def _insert(
        self, db: sqlite3.Connection, frames: Sequence[Frame], *columns: str | int | None
    ) -> int:
        """Add a chunk with these columns, in the order of the statement, and return its id."""
        body, sizes, records = packed(frames)
        id = db.execute(_INSERT, (*columns, self._owner, records, sizes)).lastrowid
        db.execute("INSERT INTO bodies (id, body) VALUES (?, ?)", (id, body))
        return id or 0

    def _next_place(self) -> int:
        """A place after all others, including those of earlier processes: the clock gives it."""
        self._last_place = max(self._last_place + 1, time.time_ns())
        return self._last_place


def _set_frame_id(db: sqlite3.Connection, ids: Collection[int], frame_id: str | None) -> None:
    db.executemany(_SET_FRAME_ID, [(frame_id, id) for id in ids])


def _delete(db: sqlite3.Connection, ids: Collection[int]) -> None:
    for table in ("chunks", "bodies"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ids])  # nosec B608


def _chunks(
    db: sqlite3.Connection, statement: str, key: tuple[object, ...], exclude: Collection[int]
) -> Iterator[Chunk]:
    """The chunks that a statement finds, read one by one."""
    for row in db.execute(statement, key):
        if row[0] not in exclude:
            yield chunk_of(*row)
