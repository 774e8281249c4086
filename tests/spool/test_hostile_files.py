"""Files at a spool's path that are no spool of ours, or stop being one: memory goes on, in time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import pytest

from logplex_handler import LookupFailed
from logplex_handler._delivery import flush
from logplex_handler._spool import database, owner_locks, transactions
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.spool import Spool, SpoolOptions
from tests import servers
from tests.logs import balanced, logging_to, logging_to_server, wait_until
from tests.servers import accept, answer, serving
from tests.spool.shared import leave, rows

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
VIEW = f"""CREATE VIEW chunks AS {ENDLESS} i AS id, i AS place, 0 AS part, i AS owner,
    0 AS recovered, NULL AS stream, NULL AS hostname, '' AS frame_id, 1 AS records,
    NULL AS sizes FROM n"""
TABLE = database._TABLE


@pytest.mark.parametrize(
    "statements",
    [
        [VIEW, database._BODIES],
        [TABLE, database._BODIES, database._INDEX, f"CREATE VIEW more AS {ENDLESS} i FROM n"],
        [TABLE, f"CREATE VIEW bodies AS {ENDLESS} i AS id, x'' AS body FROM n"],
        [
            TABLE, database._BODIES, database._INDEX,
            f"CREATE TRIGGER t AFTER INSERT ON chunks BEGIN {ENDLESS} count(*) FROM n; END",
        ],
        [TABLE.replace("sizes TEXT", "sizes AS (hex(zeroblob(1e8)))"), database._BODIES],
        ["CREATE VIRTUAL TABLE chunks USING fts5(id, body)", database._BODIES],
        [TABLE, database._BODIES],
        [],
    ],
)  # fmt: skip
def test_tables_that_are_not_a_spools_are_refused(spool, capsys, statements):
    """Though the file says that it is a spool: what it would run could be without end."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {database._APPLICATION}")
        db.execute(f"PRAGMA user_version = {database._VERSION}")
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert server.frames() == [b"hello"]
    assert "spool: its tables are not those of a spool" in capsys.readouterr().err


def _break_table(spool, name=b"\xbd"):
    """Name it by something, such as bytes that are not UTF-8, which SQLite's error then quotes."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute("PRAGMA writable_schema = ON")
        statement = "UPDATE sqlite_master SET sql = 'CREATE TABLE x(', name = CAST(? AS TEXT)"
        db.execute(statement, (name,))
        [(version,)] = db.execute("PRAGMA schema_version")
        db.execute(f"PRAGMA schema_version = {version + 1}")
        db.commit()


def test_a_file_whose_error_python_cannot_decode_is_damaged(spool, capsys):
    """It holds nothing up, from the first record on or later."""
    with serving(answer(503)) as server:
        with logging_to(server.url, spool=spool) as (logger, handler):
            logger.info("one")
            assert wait_until(lambda: rows(spool))
            _break_table(spool)
            server.steps[:] = [accept]
            logger.info("two")
            assert handler.flush(100)
            assert b"two" in server.frames()
            assert balanced(handler.stats())
        with logging_to(server.url, spool=spool) as (logger, handler):
            logger.info("three")
            assert handler.flush(100)
            assert server.frames()[-1] == b"three"
    said = capsys.readouterr().err
    assert "internal error" not in said
    assert said.count("spool: ") == 2


def test_a_name_in_a_damaged_file_begins_no_line_of_stderr(spool, capsys):
    """SQLite's error quotes it, and a terminal would obey it."""
    with logging_to_server(accept, spool=spool) as (server, logger, handler):
        logger.info("one")
        assert handler.flush(100)
        _break_table(spool, "x\n\x1b[31mforged")
        logger.info("two")
        assert handler.flush(100)
        assert server.frames() == [b"one", b"two"]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("logplex_handler: spool: ")
    assert r"x\n\u001b[31mforged" in said


