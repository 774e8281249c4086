"""Undelivered batches on disk: one SQLite file for all processes that are given its path.

A row is a chunk of one stream's frames. It belongs to an owner, of which a process has one for each
of its handlers; when that is dead, another takes its rows over. Chunks that are sent together have
one frame id, which is on disk before they are sent. Neither a URL nor a token is ever written.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from logplex_handler._process import forks
from logplex_handler._spool.chunk import NO_ID, Chunk, chunk_of, packed
from logplex_handler._spool.database import SpoolError, opened
from logplex_handler._spool.owner_locks import OwnerLock
from logplex_handler._wire.frames import Frame

# Seconds that one process waits for the others' transactions, each of which takes milliseconds, and
# after which it sees how long it may; and where time is over, but what is not written is lost.
_PATIENCE = 5.0
_LOOK = 0.05
_LAST_PATIENCE = 0.2
StreamId = str | int | None


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
        self._path = os.path.realpath(options.path)
        self._max_bytes = options.max_bytes
        # Guards all below. Re-entrant as a signal may strike under it whose handler flushes.
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._owner_lock: OwnerLock | None = None
        # Why it cannot be used any more, and whether that is for the file's sake.
        self._broken = ""
        self._is_damaged = False
        # When somebody who closes wants to be through, on the monotonic clock; and whether others
        # were still in the way then.
        self._end_by = math.inf
        self._is_hopeless = False
        self._number = next(_numbers)
        self._last_place = 0
        forks.register_guard(self)

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
        with self._transaction() as db:
            _set_frame_id(db, join, frame_id)
            self._last_place = max(self._last_place + 1, time.time_ns())
            return self._insert(db, stream, hostname, frames, frame_id, self._last_place, 0)

    def join(self, ids: Collection[int], frame_id: str) -> None:
        """They are sent together."""
        with self._transaction() as db:
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
        """In the place of some chunks, those that they were divided into; their ids."""
        with self._transaction() as db:
            places = [place for id in ids for (place,) in db.execute(_PLACE_OF, (id,))]
            _delete(db, ids)
            self._last_place = max(self._last_place + 1, time.time_ns())
            place = min(places, default=self._last_place)
            new = []
            for part, (frame_id, frames) in enumerate(parts):
                id = self._insert(db, stream, hostname, frames, frame_id, place, part)
                db.execute("UPDATE chunks SET recovered = ? WHERE id = ?", (recovered, id))
                new.append(id)
            return new

    def read(self, stream: StreamId, max_bytes: int, *, but: Collection[int] = ()) -> list[Chunk]:
        """The first chunks of a stream: all of one frame id, or what fits beside one without.

        One that is not what was written comes alone, and without frames.
        """
        chunks: list[Chunk] = []
        size = 0
        with self._transaction(writes=False) as db:
            for row in db.execute(_IN_ORDER, (self._owner, stream)):
                if row[0] in but:
                    continue
                chunk = chunk_of(*row)
                if not chunks and chunk.frames and chunk.frame_id is not None:
                    # What was sent together is so again, though chunks of others that have died may
                    # stand between.
                    found = db.execute(_OF_FRAME_ID, (self._owner, stream, chunk.frame_id))
                    together = [chunk_of(*row) for row in found if row[0] not in but]
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
        """They are settled."""
        if ids:
            with self._transaction() as db:
                _delete(db, ids)

    def delete_stream(self, stream: StreamId) -> None:
        """All of a stream's is settled."""
        with self._transaction() as db:
            found = db.execute(_IDS_OF, (self._owner, stream))
            _delete(db, [id for (id,) in found])

    def recover(self, *, own_url: bool, streams: bool) -> dict[StreamId, int]:
        """Take over what dead processes have left for the handler's own URL or for its streams.

        How many records there are for each.
        """
        found: dict[StreamId, int] = {}
        with self._transaction() as db:
            owner_lock = self._owner_lock
            owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM chunks")]
            dead = [
                owner for owner in owners if owner_lock is not None and owner_lock.take_over(owner)
            ]
            try:
                for owner in dead:
                    ours = "(stream IS NULL AND ?) OR (stream IS NOT NULL AND ?)"
                    arguments = (owner, own_url, streams)
                    counts = (
                        # Whatever a damaged one may hold.
                        "SELECT stream, sum(max(1, CAST(records AS INTEGER))), "
                        "max(CAST(place AS INTEGER)) FROM chunks "
                        f"WHERE owner = ? AND ({ours}) GROUP BY stream"  # nosec B608
                    )
                    for stream, records, place in db.execute(counts, arguments):
                        found[stream] = found.get(stream, 0) + records
                        # Whatever clock it was by, what comes now comes behind it.
                        self._last_place = max(self._last_place, place)
                    db.execute(
                        f"UPDATE chunks SET owner = ?, recovered = 1 WHERE owner = ? AND ({ours})",  # nosec B608
                        (self._owner, *arguments),
                    )
                # Nobody else may see them dead before they have nothing any more.
                db.execute("COMMIT")
                db.execute("BEGIN")
            finally:
                for owner in dead:
                    if owner_lock is not None:
                        owner_lock.let_go(owner)
        return found

    def give_up(self, why: str) -> None:
        """Do without from now on. What is in the file stays this process's until its end."""
        with self._lock:
            self._broken = self._broken or why
            self._is_damaged = True

    def end_by(self, deadline: float) -> None:
        """From now on others are not waited for beyond the deadline, on the monotonic clock."""
        self._end_by = deadline

    def close(self) -> None:
        """Close the file, and let others take over what is left."""
        self._broken = self._broken or "closed"
        if self._lock.acquire(timeout=self._patience()):
            self._disconnect()
            if self._owner_lock is not None:
                self._owner_lock.end()
            self._lock.release()

    @property
    def _owner(self) -> int:
        return self._owner_lock.owner if self._owner_lock is not None else 0

    @contextlib.contextmanager
    def _transaction(self, *, writes: bool = True) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=self._patience()):
            raise self._failure(sqlite3.OperationalError("locked"))
        try:
            db = self._connected()
            if db.in_transaction:
                # A signal has interrupted one.
                raise SpoolError("in use")
            try:
                self._patiently(lambda: db.execute("BEGIN IMMEDIATE" if writes else "BEGIN"))
                yield db
                db.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._failure(error) from None
                raise
        finally:
            self._lock.release()

    def _patiently(self, call: Callable[[], object]) -> None:
        """Call it again while others are in the way."""
        began = time.monotonic()
        while True:
            try:
                call()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() - began >= self._patience():
                    raise
            # SQLite waits by itself, but not where the journal's mode changes.
            time.sleep(_LOOK / 10)

    def _patience(self) -> float:
        """Seconds to wait for others."""
        least = 0.0 if self._is_hopeless else _LAST_PATIENCE
        return min(_PATIENCE, max(least, self._end_by - time.monotonic()))

    def _failure(self, error: sqlite3.Error) -> SpoolError:
        why = f"{error}" or type(error).__name__
        if not isinstance(error, sqlite3.OperationalError):
            # It is no database, or one that is damaged.
            self._broken = why
            self._is_damaged = True
        # Each of many streams would wait for the same again.
        self._is_hopeless = "locked" in why and time.monotonic() > self._end_by
        return SpoolError(why, for_good=self._is_damaged)

    def _connected(self) -> sqlite3.Connection:
        if self._broken:
            raise SpoolError(self._broken, for_good=self._is_damaged)
        if self._db is None:
            try:
                self._db = self._connect()
            except OSError as error:
                raise SpoolError(error.strerror or type(error).__name__) from None
            except sqlite3.Error as error:
                raise self._failure(error) from None
        return self._db

    def _connect(self) -> sqlite3.Connection:
        if any(path == self._path and pid != os.getpid() for path, pid, _ in _opened.values()):
            # SQLite would take the parent's locks for its own.
            self._broken = "it was open in the parent, which has forked without telling Python"
            raise SpoolError(self._broken)
        db = opened(self._path, self._max_bytes, self._patiently, timeout=_LOOK)
        try:
            if self._owner_lock is None:
                self._owner_lock = OwnerLock(self._path)
        except BaseException:
            db.close()
            raise
        _opened[self._number] = (self._path, os.getpid(), db)
        return db

    def _disconnect(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
            _opened.pop(self._number, None)

    def _insert(
        self,
        db: sqlite3.Connection,
        stream: StreamId,
        hostname: str | None,
        frames: Sequence[Frame],
        frame_id: str | None,
        place: int,
        part: int,
    ) -> int:
        body, sizes, records = packed(frames)
        cursor = db.execute(
            "INSERT INTO chunks (place, part, owner, stream, hostname, frame_id, records, sizes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (place, part, self._owner, stream, hostname, frame_id or NO_ID, records, sizes),
        )
        db.execute("INSERT INTO bodies (id, body) VALUES (?, ?)", (cursor.lastrowid, body))
        return cursor.lastrowid or 0

    def before_fork(self) -> None:
        # With the lock held, so that no thread opens it again before the child is made. A child
        # that has it open all the same does without.
        acquired = self._lock.acquire(timeout=_PATIENCE)
        if acquired and self._db is not None and not self._db.in_transaction:
            self._disconnect()

    def after_fork_in_parent(self) -> None:
        # Not held if it could not be had in time.
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    after_fork_in_child = after_fork_in_parent


_IDS_OF = "SELECT id FROM chunks WHERE owner = ? AND stream IS ?"
_PLACE_OF = "SELECT place FROM chunks WHERE id = ?"
_CHUNKS = (
    "SELECT id, hostname, frame_id, records, recovered, sizes, body "
    "FROM chunks LEFT JOIN bodies USING (id) WHERE owner = ? AND stream IS ? "
)
_IN_ORDER = f"{_CHUNKS} ORDER BY place, part"
_OF_FRAME_ID = f"{_CHUNKS} AND frame_id = ? ORDER BY place, part"


def _delete(db: sqlite3.Connection, ids: Collection[int]) -> None:
    for table in ("chunks", "bodies"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ids])  # nosec B608


def _set_frame_id(db: sqlite3.Connection, ids: Collection[int], frame_id: str | None) -> None:
    db.executemany("UPDATE chunks SET frame_id = ? WHERE id = ?", [(frame_id, id) for id in ids])


_numbers = itertools.count()
# What is open, by the spool's number: with its path and process. A child that has inherited one
# must not close it, which would take it away from the parent; so it is held here.
_opened: dict[int, tuple[str, int, sqlite3.Connection]] = {}
