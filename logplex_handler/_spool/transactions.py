"""Transactions on the spool's file: one at a time in this process, and patient with others.

The file is opened for the first transaction, and closed before the process forks: a child must
inherit neither a connection nor the locks of SQLite.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

from logplex_handler._process import forks
from logplex_handler._process.reentrancy import holding, is_held
from logplex_handler._spool.database import SpoolError, check_schema, opened
from logplex_handler._spool.owner_locks import OwnerLock
from logplex_handler._wire.packet import one_line

# The longest waits, in seconds, for other processes' transactions, each of which takes
# milliseconds: before the deadline, and even after it, because records that are not written then
# are lost.
_PATIENCE = 5.0
_LAST_PATIENCE = 0.2
# The instructions of SQLite's virtual machine between two calls of the function that counts the
# calls; and the calls after which a transaction is given up, about 100 times as many as the longest
# one takes in a large file.
_INSTRUCTIONS = 100_000
_MAX_CALLS = 5000
# The seconds that SQLite waits before the remaining time is computed again.
_LOOK = 0.05


class Transactions:
    """A handler's access to the file. Any thread may use it."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self._path = os.path.realpath(path)
        self._max_bytes = max_bytes
        # Guards transactions, `_db`, `_owner_lock`, `_identity` and `_schema`. Re-entrant, because
        # a signal handler may flush while it is held.
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._owner_lock: OwnerLock | None = None
        # The device and inode of the file that was opened; None before.
        self._identity: tuple[int, int] | None = None
        # The version of the file's tables that was checked last.
        self._schema = 0
        # Why the file cannot be used any more, or empty if it can; and whether it is damaged.
        self._broken = ""
        self._is_damaged = False
        # The deadline of a closing handler, on the monotonic clock; and whether other processes
        # were still using the file then.
        self._deadline = math.inf
        self._is_hopeless = False
        # The deadlines of threads that wait for a shorter time, by thread id.
        self._callers: dict[int, float] = {}
        self._number = next(_numbers)
        forks.register_guard(self)

    @property
    def owner_lock(self) -> OwnerLock:
        """The owner of this handler's chunks. Only for use within a transaction."""
        if self._owner_lock is None:
            raise SpoolError("not open")
        return self._owner_lock

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed or replaced since it was opened: nobody else can find it."""
        if self._identity is None:
            return False
        try:
            return _identity(self._path) != self._identity
        except OSError as error:
            return isinstance(error, FileNotFoundError)

    @contextlib.contextmanager
    def begin(self, *, writes: bool = True) -> Iterator[sqlite3.Connection]:
        """Run one transaction; raise a SpoolError if the file cannot be used just now."""
        was_held = is_held(self._lock)
        try:
            if not was_held and not self._lock.acquire(timeout=self.patience()):
                raise self._failure(sqlite3.OperationalError("locked"))
            db = self._connected()
            if self.is_gone:
                self.give_up("it was removed or replaced")
                raise SpoolError(self._broken, for_good=True)
            if db.in_transaction:
                if was_held:
                    # A signal interrupted a transaction.
                    raise SpoolError("in use")
                # Errors of signal handlers kept a transaction from its end.
                db.execute("ROLLBACK")
            try:
                with _undecodable_is_damaged():
                    self._patiently(lambda: db.execute("BEGIN IMMEDIATE" if writes else "BEGIN"))
                    self._check_schema(db)
                yield db
                db.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._failure(error) from None
                if isinstance(error, _OF_DAMAGE):
                    raise SpoolError(type(error).__name__) from None
                raise
        finally:
            if not was_held:
                # As in `holding`: a signal handler may have raised an error before or after.
                try:  # noqa: SIM105
                    self._lock.release()
                except RuntimeError:
                    pass

    def give_up(self, why: str) -> None:
        """Stop using the file. Its chunks belong to this process until the process ends."""
        # Without the lock, which a thread may hold for as long as the disk hangs.
        self._broken = self._broken or why
        self._is_damaged = True

    def set_deadline(self, deadline: float) -> None:
        """Wait for other processes only until this time, on the monotonic clock."""
        self._deadline = deadline

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Wait for others only until this time, in the calling thread, for a `with` block."""
        thread = threading.get_ident()
        before = self._callers.get(thread, math.inf)
        self._callers[thread] = min(before, deadline)
        try:
            yield
        finally:
            self._callers[thread] = before
            if before == math.inf:
                del self._callers[thread]

    def close(self) -> None:
        """Close the file, and let others take over the remaining chunks."""
        self._broken = self._broken or "closed"
        holding(self._lock, self.patience(), self._close)

    def _close(self) -> None:
        self._disconnect()
        if self._owner_lock is not None:
            self._owner_lock.release()

    def _patiently(self, call: Callable[[], object]) -> None:
        """Repeat the call while other processes use the file."""
        began, waited = time.monotonic(), 0.0
        while True:
            try:
                call()
                return
            except sqlite3.OperationalError as error:
                # In an application's tests, the clock may stand still.
                taken = max(waited, time.monotonic() - began)
                if "locked" not in str(error) or taken >= self.patience():
                    raise
            # SQLite waits by itself, but not where the journal's mode changes.
            time.sleep(_LOOK / 10)
            waited += _LOOK / 10

    def _check_schema(self, db: sqlite3.Connection) -> None:
        """Check the tables if another process has changed them, and bound the transaction."""
        calls = itertools.count()
        db.set_progress_handler(lambda: next(calls) > _MAX_CALLS, _INSTRUCTIONS)
        [(version,)] = db.execute("PRAGMA schema_version")
        if version != self._schema:
            try:
                check_schema(db)
            except SpoolError as error:
                self.give_up(str(error))
                raise
            self._schema = version

    def patience(self) -> float:
        """Return the seconds that the calling thread waits for others."""
        now = time.monotonic()
        least = 0.0 if self._is_hopeless else _LAST_PATIENCE
        of_caller = max(0.0, self._callers.get(threading.get_ident(), math.inf) - now)
        return min(_PATIENCE, of_caller, max(least, self._deadline - now))

    def _failure(self, error: sqlite3.Error) -> SpoolError:
        # It may quote a name of the file, which may hold anything.
        why = one_line(f"{error}") or type(error).__name__
        if not isinstance(error, sqlite3.OperationalError):
            # The file is not a database, or it is damaged.
            self._broken = why
            self._is_damaged = True
        # Otherwise, each of many streams would wait for the same reason.
        self._is_hopeless = "locked" in why and time.monotonic() > self._deadline
        return SpoolError(why, for_good=self._is_damaged)

    def _connected(self) -> sqlite3.Connection:
        if self._broken:
            raise SpoolError(self._broken, for_good=self._is_damaged)
        if self._db is None:
            try:
                with _undecodable_is_damaged():
                    self._db = self._connect()
            except OSError as error:
                raise SpoolError(error.strerror or type(error).__name__) from None
            except sqlite3.Error as error:
                raise self._failure(error) from None
        return self._db

    def _connect(self) -> sqlite3.Connection:
        if any(path == self._path and pid != os.getpid() for path, pid, _ in _opened.values()):
            # SQLite would take the parent's locks for the child's.
            self._broken = "it was open in the parent at the fork"
            raise SpoolError(self._broken)
        with contextlib.ExitStack() as undo:
            db = opened(self._path, self._max_bytes, self._patiently, timeout=_LOOK)
            undo.callback(db.close)
            if self._owner_lock is None:
                self._owner_lock = OwnerLock(self._path)
            if self._identity is None:
                self._identity = _identity(self._path)
            undo.pop_all()
        _opened[self._number] = (self._path, os.getpid(), db)
        return db

    def _disconnect(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
            _opened.pop(self._number, None)

    def before_fork(self) -> None:
        """Close the file, and keep other threads from opening it until the fork is over.

        A child in which the file is open anyway does not use the spool.
        """
        acquired = self._lock.acquire(timeout=_PATIENCE)
        if acquired and self._db is not None and not self._db.in_transaction:
            self._disconnect()

    def after_fork_in_parent(self) -> None:
        # The lock is not held if it could not be acquired in time.
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    after_fork_in_child = after_fork_in_parent


@contextlib.contextmanager
def _undecodable_is_damaged() -> Iterator[None]:
    """Raise SQLite's error where it names, for example, a table of a damaged file by other bytes.

    Python decodes the message first, and raises that error instead.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise sqlite3.DatabaseError("malformed") from None


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


# The errors that Python raises for values of a damaged chunk that SQLite accepts.
_OF_DAMAGE = (TypeError, ValueError, OverflowError, MemoryError, RecursionError)

_numbers = itertools.count()
# The open connections, with their path and process, by the number of their `Transactions`. They are
# kept here because a child must not close one that it has inherited: that would end the parent's
# locks.
_opened: dict[int, tuple[str, int, sqlite3.Connection]] = {}
