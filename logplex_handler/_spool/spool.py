"""Undelivered frames on disk, in one SQLite file for all processes that use its path.

A chunk holds frames of one stream. It belongs to an owner; a process has one owner for each of its
handlers. When an owner is dead, another one takes over its chunks. Chunks that are sent together
have one frame id, which is on disk before they are sent. Neither a URL nor a token is ever written.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import NamedTuple

from logplex_handler._spool.chunk import (
    MAX_STREAM_ID,
    NO_ID,
    Chunk,
    StreamId,
    chunk_of,
    is_stream_id,
    packed,
    records_of,
)
from logplex_handler._spool.owner_locks import MAX_OWNER
from logplex_handler._spool.transactions import Transactions
from logplex_handler._wire.frames import Frame, goes_on

_INSERT = (
    "INSERT INTO chunks "
    "(place, part, stream, hostname, frame_id, recovered, owner, records, sizes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SET_FRAME_ID = "UPDATE chunks SET frame_id = ? WHERE id = ?"
# Content that is too long to be a spool's is not read.
_CHUNKS = (
    "SELECT id, substr(hostname, 1, 256), substr(frame_id, 1, 37), records, recovered, place, "
    "CASE WHEN length(CAST(sizes AS BLOB)) > :longest THEN '' ELSE sizes END, "
    "CASE WHEN length(body) <= :longest THEN body END "
    "FROM chunks LEFT JOIN bodies USING (id) WHERE owner = :owner AND stream IS :stream "
)
_IN_ORDER = f"{_CHUNKS} ORDER BY place, part"
_OF_FRAME_ID = f"{_CHUNKS} AND frame_id = :frame_id ORDER BY place, part"
# Chunks with an impossible owner get this one, which is always dead.
_NO_OWNER = 0
_DISOWN = (
    f"UPDATE chunks SET owner = {_NO_OWNER} "  # nosec B608
    f"WHERE typeof(owner) <> 'integer' OR owner NOT BETWEEN {_NO_OWNER} AND {MAX_OWNER}"
)
_SERVED = "(stream IS NULL AND ?) OR (stream IS NOT NULL AND ?)"
# The most bytes of a chunk's columns without the body: far more than the sizes of its records need.
# Moving a chunk takes as much room again.
_MAX_COLUMNS = 4_000_000


def _lengths(*columns: str) -> str:
    """As SQL. Without the cast, a text is only as long as the part before its first NUL."""
    return " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)


# Chunks of other handlers' streams are left, unless no stream has such an id: what the index holds
# of them is read at each step through it.
_IS_LONG = f"{_lengths('stream', 'place', 'part')} > {5 * MAX_STREAM_ID}"
_LEFT = (
    f"SELECT id, CASE WHEN {_lengths('hostname', 'frame_id', 'sizes')} > {_MAX_COLUMNS} "  # nosec B608
    f"OR {_IS_LONG} THEN x'' ELSE stream END, "
    f"records, place FROM chunks WHERE owner = ? AND ({_SERVED} OR {_IS_LONG})"
)
_TAKE_OVER = f"UPDATE chunks SET owner = ?, recovered = 1 WHERE owner = ? AND ({_SERVED})"  # nosec B608
# The latest place, in nanoseconds since the epoch: the year 2116. No clock is that wrong.
_MAX_PLACE = 2**62
# The number of pages by which a file may be too large while chunks are taken over.
_SPARE_PAGES = 64
# The most damaged chunks that are read at a time.
_MAX_DAMAGED = 1000


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
    """A handler's chunks in the file. Any thread may use it.

    Each method is one transaction, except `take_over`, which is two. All raise a SpoolError if the
    file cannot be used.
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
        parts: Sequence[tuple[str, Sequence[Frame]]],
        *,
        recovered: bool,
    ) -> list[int]:
        """Replace chunks by parts, each with its frame id; return the ids of the parts."""
        with self.begin() as db:
            found = [db.execute("SELECT place FROM chunks WHERE id = ?", (id,)) for id in ids]
            places = [place for cursor in found for (place,) in cursor]
            at = min(places, default=self._next_place())
            _delete(db, ids)
            written = []
            for part, (frame_id, frames) in enumerate(parts):
                columns = at, part, stream, hostname, frame_id, recovered
                after = parts[part + 1][1] if part + 1 < len(parts) else ()
                written.append(self._insert(db, frames, *columns, after=after))
            return written

    def read(
        self, stream: StreamId, max_bytes: int, *, exclude: Collection[int] = ()
    ) -> list[Chunk]:
        """Return the first chunks of a stream: all of one frame id, or as many as fit without one.

        If the first chunk is damaged, only damaged chunks are returned, without frames.
        """
        key = {"owner": self._owner, "stream": stream, "longest": self._max_bytes}
        with self.begin(writes=False) as db:
            rows = _chunks(db, _IN_ORDER, key, exclude, max_bytes)
            first = next(rows, None)
            if first is None:
                return []
            if not first.frames:
                damaged = takewhile(lambda chunk: not chunk.frames, rows)
                return [first, *islice(damaged, _MAX_DAMAGED)]
            if first.frame_id is not None:
                # Chunks that were sent together are sent together again, even if chunks of other
                # dead processes come in between.
                key["frame_id"] = first.frame_id
                together = _chunks(db, _OF_FRAME_ID, key, exclude, self._max_bytes)
                sent = (chunk for chunk in together if chunk.frames and chunk.id != first.id)
                return _of_one_origin(first, sent)
            unsent = takewhile(lambda chunk: chunk.frames and chunk.frame_id is None, rows)
            alike = takewhile(lambda chunk: chunk.hostname == first.hostname, unsent)
            return _of_one_origin(first, alike)

    def delete(self, ids: Collection[int]) -> None:
        if ids:
            with self.begin() as db:
                _delete(db, ids)

    def delete_stream(self, stream: StreamId) -> None:
        with self.begin() as db:
            statement = "SELECT id FROM chunks WHERE owner = ? AND stream IS ?"
            _delete(db, [id for (id,) in db.execute(statement, (self._owner, stream))])

    def give_back(self, stream: StreamId) -> None:
        """Leave the chunks of a stream to whoever takes them over next, perhaps this handler."""
        with self.begin() as db:
            statement = "UPDATE chunks SET owner = ? WHERE owner = ? AND stream IS ?"
            db.execute(statement, (_NO_OWNER, self._owner, stream))

    def take_over(self, served: Served) -> tuple[dict[StreamId, int], int]:
        """Take over the chunks of dead owners.

        Returns:
            The number of records of each stream, and the number of those whose stream is damaged.
        """
        found: Counter[StreamId] = Counter()
        lost = 0
        with self.begin() as db, _spare_pages(db):
            db.execute(_DISOWN)
            owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM chunks")]
            dead = [owner for owner in owners if self.owner_lock.try_claim(owner)]
            try:
                for owner in dead:
                    lost += self._adopt(db, owner, served, found)
                # Commit before the claims are released, or another process could take the chunks,
                # too.
                db.execute("COMMIT")
                db.execute("BEGIN")
            finally:
                for owner in dead:
                    self.owner_lock.release_claim(owner)
        return found, lost

    def _adopt(
        self, db: sqlite3.Connection, owner: int, served: Served, found: Counter[StreamId]
    ) -> int:
        """Take over the chunks of an owner, and count their records; return how many are lost."""
        unusable: list[int] = []
        misplaced: list[tuple[int]] = []
        lost = 0
        for id, stream, records, place in db.execute(_LEFT, (owner, *served)):
            if not is_stream_id(stream):
                unusable.append(id)
                lost += records_of(records)
                continue
            found[stream] += records_of(records)
            if isinstance(place, int) and place < _MAX_PLACE:
                # The next chunk comes after this one, whatever clock the dead process used.
                self._last_place = max(self._last_place, place)
            else:
                misplaced.append((id,))
        _delete(db, unusable)
        db.executemany("UPDATE chunks SET place = 0 WHERE id = ?", misplaced)
        db.execute(_TAKE_OVER, (self._owner, owner, *served))
        return lost

    @property
    def _owner(self) -> int:
        return self.owner_lock.owner

    def _insert(
        self,
        db: sqlite3.Connection,
        frames: Sequence[Frame],
        *columns: str | int | None,
        after: Sequence[Frame] = (),
    ) -> int:
        """Add a chunk with these columns, in the order of the statement, and return its id."""
        body, sizes, records = packed(frames, is_cut=goes_on(frames, after))
        id = db.execute(_INSERT, (*columns, self._owner, records, sizes)).lastrowid
        db.execute("INSERT OR REPLACE INTO bodies (id, body) VALUES (?, ?)", (id, body))
        return id or 0

    def _next_place(self) -> int:
        """Return a place after all others, including those of earlier processes, by the clock."""
        self._last_place = max(self._last_place + 1, time.time_ns())
        return self._last_place


