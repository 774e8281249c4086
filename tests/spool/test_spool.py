"""With a spool, what is not delivered yet is on disk: for an outage, and for the next process."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._sender import sender
from logplex_handler._sender.disk_queue import DiskQueue
from logplex_handler._sender.drain import drain
from logplex_handler._spool import owner_locks, store
from logplex_handler._spool.chunk import packed, records_in, unpacked
from logplex_handler._wire.frames import Run, pieces, singles
from tests.logs import balanced, logging_to, own_stream, wait_until
from tests.servers import TOKEN, accept, answer, refusing, reset, serving, texts
from tests.spool import kills

# Nobody answers there.
DEAD = f"http://token:{TOKEN}@127.0.0.1:1/logs"


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool.db"


def rows(spool, what="*"):
    """What is on disk; nothing before the tables are made."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            return []
        return db.execute(
            f"SELECT {what} FROM chunks JOIN bodies USING (id) ORDER BY place, part"
        ).fetchall()


def leave(spool, messages, *, url=DEAD, stream=None, until=lambda: True, **options):
    """Log where nobody answers, and close."""
    with logging_to(url, spool=spool, shutdown_timeout=0.1, **options) as (logger, handler):
        for message in messages:
            logger.info(message, extra={"logplex_stream": stream})
        assert wait_until(until, 10)
    # Somebody may be sending still.
    assert wait_until(lambda: os.path.realpath(spool) not in owner_locks._files, 10)
    return handler.stats()


def lines(*numbers):
    return [f"line {number}" for number in numbers]


def test_what_is_on_disk_counts_towards_a_large_batch(spool, monkeypatch):
    """It leaves at once, however soon after a request."""
    monkeypatch.setattr(sender, "_REST", 600)
    options = {"batch_size": 5, "flush_interval": 600, "spool_interval": 0.01}
    with (
        serving(accept) as server,
        logging_to(server.url, spool=spool, **options) as (logger, handler),
    ):
        disk_queue = own_stream(handler).disk_queue
        assert disk_queue is not None
        for text in lines(*range(5)):
            logger.info(text)
        assert wait_until(lambda: len(server.frames()) == 5)
        for text in lines(*range(5, 50)):
            logger.info(text)
        assert wait_until(lambda: disk_queue.records == 45)
        assert len(server.frames()) == 5
        for text in lines(*range(50, 55)):
            logger.info(text)
        assert wait_until(lambda: len(server.frames()) == 55)
    assert server.frames() == [text.encode() for text in lines(*range(55))]


# What one process leaves, the next one delivers


def test_what_is_left_at_close_is_delivered_by_the_next_handler_first(spool, capsys):
    """In order, and before what is new; the books of both balance."""
    before = leave(spool, lines(*range(1000)))
    assert (before.pending, dict(before.dropped)) == (1000, {})
    assert "1000 records left in the spool: NewConnectionError" in capsys.readouterr().err
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("new")
        assert handler.flush(5)
        assert server.frames() == [line.encode() for line in [*lines(*range(1000)), "new"]]
        stats = handler.stats()
        assert (stats.accepted, stats.delivered, stats.recovered) == (1001, 1001, 1000)
    assert rows(spool) == []


def test_a_flush_alone_delivers_what_was_left(spool):
    """A process need not log anything itself."""
    leave(spool, lines(1, 2))
    with serving(accept) as server, logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(5)
        assert server.frames() == [b"line 1", b"line 2"]


def test_a_batch_is_on_disk_with_its_frame_id_before_it_is_sent(spool):
    """And is not there any more when it was accepted."""
    seen = []

    def look(connection):
        seen.extend(rows(spool, "frame_id, body"))
        accept(connection)

    with serving(look) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
        (request,) = server.received
        assert seen == [(request.frame_id, request.body)]
        assert rows(spool) == []


def test_a_batch_of_unknown_outcome_is_sent_again_by_the_next_process_as_it_was(spool):
    """Under the same frame id and with the same bytes, also when new records wait."""
    with serving(reset, answer(503)) as server:
        leave(spool, lines(1, 2, 3), url=server.url, until=lambda: server.received)
        first = server.received[0]
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("new")
        assert handler.flush(5)
        again, new = server.received
        assert (again.frame_id, again.body) == (first.frame_id, first.body)
        assert texts(new.body) == [b"new"]


