"""The statements on the spool's tables. A row of `chunks` is a chunk; `bodies` has its frames.

Each function is a part of one transaction on the given connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from logplex_handler._spool.chunk import NO_ID, Chunk, StreamId, chunk_of, packed
from logplex_handler._wire.frames import Frame

_CHUNKS = (
    "SELECT id, hostname, frame_id, records, recovered, sizes, body "
    "FROM chunks LEFT JOIN bodies USING (id) WHERE owner = ? AND stream IS ? "
)
_IN_ORDER = f"{_CHUNKS} ORDER BY place, part"
_OF_FRAME_ID = f"{_CHUNKS} AND frame_id = ? ORDER BY place, part"
# The streams that a handler serves: its own URL, other streams, or both.
_SERVED = "(stream IS NULL AND ?) OR (stream IS NOT NULL AND ?)"
# A damaged row may hold anything.
_COUNTS = (
    "SELECT stream, sum(max(1, CAST(records AS INTEGER))), max(CAST(place AS INTEGER)) "
    f"FROM chunks WHERE owner = ? AND ({_SERVED}) GROUP BY stream"  # nosec B608
)
_TAKE_OVER = f"UPDATE chunks SET owner = ?, recovered = 1 WHERE owner = ? AND ({_SERVED})"  # nosec B608


class Place(NamedTuple):
    """The position of a chunk among those of its stream.

    Attributes:
        at: Increases from one chunk to the next.
        part: Increases among the chunks that replaced one chunk.
    """

    at: int
    part: int = 0


class Served(NamedTuple):
    """Selects chunks: those of the handler's own URL, and those of other streams."""

    own_url: bool
    streams: bool


def insert(
    db: sqlite3.Connection,
    owner: int,
    stream: StreamId,
    place: Place,
    hostname: str | None,
    frames: Sequence[Frame],
    frame_id: str | None,
    *,
    recovered: bool = False,
) -> int:
    """Add a chunk; return its id."""
    body, sizes, records = packed(frames)
    cursor = db.execute(
        "INSERT INTO chunks "
        "(place, part, owner, recovered, stream, hostname, frame_id, records, sizes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*place, owner, recovered, stream, hostname, frame_id or NO_ID, records, sizes),
    )
    db.execute("INSERT INTO bodies (id, body) VALUES (?, ?)", (cursor.lastrowid, body))
    return cursor.lastrowid or 0


def delete(db: sqlite3.Connection, ids: Collection[int]) -> None:
    """Remove chunks."""
    for table in ("chunks", "bodies"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ids])  # nosec B608


def set_frame_id(db: sqlite3.Connection, ids: Collection[int], frame_id: str | None) -> None:
    """Give chunks one frame id."""
    db.executemany("UPDATE chunks SET frame_id = ? WHERE id = ?", [(frame_id, id) for id in ids])


def places(db: sqlite3.Connection, ids: Collection[int]) -> list[int]:
    """The positions of chunks, as far as they exist."""
    found = [db.execute("SELECT place FROM chunks WHERE id = ?", (id,)) for id in ids]
    return [place for cursor in found for (place,) in cursor]


def ids_of(db: sqlite3.Connection, owner: int, stream: StreamId) -> list[int]:
    """All chunks of a stream."""
    statement = "SELECT id FROM chunks WHERE owner = ? AND stream IS ?"
    return [id for (id,) in db.execute(statement, (owner, stream))]


def in_order(
    db: sqlite3.Connection, owner: int, stream: StreamId, exclude: Collection[int]
) -> Iterator[Chunk]:
    """A stream's chunks, read one by one."""
    for row in db.execute(_IN_ORDER, (owner, stream)):
        if row[0] not in exclude:
            yield chunk_of(*row)


def of_frame_id(
    db: sqlite3.Connection, owner: int, stream: StreamId, frame_id: str, exclude: Collection[int]
) -> list[Chunk]:
    """A stream's chunks that were sent under one frame id, in their order."""
    rows = db.execute(_OF_FRAME_ID, (owner, stream, frame_id))
    return [chunk_of(*row) for row in rows if row[0] not in exclude]


def owners(db: sqlite3.Connection) -> list[int]:
    """All owners of chunks, dead or alive."""
    return [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM chunks")]


def counts(
    db: sqlite3.Connection, owner: int, served: Served
) -> Iterator[tuple[StreamId, int, int]]:
    """The id, the number of records and the last position of each stream of an owner."""
    yield from db.execute(_COUNTS, (owner, *served))


def take_over(db: sqlite3.Connection, owner: int, dead: int, served: Served) -> None:
    """Give the chunks of a dead owner to another one."""
    db.execute(_TAKE_OVER, (owner, dead, *served))
