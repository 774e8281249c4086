"""Handlers that share a path, the rows of its file, and records left on disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from unittest import mock

from logplex_handler._spool import owner_locks, transactions
from tests.logs import logging_to, wait_until
from tests.servers import TOKEN

# Nobody answers there.
DEAD = f"http://token:{TOKEN}@127.0.0.1:1/logs"


def rows(spool, what="*"):
    """The rows on disk; none before the tables exist."""
    with contextlib.closing(sqlite3.connect(spool, timeout=100)) as db:
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            return []
        return db.execute(
            f"SELECT {what} FROM chunks JOIN bodies USING (id) ORDER BY place, part"
        ).fetchall()


@contextlib.contextmanager
def patience():
    """Closing waits for the thread that writes to disk, which a busy machine may hold up."""
    with mock.patch.multiple(transactions, _PATIENCE=60.0, _LAST_PATIENCE=60.0):
        yield


def leave(spool, messages, *, url=DEAD, stream=None, until=lambda: True, **options):
    """Log to a port where nothing listens, and close."""
    with (
        patience(),
        logging_to(url, spool=spool, shutdown_timeout=0.1, **options) as (logger, handler),
    ):
        for message in messages:
            logger.info(message, extra={"logplex_stream": stream})
        assert wait_until(until)
    wait_until_left(spool)
    return handler.stats()


def wait_until_left(spool):
    """A worker of a closed handler may be sending still; the next handler then finds nothing."""
    assert wait_until(lambda: os.path.realpath(spool) not in owner_locks._files)


def lines(*numbers):
    return [f"line {number}" for number in numbers]


@contextlib.contextmanager
def held(spool):
    """A transaction that keeps all others from writing, like that of a suspended process."""
    with contextlib.closing(
        sqlite3.connect(spool, timeout=100, isolation_level=None, check_same_thread=False)
    ) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