def test_after_a_batch_was_cut_in_parts_only_what_is_left_is_sent_again(spool):
    """A part that was accepted is not sent under another frame id by the next process."""
    messages = [*lines(*range(7)), "bad", *lines(8, 9)]
    with serving(accept) as server:

        def step(connection):
            # One request after the half that was accepted, nothing is answered any more.
            if len(accepted) == 1:
                answer(503)(connection)
            else:
                refusing(b"bad", 413)(server)(connection)
                if b"bad" not in server.received[-1].body:
                    accepted.append(server.received[-1])

        accepted: list = []
        server.steps[:] = [step]

        def is_cut():
            return accepted and server.received[-1] is not accepted[-1]

        leave(spool, messages, url=server.url, until=is_cut)
    with serving(accept) as server, logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(5)
        delivered = [text for request in accepted for text in texts(request.body)]
        assert len(accepted) == 1
        assert delivered + server.frames() == [message.encode() for message in messages]


def test_records_of_a_dead_process_that_are_refused_are_dropped_and_told(spool):
    """As this process's own are; the rest is delivered, and the books balance."""
    leave(spool, [*lines(1, 2), "bad", *lines(3, 4)])
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        server.steps[:] = [refusing(b"bad", 413)(server)]
        logger.info("new")
        assert wait_until(lambda: handler.flush(1) and handler.stats().delivered == 5)
        stats = handler.stats()
        assert (stats.accepted, stats.recovered, dict(stats.dropped)) == (6, 5, {"refused": 1})
        assert balanced(stats)
    assert rows(spool) == []


def test_a_record_of_several_packets_is_one_record_on_disk(spool):
    """It is counted once, by both processes."""
    long = "x" * 30_000
    assert leave(spool, [long, "short"]).pending == 2
    with serving(accept) as server, logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(5)
        stats = handler.stats()
        assert (stats.delivered, stats.recovered) == (2, 2)
        assert b"".join(server.frames()) == f"{long}short".encode()


def test_a_full_run_of_streams_is_recovered_by_their_ids(spool):
    """A number and the same as text are two streams, and URLs are looked up again."""
    with logging_to(None, spool=spool, shutdown_timeout=0.1, streams={"1": DEAD, 1: DEAD}) as (
        logger,
        handler,
    ):
        logger.info("of the text", extra={"logplex_stream": "1"})
        logger.info("of the number", extra={"logplex_stream": 1})
    assert handler.stats().pending == 2
    with (
        serving(accept) as text,
        serving(accept) as number,
        logging_to(None, spool=spool, streams={"1": text.url, 1: number.url}) as (_, handler),
    ):
        assert wait_until(lambda: handler.flush(1) and handler.stats().delivered == 2)
        assert (text.frames(), number.frames()) == ([b"of the text"], [b"of the number"])


def test_what_this_handler_cannot_deliver_stays_for_one_that_can(spool):
    """A handler without streams leaves theirs alone."""
    leave(spool, ["of a stream"], stream="a", streams={"a": DEAD})
    with serving(accept) as server:
        with logging_to(server.url, spool=spool) as (_, handler):
            assert handler.flush(5)
            assert server.received == []
        with logging_to(None, spool=spool, streams={"a": server.url}) as (_, handler):
            assert handler.flush(5)
            assert server.frames() == [b"of a stream"]


def test_records_of_a_stream_that_is_known_to_nobody_any_more_are_dropped_and_told(spool):
    """They leave the disk, and the books balance."""
    leave(spool, lines(1, 2), stream="a", streams={"a": DEAD})
    with logging_to(None, spool=spool, streams={}) as (_, handler):
        assert wait_until(
            lambda: handler.flush(1) and dict(handler.stats().dropped) == {"unknown_stream": 2}
        )
        assert balanced(handler.stats())
        assert rows(spool) == []


def test_streams_of_other_ids_stay_in_memory(spool):
    """A tuple is none that another process could look up."""
    with serving(accept) as server:
        streams = {("a", 1): server.url}
        with logging_to(None, spool=spool, streams=streams) as (logger, handler):
            logger.info("hello", extra={"logplex_stream": ("a", 1)})
            assert handler.flush(5)
            assert server.frames() == [b"hello"]
            assert not spool.exists() or rows(spool) == []


# Secrets