def test_tables_that_change_under_way_are_refused(spool, capsys):
    """What is on disk then is counted as lost, and later records are delivered from memory."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool) as (logger, handler),
    ):
        logger.info("one")
        assert wait_until(lambda: rows(spool))
        with contextlib.closing(sqlite3.connect(spool)) as db:
            db.execute(f"CREATE TRIGGER t AFTER DELETE ON chunks BEGIN {ENDLESS} 1 FROM n; END")
            db.commit()
        server.steps[:] = [accept]
        logger.info("two")
        assert handler.flush(100)
        assert b"two" in server.frames()
        assert balanced(handler.stats())
    assert "spool: its tables are not those of a spool" in capsys.readouterr().err


def test_a_transaction_that_takes_too_long_is_given_up(spool, capsys, monkeypatch):
    """As with more rows than a spool has."""
    leave(spool, ["left"])
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
            "INSERT INTO chunks (place, part, owner, frame_id, records) "
            "SELECT i, 0, i, '', 1 FROM n"
        )
        db.commit()
    monkeypatch.setattr(transactions, "_INSTRUCTIONS", 100)
    monkeypatch.setattr(transactions, "_MAX_CALLS", 10)
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert b"hello" in server.frames()
    assert "spool: interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["", ".lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["directory", "FIFO", "device", "loop"])
def test_what_is_no_file_is_no_spool(spool, capsys, kind, where):
    """Nor can it stand where one of the files next to the spool belongs."""
    if where == "-journal":
        leave(spool, ["left"])
    path = spool.with_name(spool.name + where)
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full" if kind == "device" else path)
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert b"hello" in server.frames()
        assert (handler.stats().delivered, dict(handler.stats().dropped)) == (1, {})
    assert "Traceback" not in capsys.readouterr().err


def test_a_link_to_a_spool_is_followed(tmp_path):
    """Its records are delivered, under whatever name the file is opened."""
    leave(tmp_path / "spool.db", ["left"])
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "spool.db")
    with serving(accept) as server, logging_to(server.url, spool=link) as (logger, handler):
        logger.info("hello")
        assert handler.flush(100)
        assert sorted(server.frames()) == [b"hello", b"left"]


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 4096, 16_384, 20_000])
def test_a_file_that_is_cut_short_under_way_is_said(spool, capsys, suffix, size):
    """Its records are delivered or counted as lost, later ones are delivered."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool) as (logger, handler),
    ):
        logger.info("one")
        assert wait_until(lambda: rows(spool))
        os.truncate(f"{spool}{suffix}", size)
        server.steps[:] = [accept]
        logger.info("two")
        handler.flush(100)
        logger.info("three")
        assert wait_until(lambda: handler.flush(1) and not handler.stats().pending)
        stats = handler.stats()
        assert b"three" in server.frames()
        assert balanced(stats)
        assert set(stats.dropped) <= {"spool_lost"}
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize("at_close", [False, True])
def test_a_file_that_is_removed_under_way_is_said(spool, capsys, at_close, is_replaced):
    """No other process finds it, so its records are not left there; later ones are delivered."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool, shutdown_timeout=0.1) as (logger, handler),
    ):
        for number in range(3):
            logger.info("line %d", number)
        assert wait_until(lambda: len(rows(spool)) > 0 and handler.stats().requests > 0)
        if is_replaced:
            spool.rename(spool.with_suffix(".old"))
            spool.touch()
        else:
            spool.unlink()
        if not at_close:
            server.steps[:] = [accept]
            logger.info("later")
            assert handler.flush(100)
            assert b"later" in server.frames()
            assert set(handler.stats().dropped) <= {"spool_lost"}
    stats = handler.stats()
    assert stats.pending == 0
    assert balanced(stats)
    said = capsys.readouterr().err
    if at_close:
        assert dict(stats.dropped) == {"shutdown": 3}
        assert "3 records not delivered: status 503" in said
    else:
        assert "spool: it was removed or replaced" in said
    assert not is_replaced or spool.read_bytes() == b""


def test_a_file_that_grows_without_end_holds_nothing_up(spool):
    """`flush` ends in its time, and so does `close`."""
    leave(spool, ["left"])
    stop = threading.Event()

    def grow():
        with contextlib.closing(sqlite3.connect(spool, timeout=10)) as db:
            owner = 1
            while not stop.is_set():
                owner += 1
                db.execute(
                    "INSERT INTO chunks (place, part, owner, frame_id, records) "
                    "VALUES (?, 0, ?, '', 1)", (owner, owner),
                )  # fmt: skip
                db.commit()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
            for number in range(20):
                logger.info("line %d", number)
                handler.flush(0.2)
            assert wait_until(lambda: {b"left", b"line 0"} <= set(server.frames()))
        assert balanced(handler.stats())
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("reused", [False, True])
def test_a_descriptor_that_the_program_closes_is_left_alone(spool, reused):
    """As by one that becomes a daemon; another file that has its number by then stays open."""
    leave(spool, ["left"])
    with serving(answer(503)) as server:
        with logging_to(server.url, spool=spool) as (logger, handler):
            logger.info("one")
            assert wait_until(lambda: server.received)
            descriptor = owner_locks._files[os.path.realpath(spool)].descriptor
            if reused:
                # At once: another thread may open something.
                other = os.open(os.devnull, os.O_RDONLY)
                os.dup2(other, descriptor)
                os.close(other)
            else:
                os.close(descriptor)
            with logging_to(server.url, spool=spool, shutdown_timeout=0.1) as (second, _):
                second.info("two")
            server.steps[:] = [accept]
            assert handler.flush(100)
            assert balanced(handler.stats())
        assert b"one" in server.frames()
    if reused:
        os.fstat(descriptor)
        os.close(descriptor)


def test_a_file_that_may_only_be_read_is_said(spool, capfd):
    """Its records stay there for a process that may write, and others are delivered."""
    leave(spool, ["left"])
    with serving(accept) as server:
        pid = os.fork()
        if not pid:
            status = 1
            with contextlib.suppress(BaseException):
                for path in [spool, *spool.parent.glob("spool.db*")]:
                    path.chmod(0o444)
                    os.chown(path, 65534 if os.geteuid() == 0 else -1, -1)
                spool.parent.chmod(0o555)
                if os.geteuid() == 0:
                    spool.parent.parent.chmod(0o755)
                    os.seteuid(65534)
                with logging_to(server.url, spool=spool) as (logger, handler):
                    logger.info("hello")
                    status = 0 if handler.flush(100) and balanced(handler.stats()) else 2
            os._exit(status)
        _, status = os.waitpid(pid, 0)
        spool.parent.chmod(0o700)
        assert status == 0
        assert server.frames() == [b"hello"]
    assert "logplex_handler: spool: " in capfd.readouterr().err


def test_a_disk_that_hangs_holds_up_no_line_in_memory(spool, monkeypatch):
    """As a network's file system may, which nobody can interrupt."""
    over = threading.Event()

    def hanging(*args, **kwargs):
        over.wait(100)
        raise OSError

    monkeypatch.setattr(transactions, "opened", hanging)
    monkeypatch.setattr(transactions, "_PATIENCE", 0.1)
    with logging_to_server(accept, spool=spool, flush_interval=0.01) as (server, logger, _):
        logger.info("hello")
        assert wait_until(lambda: b"hello" in server.frames())
        over.set()


