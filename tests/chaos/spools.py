"""What may stand where the handler is to keep its spool, and what others do to it meanwhile."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.servers import TOKEN
from tests.spool.shared import held, leave
from tests.spool.test_hostile_files import VIEW
from tests.spool.test_hostile_rows import BODIES, LIMITS, ROW, TEXTS, insert

# The text of a row that can be read after all.
FOREIGN = "foreign"
_PACKET = b"<190>1 2026-11-20T12:34:56.123456+00:00 host app web.1 - - foreign\n"
_FRAME = b"%d %b" % (len(_PACKET), _PACKET)

KINDS = (
    "none yet",
    "noise",
    "another database",
    "endless rows",
    "damaged rows",
    "damaged pages",
    "a directory",
    "huge rows",
    "a file to read only",
    "a file in the hands of another",
    "a file that is replaced",
    "a file that is deleted",
)


def plant(kind: str, path: Path, seed: int) -> None:
    """Put it there."""
    dice = random.Random(f"spool {seed}")
    if kind == "noise":
        path.write_bytes(dice.choice((b"", b"SQLite format 3\0")) + dice.randbytes(8_192))
    elif kind == "another database":
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE chunks (name)")
            db.execute("PRAGMA user_version = 1")
    elif kind == "endless rows":
        _leave_one(path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE chunks")
            db.execute(VIEW)
    elif kind.startswith("damaged"):
        _leave_one(path)
        columns = sorted(ROW)
        insert(
            path,
            [
                {"body": _FRAME, dice.choice(columns): dice.choice([*LIMITS, *TEXTS, *BODIES])}
                for _ in range(5)
            ],
        )
        if kind == "damaged pages":
            content = bytearray(path.read_bytes())
            for _ in range(20):
                content[dice.randrange(len(content))] = dice.randrange(256)
            path.write_bytes(content[: dice.choice((len(content), len(content) // 2))])
    elif kind == "a directory":
        path.mkdir()
    elif kind == "huge rows":
        _leave_one(path)
        huge = bytes(20_000_000)
        insert(path, [{"body": huge}, {"sizes": huge.decode()}, {"stream": huge}])
    elif kind.startswith("a file"):
        _leave_one(path)
        insert(path, [{"body": _FRAME}])
        if kind == "a file to read only":
            # Root may write to it all the same.
            path.chmod(0o400)


@contextlib.contextmanager
def meddling(kind: str, path: Path, over: threading.Event) -> Iterator[None]:
    """Within it, another program does to the file what the kind says, until it is over."""

    def meddle() -> None:
        if kind == "a file in the hands of another":
            with held(path):
                over.wait()
            return
        # Until records are on it.
        over.wait(0.2)
        if kind == "a file that is replaced":
            other = path.with_name("other.db")
            _leave_one(other)
            other.replace(path)
        elif kind == "a file that is deleted":
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _leave_one(path: Path) -> None:
    """A spool of this package, with a row whose stream nobody knows any more."""
    url = f"http://token:{TOKEN}@127.0.0.1:1/logs"
    leave(path, [FOREIGN], url=None, stream="gone", streams={"gone": url})
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