@pytest.mark.parametrize("token_as_appname", [False, True])
def test_neither_token_nor_url_is_written_to_disk(spool, token_as_appname):
    """Where the token is the packet's appname, the next handler puts its own there."""
    leave(spool, lines(*range(50)), token_as_appname=token_as_appname)
    content = b"".join(path.read_bytes() for path in spool.parent.iterdir())
    assert b"line 49" in content
    assert TOKEN.encode() not in content
    assert b"127.0.0.1:1" not in content
    with (
        serving(accept) as server,
        logging_to(server.url, spool=spool, token_as_appname=token_as_appname) as (_, handler),
    ):
        assert handler.flush(5)
        appname = TOKEN.encode() if token_as_appname else b"app"
        assert len(server.frames()) == 50
        assert server.received[0].body.count(b" " + appname + b" ") == 50


def test_the_token_is_not_written_when_a_batch_is_cut_in_parts(spool):
    """What is put on disk then was made for the receiver before."""
    with serving(answer(413), answer(413), answer(503)) as server:
        options = {"token_as_appname": True, "until": lambda: len(server.received) > 2}
        leave(spool, lines(*range(8)), url=server.url, **options)
    assert len(rows(spool)) > 1
    assert not any(TOKEN.encode() in body for (body,) in rows(spool, "body"))


def test_nobody_else_can_read_the_files(spool):
    """Neither the database nor what stands beside it; also if it was there before."""
    spool.touch(0o666)
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, _):
        logger.info("secret")
        assert wait_until(lambda: len(list(spool.parent.iterdir())) == 4)
        for path in spool.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


# The bound, and disks that fail


def test_beyond_the_bound_memory_does_what_it_does_without(spool):
    """What is on disk comes first, then what memory has held; the rest is counted and told."""
    with serving(answer(503)) as server:
        options = {"max_spool_bytes": 300_000, "max_buffer_bytes": 100_000}
        with logging_to(server.url, spool=spool, shutdown_timeout=5, **options) as (
            logger,
            handler,
        ):
            for number in range(6000):
                logger.info("line %d %s", number, "x" * 100)
                if number % 100 == 0:
                    # Slowly at first, so that it is the disk that is full.
                    time.sleep(0.05 if number < 2000 else 0.001)
            assert balanced(handler.stats())
            assert handler.stats().dropped["buffer_full"] > 0
            assert spool.stat().st_size <= 300_000
            server.steps[:] = [accept]
            server.received.clear()
            assert handler.flush(10)
            numbers = [int(text.split()[1]) for text in server.frames() if text[:4] == b"line"]
            assert numbers == sorted(set(numbers))
            assert numbers[0] == 0
            assert numbers[-1] == 5999
            assert b"count#logplex_handler.dropped=" in b"".join(server.frames())
            assert handler.stats().delivered == len(numbers)


def test_an_outage_longer_than_memory_holds_loses_nothing(spool):
    """Ten times as much as the accumulator may hold; in order, and none twice."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool, max_buffer_bytes=2_000_000) as (logger, handler),
    ):
        for number in range(60_000):
            logger.info("line %d %s", number, "x" * 200)
        assert handler.stats().pending == 60_000
        server.received.clear()
        server.steps[:] = [accept]
        assert handler.flush(30)
        assert dict(handler.stats().dropped) == {}
        numbers = [int(text.split()[1]) for text in server.frames()]
        assert numbers == list(range(60_000))


def test_a_disk_that_is_slow_loses_nothing(spool, monkeypatch):
    """Those who log stand back for it, a little each, until it has taken what waits."""
    spill = DiskQueue.spill

    def slowly(self):
        time.sleep(0.2)
        return spill(self)

    monkeypatch.setattr(DiskQueue, "spill", slowly)
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool, max_buffer_bytes=2_000_000) as (logger, handler),
    ):
        for number in range(20_000):
            logger.info("line %d %s", number, "x" * 200)
        assert handler.stats().pending == 20_000
        server.steps[:] = [accept]
        assert handler.flush(30)


@pytest.mark.parametrize(
    "content", [b"no database at all" * 1000, b"SQLite format 3\0" + b"x" * 9000]
)
def test_with_a_file_that_is_no_spool_memory_goes_on(spool, content, capsys):
    """It is said, and the file is left as it is."""
    spool.write_bytes(content)
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
        assert server.frames() == [b"hello"]
    assert "spool: file is not a database" in capsys.readouterr().err
    assert spool.read_bytes() == content


def test_a_file_of_another_version_is_left_alone(spool, capsys):
    """Also one of another program."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("CREATE TABLE others (name)")
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
    assert "spool: it is another program's" in capsys.readouterr().err