@contextlib.contextmanager
def _spare_pages(db: sqlite3.Connection) -> Iterator[None]:
    """Let chunks move within a full file, for which SQLite may briefly need more pages."""
    [(pages,)] = db.execute("PRAGMA max_page_count")
    db.execute(f"PRAGMA max_page_count = {pages + _SPARE_PAGES:d}")
    try:
        yield
    finally:
        db.execute(f"PRAGMA max_page_count = {pages:d}")


def _set_frame_id(db: sqlite3.Connection, ids: Collection[int], frame_id: str | None) -> None:
    db.executemany(_SET_FRAME_ID, [(frame_id, id) for id in ids])


def _delete(db: sqlite3.Connection, ids: Collection[int]) -> None:
    for table in ("chunks", "bodies"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ids])  # nosec B608


def _chunks(
    db: sqlite3.Connection,
    statement: str,
    key: Mapping[str, object],
    exclude: Collection[int],
    max_bytes: int,
) -> Iterator[Chunk]:
    """Yield the first chunk that a statement finds, and as many of the next ones as fit.

    A chunk that does not fit is not unpacked, which costs more than reading it.
    """
    found = False
    for row in db.execute(statement, key):
        if row[0] not in exclude:
            body = row[-1]
            max_bytes -= len(body) if isinstance(body, bytes) else 0
            if found and max_bytes < 0:
                return
            found = True
            yield chunk_of(*row)


def _of_one_origin(first: Chunk, others: Iterable[Chunk]) -> list[Chunk]:
    return [first, *takewhile(lambda chunk: chunk.recovered == first.recovered, others)]
