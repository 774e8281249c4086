"""Undelivered batches on disk: one SQLite file for all processes that are given its path.

A row is a chunk of one stream's frames. It belongs to an owner, of which a process has one for each
of its handlers; when that is dead, another takes its rows over. Chunks that are sent together have
one frame id, which is on disk before they are sent. Neither a URL nor a token is ever written.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._chunk import packed, unpacked
from logplex_handler._claims import Claim
from logplex_handler._frames import Frame

# `user_version` of the file; one of another version is left alone.
_VERSION = 1
_SCHEMA = """
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    part INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    recovered INTEGER NOT NULL DEFAULT 0,
    stream,
    hostname TEXT,
    frame_id TEXT,
    records INTEGER NOT NULL,
    sizes TEXT
)"""
# A stream without a type keeps the number 1 and the text "1" apart.
# Apart, so that a chunk is given its frame id without being written again.
_BODIES = "CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL)"
_INDEX = "CREATE INDEX chunks_in_order ON chunks (owner, stream, place, part)"

_PAGE = 16_384
# Pages in the log after which they are copied to their places, which has to wait for the disk:
# 16 MiB.
_CHECKPOINT_PAGES = 1024
# Seconds that one process waits for the others' transactions, each of which takes milliseconds.
_PATIENCE = 5.0

StreamId = str | int | None


class SpoolError(Exception):
    """The file cannot be used just now. The text says why, and shows nothing that was logged.

    Attributes:
        passing: Whether it is only that others use it.
    """

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


class Chunk(NamedTuple):
    """Frames that are on disk.

    Attributes:
        hostname: The one in their packets; None for the handler's own.
        frame_id: Under which they are sent; None if that was never tried.
        recovered: Whether another process has left them.
    """

    id: int
    hostname: str | None
    frame_id: str | None
    records: int
    recovered: bool
    frames: list[bytes]


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
        self._max_pages = max(1, options.max_bytes // _PAGE)
        # Guards all below. Re-entrant as a signal may strike under it whose handler flushes.
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._claim: Claim | None = None
        # Why it cannot be used any more.
        self._broken = ""
        self._number = next(_numbers)
        self._last_place = 0
        _spools.add(self)

    def write(
        self,
        stream: StreamId,
        hostname: str | None,
        frames: Sequence[Frame],
        frame_id: str | None = None,
        *,
        join: Collection[int] = (),
    ) -> int | None:
        """Add a chunk, if there are frames; its id. Those to join get the same frame id."""
        with self._transaction() as db:
            if join:
                _set_frame_id(db, join, frame_id)
            if not frames:
                return None
            self._last_place = max(self._last_place + 1, time.time_ns())
            return self._insert(db, stream, hostname, frames, frame_id, self._last_place, 0)

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
        """The first chunks of a stream: of one frame id, or with none as many as fit; one at least.

        One that is not what was written comes alone, and without frames.
        """
        chunks: list[Chunk] = []
        size = 0
        with self._transaction(writes=False) as db:
            for row in db.execute(_IN_ORDER, (self._owner, stream)):
                id, hostname, frame_id, records, recovered, sizes, body = row
                if id in but:
                    continue
                if not isinstance(body, bytes):
                    body = b""
                if chunks:
                    first = chunks[0]
                    alike = (first.frame_id, first.recovered) == (frame_id, bool(recovered))
                    fits = size + len(body) <= max_bytes or frame_id is not None
                    if not alike or first.hostname != hostname or not fits:
                        break
                try:
                    frames = unpacked(body, sizes)
                except (ValueError, TypeError):
                    if chunks:
                        break
                    frames = []
                size += len(body)
                chunks.append(Chunk(id, hostname, frame_id, records, bool(recovered), frames))
                if not frames:
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
            claim = self._claim
            owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM chunks")]
            dead = [owner for owner in owners if claim is not None and claim.take_over(owner)]
            try:
                for owner in dead:
                    ours = "(stream IS NULL AND ?) OR (stream IS NOT NULL AND ?)"
                    arguments = (owner, own_url, streams)
                    counts = (
                        "SELECT stream, sum(records), max(place) FROM chunks "
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
                    if claim is not None:
                        claim.let_go(owner)
        return found

    def close(self) -> None:
        """Close the file, and let others take over what is left."""
        with self._lock:
            self._disconnect()
            self._broken = "closed"
            if self._claim is not None:
                self._claim.end()

    @property
    def _owner(self) -> int:
        return self._claim.owner if self._claim is not None else 0

    @contextlib.contextmanager
    def _transaction(self, *, writes: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._connected()
            if db.in_transaction:
                # A signal has interrupted one.
                raise SpoolError("in use", passing=True)
            try:
                db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                yield db
                db.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._failure(error) from None
                raise

    def _failure(self, error: sqlite3.Error) -> SpoolError:
        why = f"{error}" or type(error).__name__
        if not isinstance(error, sqlite3.OperationalError):
            # It is no database, or one that is damaged.
            self._broken = why
        return SpoolError(why, passing="locked" in why or "busy" in why)

    def _connected(self) -> sqlite3.Connection:
        if self._broken:
            raise SpoolError(self._broken)
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
        _make_private(self._path)
        if self._claim is None:
            self._claim = Claim(self._path)
        db = sqlite3.connect(
            self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            # Before the file's first page is written. Large ones cost less where chunks are large.
            db.execute(f"PRAGMA page_size = {_PAGE:d}")
            # What was delivered need not be wiped: the file is its owner's alone.
            db.execute("PRAGMA secure_delete = OFF")
            _begin(db, lambda: db.execute("PRAGMA journal_mode = WAL"))
            # A crash of the process loses nothing with this, one of the machine the last moments.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES:d}")
            db.execute(f"PRAGMA journal_size_limit = {_CHECKPOINT_PAGES * _PAGE:d}")
            db.execute(f"PRAGMA max_page_count = {self._max_pages:d}")
            db.execute("BEGIN IMMEDIATE")
            [(version,)] = db.execute("PRAGMA user_version")
            if not version and not [*db.execute("SELECT name FROM sqlite_master LIMIT 1")]:
                db.execute(_SCHEMA)
                db.execute(_BODIES)
                db.execute(_INDEX)
                db.execute(f"PRAGMA user_version = {_VERSION:d}")
            elif version != _VERSION:
                raise SpoolError(f"its format is {version}, not {_VERSION}, or another program's")
            db.execute("COMMIT")
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
            (place, part, self._owner, stream, hostname, frame_id, records, sizes),
        )
        db.execute("INSERT INTO bodies (id, body) VALUES (?, ?)", (cursor.lastrowid, body))
        return cursor.lastrowid or 0

    def _before_fork(self) -> None:
        # With the lock held, so that no thread opens it again before the child is made. A child
        # that has it open all the same does without.
        acquired = self._lock.acquire(timeout=_PATIENCE)
        if acquired and self._db is not None and not self._db.in_transaction:
            self._disconnect()

    def _after_fork(self) -> None:
        # Not held if it could not be had in time.
        with contextlib.suppress(RuntimeError):
            self._lock.release()


_IDS_OF = "SELECT id FROM chunks WHERE owner = ? AND stream IS ?"
_PLACE_OF = "SELECT place FROM chunks WHERE id = ?"
_IN_ORDER = (
    "SELECT id, hostname, frame_id, records, recovered, sizes, body "
    "FROM chunks LEFT JOIN bodies USING (id) WHERE owner = ? AND stream IS ? ORDER BY place, part"
)


def _delete(db: sqlite3.Connection, ids: Collection[int]) -> None:
    for table in ("chunks", "bodies"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ids])  # nosec B608


def _set_frame_id(db: sqlite3.Connection, ids: Collection[int], frame_id: str | None) -> None:
    db.executemany("UPDATE chunks SET frame_id = ? WHERE id = ?", [(frame_id, id) for id in ids])


def _begin(db: sqlite3.Connection, change: Callable[[], object]) -> None:
    """SQLite does not wait by itself for others where the journal's mode changes."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            change()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _make_private(path: str) -> None:
    """Make the file so that nobody else can read it; what SQLite puts beside it is alike.

    Raises:
        SpoolError: It is somebody else's.
    """
    try:
        # Not one that is there: closing it again would take away the locks of this process.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise SpoolError("it is no file") from None
        if status.st_uid != os.geteuid() and os.geteuid() != 0:
            raise SpoolError("it belongs to another user") from None
        if status.st_mode & 0o077:
            os.chmod(path, 0o600)


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()
_numbers = itertools.count()
# What is open, by the spool's number: with its path and process. A child that has inherited one
# must not close it, which would take it away from the parent; so it is held here.
_opened: dict[int, tuple[str, int, sqlite3.Connection]] = {}
# Guards the list, from before a fork until after it.
_fork_lock = threading.RLock()
_forking: list[Spool] = []


def _before_fork() -> None:
    _fork_lock.acquire()
    _forking[:] = list(_spools)
    for spool in _forking:
        spool._before_fork()


def _after_fork() -> None:
    while _forking:
        _forking.pop()._after_fork()
    _fork_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