def test_with_a_directory_that_cannot_be_written_memory_goes_on(tmp_path, capsys):
    """It is said, with the reason."""
    tmp_path.chmod(0o500)
    # Root may write everywhere but where the system allows nobody to.
    path = tmp_path / "spool.db" if os.geteuid() else "/sys/spool.db"
    with serving(accept) as server, logging_to(server.url, spool=path) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
        assert server.frames() == [b"hello"]
    tmp_path.chmod(0o700)
    assert "spool: Permission denied" in capsys.readouterr().err


def test_with_a_directory_that_is_not_there_memory_goes_on(tmp_path, capsys):
    """It is said, and what is left at the end is dropped and counted."""
    stats = leave(tmp_path / "not" / "there", lines(1, 2))
    assert dict(stats.dropped) == {"shutdown": 2}
    said = capsys.readouterr().err
    assert "spool: No such file or directory" in said
    assert "2 records not delivered" in said


def test_a_file_that_is_damaged_under_way_is_said_and_counted(spool, capsys):
    """Records that were on it are lost and told; those after them are delivered from memory."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=spool) as (logger, handler),
    ):
        logger.info("in flight")
        assert wait_until(lambda: server.received)
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
        assert handler.flush(10)
        stats = handler.stats()
        assert dict(stats.dropped) == {"spool_lost": 100}
        assert balanced(stats)
        found = server.frames()
        assert found[0] == b"in flight"
        assert b"after" in found
        assert b"count#logplex_handler.dropped=100" in b"".join(found)
    assert "100 records dropped (spool_lost 100)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (b"x", None), (b"99 short", None), (b"-5 abc", None), (b"1 a1 b", "[1]"),
        (b"1 a", "{"), (b"1 a", "5"), (b"1 a", '["x"]'), ("1 a", None), (b"1 a1 b", None),
        (b"1 a1 b", "[1, 1]"),
    ],
)  # fmt: skip
def test_a_chunk_that_is_none_is_an_error_of_one_kind(body, sizes):
    """Whatever stands in the file."""
    with pytest.raises((ValueError, TypeError)):
        unpacked(body, sizes, 1)


def test_a_chunk_comes_back_as_it_was():
    """With the records that its frames belong to."""
    frames = [b"1 a", *pieces([b"1 b", b"2 cd"]), b"3 e e", *pieces([b"1 f", b"1 g"])]
    body, sizes, records = packed(frames)
    again = unpacked(body, sizes, records)
    assert again == frames
    assert records == records_in(again) == 4
    assert json.loads(sizes or "") == [1, 2, 1, 2]


def test_a_chunk_with_runs_comes_back_frame_by_frame():
    """Beside records of several frames, and without them."""
    runs = [Run([b"1 a", b"1 b"]), b"1 c"]
    body, sizes, records = packed(runs)
    assert ([*singles(unpacked(body, sizes, records))], records) == ([b"1 a", b"1 b", b"1 c"], 3)
    assert sizes is None
    body, sizes, records = packed([*runs, *pieces([b"1 d", b"1 e"])])
    assert [*singles(unpacked(body, sizes, records))] == [b"1 a", b"1 b", b"1 c", b"1 d", b"1 e"]
    assert (records, json.loads(sizes or "")) == (4, [1, 1, 1, 2])


@pytest.mark.parametrize("length", [1, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 10_240])
def test_frames_that_end_with_a_line_come_apart_as_others_do(length):
    """Whatever their lengths are; and what is wrong with one shows."""
    line, text = b"x" * (length - 1) + b"\n", b"y" * length
    for frames in ([line, line], [text, text], [line, text, line], [line, b"\n\n", line]):
        made = [b"%d %b" % (len(frame), frame) for frame in frames]
        body = b"".join(made)
        assert [*singles(unpacked(body, None, len(made)))] == made
        for wrong in (body[:-1], body[1:], body + b"\n", b"1" + body):
            with pytest.raises(ValueError, match=r"frame|records|subsection"):
                unpacked(wrong, None, len(made))


# Several processes on one path


def test_the_rows_of_a_live_process_are_not_taken_over(spool):
    """Not by another handler of the same process either."""
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, first):
        logger.info("of the first")
        assert wait_until(lambda: spool.exists() and rows(spool))
        with serving(accept) as server, logging_to(server.url, spool=spool) as (_, second):
            assert second.flush(5)
            program = f"""
                from logplex_handler import LogplexHandler
                handler = LogplexHandler({server.url!r}, spool={str(spool)!r})
                print(handler.flush(5), handler.stats().recovered)
            """
            command = [sys.executable, "-c", textwrap.dedent(program)]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            assert found.stdout == "True 0\n"
            assert server.received == []
        assert first.stats().pending == 1


def _log_in_child(handler, logger, name, number):
    for count in range(number):
        logger.info("%s %d", name, count)
    logging.getLogger().handlers.clear()
    handler.close()


def test_forked_children_share_a_path_with_their_parent(spool):
    """Each has its own; what all of them log arrives once, and in order."""
    context = multiprocessing.get_context("fork")
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("parent -1")
        assert wait_until(spool.exists)
        children = [
            context.Process(target=_log_in_child, args=(handler, logger, name, 2000))
            for name in ("a", "b", "c")
        ]
        for process in children:
            process.start()
            for count in range(100):
                logger.info("parent %d", 100 * children.index(process) + count)
        for process in children:
            process.join(30)
            assert process.exitcode == 0
        assert handler.flush(5)
        found: dict[str, list[int]] = {}
        for text in server.frames():
            name, number = text.decode().split()
            found.setdefault(name, []).append(int(number))
        assert found.pop("parent") == list(range(-1, 300))
        assert found == {name: list(range(2000)) for name in ("a", "b", "c")}
        assert handler.stats().recovered == 0
    assert rows(spool) == []


def test_forks_while_other_threads_write_to_the_spool(spool):
    """Nobody waits for a lock that nobody holds any more."""
    stop = threading.Event()
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):

        def chatter():
            while not stop.is_set():
                logger.info("parent")
                time.sleep(0.0005)

        threads = [threading.Thread(target=chatter) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            pid = os.fork()
            if not pid:
                status = 1
                with contextlib.suppress(BaseException):
                    logger.info("child")
                    status = 0 if handler.flush(10) else 2
                os._exit(status)
            _, status = os.waitpid(pid, 0)
            assert status == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert handler.flush(5)
        assert server.frames().count(b"child") == 20
        assert balanced(handler.stats())


def test_many_processes_die_and_one_delivers_it_all(spool):
    """Eight are killed while nobody answers; none of them loses or mixes anything."""
    program = f"""
        import logging, sys, time
        from logplex_handler import LogplexHandler
        handler = LogplexHandler({DEAD!r}, spool={str(spool)!r})
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger().addHandler(handler)
        for number in range(500):
            logging.warning("%s %d", sys.argv[1], number)
        time.sleep(0.5)
        print("written", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE) for number in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
        process.wait()
        process.stdout.close()
    with serving(accept) as server, logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(10)
        assert handler.stats().recovered == 4000
        found: dict[bytes, list[int]] = {}
        for text in server.frames():
            name, _, number = text.partition(b" ")
            found.setdefault(name, []).append(int(number))
        assert found == {str(name).encode(): list(range(500)) for name in range(8)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_process_that_is_killed_loses_the_last_moments_at_most(seed):
    """At random instants, one process after the other; see `tests/spool/kills.py`."""
    findings = kills.run(5, seed)
    assert findings.are_good, findings
    assert findings.logged > 100


def test_a_child_that_was_forked_without_telling_python_does_without(spool, monkeypatch, capsys):
    """SQLite would take the parent's locks for its own."""
    with logging_to(DEAD, spool=spool, shutdown_timeout=0.1) as (logger, _):
        logger.info("hello")
        assert wait_until(lambda: bool(store._opened))
        # As it is seen by a child that has inherited it.
        path = os.path.realpath(spool)
        monkeypatch.setitem(store._opened, -1, (path, os.getppid(), None))
        with serving(accept) as server, logging_to(server.url, spool=spool) as (other, handler):
            other.info("hello")
            assert handler.flush(5)
            assert server.frames() == [b"hello"]
    assert "forked without telling Python" in capsys.readouterr().err


# What others do to the file


def test_another_programs_database_is_left_as_it_is(spool, capsys):
    """Whatever its version: to the byte, with its mode, and with nothing beside it."""
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute("PRAGMA user_version = 1")
        db.execute("CREATE TABLE others (name)")
    spool.chmod(0o644)
    content = spool.read_bytes()
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
        assert server.frames() == [b"hello"]
    assert "spool: it is another program's" in capsys.readouterr().err
    assert (spool.read_bytes(), stat.S_IMODE(spool.stat().st_mode)) == (content, 0o644)
    assert list(spool.parent.iterdir()) == [spool]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_files_of_another_user_are_not_used(spool, suffix, capsys):
    """Nor is what root makes beside a file of another user's out of reach for that user."""
    path = spool.with_name(spool.name + suffix)
    path.touch(0o600)
    os.chown(path, 12345, 12345)
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("hello")
        assert handler.flush(5)
        if suffix:
            assert "spool: .lock belongs to another user" in capsys.readouterr().err
        else:
            assert {one.stat().st_uid for one in spool.parent.iterdir()} == {12345}


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
    """What follows is delivered, what it holds is delivered or counted, and no header is forged."""
    # The first one is in a request of its own.
    with serving(reset, answer(503)) as server:
        leave(spool, ["first"], url=server.url, until=lambda: server.received)
    leave(spool, ["second"])
    with contextlib.closing(sqlite3.connect(spool)) as db:
        db.execute(f"UPDATE chunks SET {damage[:100_100]} WHERE id = 1")
        db.commit()
    with serving(accept) as server, logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("third")
        assert wait_until(lambda: handler.flush(1) and not handler.stats().pending)
        stats = handler.stats()
        assert balanced(stats)
        assert set(stats.dropped) <= {"spool_lost"}
        told = [text for text in server.frames() if b"logplex_handler" not in text]
        assert sorted(told)[-2:] == [b"second", b"third"]
        assert not [request for request in server.received if "x-forged" in request.headers]
    assert rows(spool) == []


def test_a_file_that_cannot_be_opened_for_a_moment_loses_nothing(spool, capsys):
    """As where a fork has closed it, and there is no descriptor to be had just then."""
    away = spool.with_name("away.db")
    with serving(answer(503)) as server, logging_to(server.url, spool=spool) as (logger, handler):
        for line in lines(*range(100)):
            logger.info(line)
        assert wait_until(lambda: len(rows(spool)) == 1)
        spool.rename(away)
        spool.mkdir()
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
        spool.rmdir()
        away.rename(spool)
        server.received.clear()
        assert handler.flush(5)
        assert server.frames()[-1] == b"after"
        assert (handler.stats().delivered, dict(handler.stats().dropped)) == (101, {})
    assert "spool: it is no file; 101 records pending" in capsys.readouterr().err


@contextlib.contextmanager
def held(spool):
    """Nobody else can write meanwhile, as beside a process that was stopped while it did."""
    with contextlib.closing(
        sqlite3.connect(spool, isolation_level=None, check_same_thread=False)
    ) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


def test_close_does_not_wait_for_a_process_that_holds_the_file(spool):
    """Not once for each stream; and what cannot be written is counted as dropped."""
    leave(spool, ["before"])
    streams = dict.fromkeys(range(40), DEAD)
    with held(spool):
        options = {"spool": spool, "streams": streams, "shutdown_timeout": 0.5}
        with logging_to(None, **options) as (logger, handler):
            for stream in streams:
                logger.info("hello", extra={"logplex_stream": stream})
            began = time.monotonic()
        assert time.monotonic() - began < 3
    assert dict(handler.stats().dropped) == {"shutdown": 40}


def test_what_could_not_be_deleted_is_not_sent_again(spool, monkeypatch):
    """Also by a stream that was let go of meanwhile, and was opened again."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    monkeypatch.setattr(store, "_PATIENCE", 0.2)
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
            assert handler.flush(5)
            time.sleep(0.6)
        logger.info("two", extra={"logplex_stream": "a"})
        assert handler.flush(5)
        assert server.frames() == [b"one", b"two"]
        assert (handler.stats().delivered, handler.stats().pending) == (2, 0)
        assert wait_until(lambda: rows(spool) == [])


def test_a_stream_that_ends_leaves_nothing_on_disk(spool, monkeypatch):
    """What is written at that very moment neither."""
    clear = DiskQueue.clear

    def clear_and_spill(disk_queue):
        clear(disk_queue)
        disk_queue.spill()

    monkeypatch.setattr(DiskQueue, "clear", clear_and_spill)
    with logging_to(None, spool=spool, streams={}, spool_interval=0.01) as (logger, handler):
        for number in range(100):
            logger.info("line %d", number, extra={"logplex_stream": "a"})
        assert wait_until(lambda: handler.stats().dropped.get("unknown_stream") == 100)
        assert balanced(handler.stats())
        assert rows(spool) == []


def test_a_handler_that_is_closed_while_it_sends_leaves_the_rest_when_that_is_over(spool):
    """To a handler of the same process too: as for who sets logging up anew in an outage."""
    answers = threading.Event()

    def slowly(connection):
        answers.wait(10)
        answer(503)(connection)

    with serving(slowly) as slow, serving(accept) as server:
        with logging_to(slow.url, spool=spool, shutdown_timeout=0.1) as (logger, _):
            logger.info("left")
            assert wait_until(lambda: slow.received)
        with logging_to(server.url, spool=spool) as (logger, handler):
            logger.info("new")
            assert handler.flush(5)
            assert handler.stats().recovered == 0
            answers.set()
            assert wait_until(lambda: handler.stats().delivered == 2)
            assert server.frames() == [b"new", b"left"]
            assert server.received[1].frame_id == slow.received[0].frame_id
    assert rows(spool) == []


def test_what_two_dead_processes_have_sent_is_sent_again_as_it_was(spool):
    """Each batch whole under its frame id, though their chunks stand mixed on disk."""
    options = {"spool": spool, "spool_interval": 0.02, "shutdown_timeout": 0.1}
    with (
        serving(reset, reset, answer(503)) as server,
        logging_to(server.url, **options) as (first, _),
        logging_to(server.url, **options) as (second, _),
    ):
        for number in range(8):
            first.info("first %d", number)
            second.info("second %d", number)
            time.sleep(0.04)
        assert wait_until(lambda: len(server.received) >= 2)
        before = {request.frame_id: request.body for request in server.received}
    assert len(rows(spool)) > 4
    with serving(accept) as server, logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(5)
        again = {request.frame_id: request.body for request in server.received}
        assert len(again) == len(server.received)
        assert before.items() <= again.items()
        texts_of_first = [text for text in server.frames() if text.startswith(b"first")]
        assert texts_of_first == [b"first %d" % number for number in range(8)]


@pytest.mark.parametrize("length", [40, 68, 117])
def test_in_a_full_file_a_batch_is_with_its_frame_id_before_it_is_sent(spool, length, monkeypatch):
    """There is room for it, and what is not on disk is not sent beside what is."""
    seen = []

    def look(connection):
        body = b"".join(body for (body,) in rows_of(server.current.request.frame_id))
        seen.append(body == server.current.request.body)
        answer(503)(connection)

    def rows_of(frame_id):
        with contextlib.closing(sqlite3.connect(spool)) as db:
            return db.execute(
                "SELECT body FROM chunks JOIN bodies USING (id) WHERE frame_id = ? "
                "ORDER BY place, part",
                (frame_id,),
            ).fetchall()

    # As small as they are where something is logged now and then.
    monkeypatch.setattr("logplex_handler._sender.disk_queue.drain", _one_by_one)
    with serving(look) as server:
        options = {"spool_interval": 0.001, "flush_interval": 60, "shutdown_timeout": 0.5}
        options |= {"batch_size": 1_000_000, "max_spool_bytes": 200_000}
        with logging_to(server.url, spool=spool, **options) as (logger, handler):
            for number in range(1000):
                logger.info("%d %s", number, "x" * length)
            disk_queue = own_stream(handler).disk_queue
            assert disk_queue is not None
            assert wait_until(lambda: bool(disk_queue._unwritten))
            monkeypatch.setattr("logplex_handler._sender.disk_queue.drain", drain)
            handler.flush(0.3)
            assert seen[0]
            server.steps[:] = [accept]
            assert handler.flush(10)
            numbers = [int(text.split()[0]) for text in server.frames()]
            assert sorted(set(numbers)) == list(range(1000))
            assert numbers[-1] == 999


def _one_by_one(frames, max_bytes, accumulator, render, *, held=0):
    drain(frames, 0, accumulator, render, held=held)
