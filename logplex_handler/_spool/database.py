"""The spool's file: how it is created, recognised and opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable

# `application_id` and `user_version` of the file. A file of another program or version is not used.
_APPLICATION = int.from_bytes(b"Lplx", "big")
_VERSION = 1
_TABLE = """\
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL,
    part INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    recovered INTEGER NOT NULL DEFAULT 0,
    stream,
    hostname TEXT,
    frame_id TEXT NOT NULL,
    records INTEGER NOT NULL,
    sizes TEXT
)"""
# `place` increases from one chunk of a stream to the next, and `part` among the chunks that
# replaced one. The column `stream` has no type, so that the number 1 and the text "1" differ. The
# bodies have their own table, so that a chunk can get its frame id without being written again.
_BODIES = "CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL)"
_INDEX = "CREATE INDEX chunks_in_order ON chunks (owner, stream, place, part)"
_STATEMENTS = (_TABLE, _BODIES, _INDEX)

# The ends of the names of SQLite's files next to it.
_BESIDE = ("-journal", "-wal", "-shm")
# Bytes of a page of the file.
_PAGE = 16_384
# The pages in the log (16 MiB) after which SQLite copies them to their places, and waits for the
# disk.
_CHECKPOINT_PAGES = 1024


class SpoolError(Exception):
    """The file cannot be used at the moment. The text says why, and shows nothing that was logged.

    Attributes:
        for_good: Whether this process can never read the file again.
    """

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


def opened(
    path: str, max_bytes: int, patiently: Callable[[Callable[[], object]], None], *, timeout: float
) -> sqlite3.Connection:
    """Return a connection to the file, which is created if there is none.

    Args:
        patiently: Repeats a call while other processes are in the way.
        timeout: Seconds that SQLite itself waits for other processes.

    Raises:
        SpoolError: The file belongs to another user or program.
        OSError, sqlite3.Error: The file cannot be created, or is not a database.
    """
    _create(path)
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        db.text_factory = _text
        # Nothing else of another program's file is read.
        patiently(lambda: _look(db))
        # Must be set before the first page is written. Large pages cost less, because chunks are
        # large.
        db.execute(f"PRAGMA page_size = {_PAGE:d}")
        # Deleted content is not overwritten: no other user can read the file.
        db.execute("PRAGMA secure_delete = OFF")
        patiently(lambda: db.execute("PRAGMA journal_mode = WAL"))
        # With this setting, a crash of the process loses nothing, and a crash of the machine loses
        # the last moments.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES:d}")
        db.execute(f"PRAGMA journal_size_limit = {_CHECKPOINT_PAGES * _PAGE:d}")
        db.execute(f"PRAGMA max_page_count = {max(1, max_bytes // _PAGE):d}")
        patiently(lambda: db.execute("BEGIN IMMEDIATE"))
        if not _is_made(db):
            for statement in _STATEMENTS:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION:d}")
            db.execute(f"PRAGMA user_version = {_VERSION:d}")
        db.execute("COMMIT")
        _make_private(path)
    except BaseException:
        db.close()
        raise
    return db


def _text(content: bytes) -> str | bytes:
    """Return the text of a column, or its bytes if they are not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def check_schema(db: sqlite3.Connection) -> None:
    """Raise a SpoolError unless the file has the tables of a spool, and nothing else.

    A view or a trigger with such a name could run for ever.
    """
    statements = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master LIMIT 4")]
    if set(statements) != {*_STATEMENTS} or len(statements) != len(_STATEMENTS):
        raise SpoolError("its tables are not those of a spool", for_good=True)


def _look(db: sqlite3.Connection) -> None:
    """Raise a SpoolError if the file is another program's.

    Its marks and tables are read in one transaction, since another process may make it meanwhile.
    """
    db.execute("BEGIN")
    try:
        _is_made(db)
    finally:
        # Some errors have ended the transaction.
        if db.in_transaction:
            db.execute("ROLLBACK")


def _is_made(db: sqlite3.Connection) -> bool:
    """Return whether the file has a spool's tables; raise a SpoolError if it has others."""
    [(application,)] = db.execute("PRAGMA application_id")
    [(version,)] = db.execute("PRAGMA user_version")
    if (application, version) == (_APPLICATION, _VERSION):
        check_schema(db)
        return True
    if application == _APPLICATION:
        raise SpoolError(f"its format is {version}, not {_VERSION}")
    if application or version or [*db.execute("SELECT name FROM sqlite_master LIMIT 1")]:
        raise SpoolError("it is another program's")
    return False


def _create(path: str) -> None:
    """Create the file so that no other user can read it. SQLite's files next to it get its mode."""
    try:
        # An existing file is not opened: closing it would release the locks of this process.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise SpoolError("it is no file") from None
        if status.st_uid != os.geteuid() and os.geteuid() != 0:
            raise SpoolError("it belongs to another user") from None
    for suffix in _BESIDE:
        # SQLite would open a FIFO, and wait for ever for somebody to write to it.
        if os.path.lexists(path + suffix) and not os.path.isfile(path + suffix):
            raise SpoolError(f"its {suffix} is no file")


def _make_private(path: str) -> None:
    """Keep other users from reading the files, even if another program created them."""
    for suffix in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(os.stat(path + suffix).st_mode) & 0o077:
                os.chmod(path + suffix, 0o600)