def test_a_disk_that_hangs_holds_up_neither_flush_nor_close(spool, monkeypatch):
    """Here, while a record is written to it; the record is counted as dropped."""
    write, hangs, over = Spool.write, threading.Event(), threading.Event()

    def hanging(self, *args, **kwargs):
        with self.begin():
            hangs.set()
            over.wait(100)
        return write(self, *args, **kwargs)

    options = {"spool_interval": 0.01, "flush_interval": 60, "shutdown_timeout": 0.1}
    with logging_to_server(accept, spool=spool, **options) as (_, logger, handler):
        logger.info("one")
        assert handler.flush(100)
        monkeypatch.setattr(Spool, "write", hanging)
        logger.info("two")
        assert hangs.wait(100)
        assert not handler.flush(0.1)
        handler.close()
        assert dict(handler.stats().dropped) == {"shutdown": 1}
        assert balanced(handler.stats())
        over.set()


@pytest.fixture
def hang():
    """Makes a function of a disk that hangs, with the file in use, until the test is over."""
    over = threading.Event()

    def hanging(spool, *_args, **_kwargs):
        with spool.begin():
            over.wait(100)
        # It has held up the test.
        over.set()
        raise SpoolError("over")

    hanging.over = over
    yield hanging
    over.set()


def test_a_disk_that_begins_to_hang_as_the_handler_is_closed_does_not_hold_it_up(
    spool, monkeypatch, hang
):
    """What waits in memory is only then written."""

    def url_for(stream):
        raise LookupFailed("away")

    options = {"streams": url_for, "spool": spool, "spool_interval": 600, "shutdown_timeout": 0.1}
    with logging_to(None, **options) as (logger, handler):
        logger.info("one", extra={"logplex_stream": "a"})
        assert wait_until(lambda: handler._pipeline._spool_writer._recover_at > 0)
        monkeypatch.setattr(Spool, "write", hang)
        handler.close()
        assert not hang.over.is_set()
        assert dict(handler.stats().dropped) == {"shutdown": 1}
        assert balanced(handler.stats())


