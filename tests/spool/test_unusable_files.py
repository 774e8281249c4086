"""With a damaged, locked or foreign file, the handler works from memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._sender import retry_policy
from logplex_handler._spool import transactions
from tests.logs import balanced, logging_to, logging_to_server, own_stream, wait_until
from tests.pace import stopwatch
from tests.servers import accept, answer, hang, reset, serving
from tests.spool.shared import DEAD, held, leave, lines, rows


@pytest.mark.parametrize(
    "content", [b"no database at all" * 1000, b"SQLite format 3\0" + b"x" * 9000]
)
def test_with_a_file_that_is_no_spool_memory_goes_on(spool, content, capsys):
    """It is said, and the file is left as it is."""
    spool.write_bytes(content)
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert server.frames() == [b"hello"]
    assert "spool: file is not a database" in capsys.readouterr().err
    assert spool.read_bytes() == content


def test_a_file_of_another_version_is_left_alone(spool, capsys):
    """Also one of another program."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("CREATE TABLE others (name)")
    with logging_to_server(accept, spool=spool) as (_, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
    assert "spool: it is another program's" in capsys.readouterr().err


def test_no_record_counts_twice_if_a_batch_ends_half_way(spool):
    """What is left of it is dropped at shutdown: neither the disk nor the receiver takes it."""
    spool.write_bytes(b"no database at all" * 1000)
    options = {"spool": spool, "flush_interval": 60, "shutdown_timeout": 2}
    with serving(answer(400), accept, hang) as server:
        with logging_to(server.url, **options) as (logger, handler):
            for number in range(40):
                logger.info("line %d", number)
        stats = handler.stats()
    assert (stats.accepted, stats.pending) == (40, 0)
    assert balanced(stats), stats
    # On a busy machine, the second answer may come for all of them.
    assert stats.dropped.get("shutdown", 0) == 40 - stats.delivered


def test_with_a_directory_that_cannot_be_written_memory_goes_on(tmp_path, capsys):
    """It is said, with the reason."""
    tmp_path.chmod(0o500)
    # Root may write everywhere but where the system allows nobody to.
    path = tmp_path / "spool.db" if os.geteuid() else "/sys/spool.db"
    with logging_to_server(accept, spool=path) as (server, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert server.frames() == [b"hello"]
    tmp_path.chmod(0o700)
    assert "spool: Permission denied" in capsys.readouterr().err


def test_with_a_directory_that_is_not_there_memory_goes_on(tmp_path, capsys):
    """It is reported, and records left at the end are dropped and counted."""
    stats = leave(tmp_path / "not" / "there", lines(1, 2))
    assert dict(stats.dropped) == {"shutdown": 2}
    said = capsys.readouterr().err
    assert "spool: No such file or directory" in said
    assert "2 records not delivered" in said


def test_a_file_that_is_damaged_under_way_is_said_and_counted(spool, capsys):
    """Records on it are lost and reported; later ones are delivered from memory."""
    with logging_to_server(answer(503), spool=spool) as (server, logger, handler):
        logger.info("in flight")
        assert wait_until(lambda: server.received)
        # They are written together.
        with own_stream(handler).source._lock:
            for number in range(100):
                logger.info("line %d", number)
        assert wait_until(lambda: len(rows(spool)) > 1)
        with contextlib.closing(sqlite3.connect(spool)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute(
                "UPDATE bodies SET body = '5 abc' WHERE id IN "
                "(SELECT id FROM chunks WHERE frame_id LIKE '  %')"
            )
            db.commit()
        logger.info("after")
        server.received.clear()
        server.steps[:] = [accept]
        assert handler.flush(100)
        stats = handler.stats()
        assert dict(stats.dropped) == {"spool_lost": 100}
        assert balanced(stats)
        found = server.frames()
        assert found[0] == b"in flight"
        assert b"after" in found
        assert b"count#logplex_handler.dropped=100" in b"".join(found)
    assert "100 records dropped (spool_lost 100)" in capsys.readouterr().err


# What others do to the file


def test_another_programs_database_is_left_as_it_is(spool, capsys):
    """Whatever its version: its bytes and mode stay the same, and no file appears next to it."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute("PRAGMA user_version = 1")
        db.execute("CREATE TABLE others (name)")
    spool.chmod(0o644)
    content = spool.read_bytes()
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert server.frames() == [b"hello"]
    assert "spool: it is another program's" in capsys.readouterr().err
    assert (spool.read_bytes(), stat.S_IMODE(spool.stat().st_mode)) == (content, 0o644)
    assert list(spool.parent.iterdir()) == [spool]


@pytest.mark.parametrize(
    "damage",
    [
        "records = 'many'",
        "records = 7",
        "records = -3",
        "hostname = CAST(x'ff' AS TEXT)",
        "hostname = 5",
        "frame_id = 'no' || char(13) || char(10) || 'X-Forged: 1'",
        "frame_id = 3.5",
        "place = 'nowhere'",
        "sizes = '" + "[" * 100_000 + "'",
    ],
)
def test_a_damaged_row_is_no_reason_to_stand_still(spool, damage):
    """Later rows are delivered, its records are delivered or counted, and no header is forged."""
    # The first one is in a request of its own.
    with serving(reset, answer(503)) as server:
        leave(spool, ["first"], url=server.url, until=lambda: server.received)
    leave(spool, ["second"])
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute(f"UPDATE chunks SET {damage[:100_100]} WHERE id = 1")
        db.commit()
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("third")
        assert wait_until(lambda: handler.flush(1) and not handler.stats().pending)
        stats = handler.stats()
        assert balanced(stats)
        assert set(stats.dropped) <= {"spool_lost"}
        told = [text for text in server.frames() if b"logplex_handler" not in text]
        assert sorted(told)[-2:] == [b"second", b"third"]
        assert not [request for request in server.received if "x-forged" in request.headers]
    assert rows(spool) == []


def test_a_file_that_cannot_be_opened_for_a_moment_loses_nothing(spool, monkeypatch, capsys):
    """As where a fork has closed it, and there is no descriptor to be had just then."""
    # No worker looks at the file before it is back.
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 600.0)
    away = spool.with_name("away.db")
    with logging_to_server(answer(503), spool=spool) as (server, logger, handler):
        # They are written together.
        with own_stream(handler).source._lock:
            for line in lines(*range(100)):
                logger.info(line)
        assert wait_until(lambda: len(rows(spool)) == 1 and handler.stats().requests == 1)
        # There is something under its name at every moment: where there was nothing, the handler
        # would make a new file.
        os.link(spool, away)
        no_file = spool.with_name("fifo")
        os.mkfifo(no_file)
        no_file.rename(spool)
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        server.steps[:] = [accept]
        logger.info("after")
        began = time.process_time()
        assert not handler.flush(2)
        # It does not look all the time.
        assert time.process_time() - began < 1
        assert (handler.stats().pending, dict(handler.stats().dropped)) == (101, {})
        away.rename(spool)
        server.received.clear()
        monkeypatch.setattr(retry_policy, "FIRST_WAIT", 0.5)
        assert handler.flush(100)
        assert server.frames()[-1] == b"after"
        assert (handler.stats().delivered, dict(handler.stats().dropped)) == (101, {})
    assert "spool: it is no file; 101 records pending" in capsys.readouterr().err


def test_close_does_not_wait_for_a_process_that_holds_the_file(spool):
    """Nor once for each stream; records that cannot be written are counted as dropped."""
    leave(spool, ["before"])
    streams = dict.fromkeys(range(200), DEAD)
    with held(spool):
        options = {"spool": spool, "streams": streams, "shutdown_timeout": 0.5}
        with logging_to(None, **options) as (logger, handler):
            for stream in streams:
                logger.info("hello", extra={"logplex_stream": stream})
            with stopwatch() as watch:
                handler.close()
                # A fifth of a second for each of them would be forty.
                assert watch.seconds < 15
    assert dict(handler.stats().dropped) == {"shutdown": 200}


def test_flush_does_not_wait_for_a_process_that_holds_the_file(spool):
    """Nor for the thread or the worker that waits for it meanwhile."""
    leave(spool, ["before"])
    with (
        held(spool),
        logging_to(DEAD, spool=spool, shutdown_timeout=0.2) as (logger, handler),
        stopwatch() as watch,
    ):
        logger.info("hello")
        for timeout in (0.3, None):
            assert not handler.flush(timeout)
        assert watch.seconds < 3


def test_what_could_not_be_deleted_is_not_sent_again(spool, monkeypatch):
    """Not even by a stream that was retired and opened again."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    monkeypatch.setattr(transactions, "_PATIENCE", 0.2)
    with (
        serving(accept) as server,
        logging_to(None, spool=spool, streams={"a": server.url}) as (logger, handler),
    ):

        def hold(connection):
            held_here.enter_context(held(spool))
            accept(connection)

        server.steps[:] = [hold, accept]
        with contextlib.ExitStack() as held_here:
            logger.info("one", extra={"logplex_stream": "a"})
            assert handler.flush(100)
            # Until the stream is retired, while its row cannot be deleted.
            time.sleep(0.6)
        logger.info("two", extra={"logplex_stream": "a"})
        assert handler.flush(100)
        assert server.frames() == [b"one", b"two"]
        assert (handler.stats().delivered, handler.stats().pending) == (2, 0)
        assert wait_until(lambda: rows(spool) == [])