def test_a_disk_that_begins_to_hang_as_it_is_closed_does_not_hold_the_caller_up(spool, monkeypatch):
    """Nothing waits any more."""
    over = threading.Event()

    def hanging(spool):
        over.wait(100)
        over.set()

    options = {"spool_interval": 0.01, "shutdown_timeout": 0.1}
    with logging_to_server(accept, spool=spool, **options) as (_, logger, handler):
        logger.info("one")
        assert handler.flush(100)
        monkeypatch.setattr(Spool, "_close", hanging)
        handler.close()
        assert not over.is_set()
        over.set()


def test_a_flush_does_not_wait_for_a_disk_that_hangs_while_it_is_looked_through(
    spool, monkeypatch, hang
):
    """What is in memory is delivered."""
    monkeypatch.setattr(transactions, "_PATIENCE", 0.1)
    monkeypatch.setattr(Spool, "take_over", hang)
    options = {"flush_interval": 600, "shutdown_timeout": 0.1}
    with logging_to_server(accept, spool=spool, **options) as (server, logger, handler):
        assert handler.flush(0.1)
        logger.info("one")
        assert handler.flush(100)
        assert not hang.over.is_set()
        assert server.frames() == [b"one"]


def test_a_caller_that_flushes_leaves_a_disk_that_hangs_to_the_workers(spool, monkeypatch, hang):
    """It would deliver itself otherwise, as none of them gets on: a receiver hangs, too."""
    monkeypatch.setattr(flush, "_MIN_REQUEST", 0.0)
    write, written = Spool.write, []

    def once(*arguments, **options):
        written.append(arguments)
        return (write if len(written) == 1 else hang)(*arguments, **options)

    with serving(accept) as server:
        options = {"streams": lambda _: server.url, "spool": spool, "spool_interval": 600}
        options |= {"flush_interval": 600, "shutdown_timeout": 0.1}
        with logging_to(None, **options) as (logger, handler):
            # So that a stream is left for the caller.
            monkeypatch.setattr(handler._pipeline._worker_pool, "_max_workers", 1)
            for stream in range(3):
                logger.info("line", extra={"logplex_stream": stream})
            assert handler.flush(100)
            server.steps[:] = [servers.hang]
            monkeypatch.setattr(Spool, "write", once)
            for stream in range(3):
                logger.info("line", extra={"logplex_stream": stream})
            assert not handler.flush(0.5)
            handler.close()
            assert not hang.over.is_set()
            assert balanced(handler.stats())


def test_records_on_a_disk_that_hangs_are_given_up_without_waiting_for_it(spool, hang):
    """After a minute, so that those in memory are sent."""
    one = Spool(SpoolOptions(str(spool), 2**20, 1))

    def use():
        with contextlib.suppress(SpoolError):
            hang(one)

    thread = threading.Thread(target=use)
    thread.start()
    assert wait_until(lambda: one._db is not None and one._db.in_transaction)
    one.give_up("it hangs")
    assert not hang.over.is_set()
    hang.over.set()
    thread.join(100)
    with pytest.raises(SpoolError, match="it hangs"):
        one.delete([1])
