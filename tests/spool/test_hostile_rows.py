"""A spool whose rows hold anything: what can be read is delivered, the rest is counted as lost."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.logs import balanced, logging_to, wait_until
from tests.servers import accept, serving
from tests.spool.shared import leave, rows

PACKET = b"<190>1 2026-01-01T00:00:00.000000+00:00 host app x - - foreign\n"
FRAME = b"%d %b" % (len(PACKET), PACKET)
# A row as this package writes it; `id` is left to SQLite.
ROW = {
    "place": 1, "part": 0, "owner": 5, "recovered": 0, "stream": None, "hostname": None,
    "frame_id": " " * 36, "records": 1, "sizes": None, "body": FRAME,
}  # fmt: skip

LIMITS = [0, 1, -1, 2**31, 2**62, 2**62 + 1, 2**63 - 1, -(2**63), 10**6, 10**6 + 1]
# As SQL, because sqlite3 binds no text that is not UTF-8.
NOT_UTF8 = b"a\xff\xc3"
TEXTS = ["", "x", "a", "7", "nowhere", "\0", "é", "[1]", "[2]", "{}", "[" * 5000, "x" * 11_000]
BODIES = [
    b"", b" ", b"0 ", b"1", b"5 abc", b"99999 x", b"05 abcde", b"-1 x", b"+1 x", b"1_0 x",
    FRAME[:-1], FRAME + b"1", b"9" * 5000 + b" x", FRAME * 3, b"5 abc\nd", b"1 \n", b"3 \xff\xff\n",
    b"10241 " + b"x" * 10241, b"\0" * 100_000,
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.sampled_from(LIMITS),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([1.5, -0.0, 1e300, float("inf"), float("-inf")]),
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(BODIES),
    st.binary(max_size=40),
    st.just(NOT_UTF8),
)
HOSTILE = st.dictionaries(st.sampled_from(sorted(ROW)), VALUES, min_size=1, max_size=10)


@pytest.fixture(scope="module")
def left():
    """A spool with the records of a dead process, and a receiver."""
    with tempfile.TemporaryDirectory() as folder, serving(accept) as server:
        spool = Path(folder, "left.db")
        leave(spool, ["good 1"])
        leave(spool, ["good 2"], url=None, stream="a", streams={"a": "http://t:x@127.0.0.1:1/"})
        with contextlib.closing(sqlite3.connect(spool)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield spool, server


def insert(spool, hostile):
    with contextlib.closing(sqlite3.connect(spool)) as db:
        for changes in hostile:
            row = ROW | changes
            body = row.pop("body")
            holes = ["CAST(? AS TEXT)" if value is NOT_UTF8 else "?" for value in row.values()]
            with contextlib.suppress(sqlite3.IntegrityError):
                id = db.execute(
                    f"INSERT INTO chunks ({', '.join(row)}) VALUES ({', '.join(holes)})",
                    [*row.values()],
                ).lastrowid
                db.execute("INSERT INTO bodies VALUES (?, ?)", (id, body))
        db.commit()


@settings(max_examples=60, deadline=None)
@given(st.lists(HOSTILE, max_size=4))
@example([{"owner": "x"}])
@example([{"owner": 2**62 + 1}, {"owner": -1}, {"owner": NOT_UTF8}, {"owner": 1.5}])
@example([{"place": 2**63 - 1}, {"place": "nowhere"}, {"place": b""}])
@example([{"records": 2**63 - 1}, {"records": 2**63 - 1, "stream": "a"}])
@example([{"stream": b"a"}, {"stream": NOT_UTF8}, {"stream": 1.5}, {"stream": "x" * 11_000}])
@example([{"stream": "a\0b"}, {"hostname": "a\0b"}, {"frame_id": "\0" * 36}])
@example([{"body": b"5 abc\nd"}, {"body": b"1 \n"}, {"body": b"3 \xff\xff\n"}])
@example([{"sizes": "[-1]"}, {"sizes": "[-1]", "place": 2**62 - 1}, {"sizes": "[-1, 1]"}])
@example([{"sizes": NOT_UTF8}, {"sizes": "[1e999]"}, {"sizes": "[-5]"}, {"body": 5}])
def test_whatever_a_row_holds_the_others_are_delivered(left, hostile):
    """Nothing is raised by a log call, `flush` or `close`, and the books balance."""
    given_spool, server = left
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder, "spool.db")
        shutil.copy(given_spool, spool)
        insert(spool, hostile)
        server.received.clear()
        streams = {"a": server.url}
        with logging_to(server.url, spool=spool, streams=streams) as (logger, handler):
            logger.info("good 3")
            assert handler.flush(100)
            assert wait_until(lambda: not handler.stats().pending)
            logger.info("good 4", extra={"logplex_stream": "a"})
            assert handler.flush(100)
            stats = handler.stats()
        assert balanced(stats)
        assert set(stats.dropped) <= {"spool_lost", "unknown_stream"}
        texts = set(server.frames())
        assert {b"good 1", b"good 2", b"good 3", b"good 4"} <= texts
        assert not [request for request in server.received if b"5 abc\nd" in request.body]
        assert not [request for request in server.received if "x-forged" in request.headers]
        assert rows(spool) == []


def test_content_that_is_longer_than_the_file_may_be_is_not_read(left, tmp_path):
    """It is counted as lost, and takes no memory."""
    given_spool, server = left
    spool = tmp_path / "spool.db"
    shutil.copy(given_spool, spool)
    huge = bytes(40_000_000)
    insert(spool, [{"body": huge}, {"sizes": huge.decode()}, {"hostname": huge.decode()}])
    server.received.clear()
    tracemalloc.start()
    try:
        with logging_to(server.url, spool=spool, max_spool_bytes=4_000_000) as (logger, handler):
            logger.info("good 3")
            assert handler.flush(100)
            assert wait_until(lambda: not handler.stats().pending)
            assert dict(handler.stats().dropped) == {"spool_lost": 3}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {b"good 1", b"good 3"} <= set(server.frames())
    assert peak < 20_000_000


def test_many_damaged_rows_are_counted_quickly(left, tmp_path):
    """Not one by one: those that come after them are delivered in time."""
    given_spool, server = left
    spool = tmp_path / "spool.db"
    shutil.copy(given_spool, spool)
    insert(spool, [{"body": b""}] * 20_000)
    server.received.clear()
    with logging_to(server.url, spool=spool) as (logger, handler):
        logger.info("good 3")
        assert wait_until(lambda: handler.flush(1) and not handler.stats().pending)
        stats = handler.stats()
        assert (stats.delivered, dict(stats.dropped)) == (2, {"spool_lost": 20_000})
        assert balanced(stats)
    assert {b"good 1", b"good 3"} <= set(server.frames())


@pytest.mark.parametrize("column", ["stream", "place", "part"])
def test_what_would_slow_down_each_step_of_the_index_is_removed(left, tmp_path, column):
    """Also if it is of a stream that the handler has not."""
    given_spool, server = left
    spool = tmp_path / "spool.db"
    shutil.copy(given_spool, spool)
    insert(spool, [{"stream": "elsewhere"}, {"stream": "elsewhere", column: bytes(1_000_000)}])
    with logging_to(server.url, spool=spool) as (_, handler):
        assert handler.flush(100)
        assert wait_until(lambda: not handler.stats().pending)
        assert dict(handler.stats().dropped) == {"spool_lost": 1}
    assert {row[0] for row in rows(spool, "stream")} == {"a", "elsewhere"}
    assert len(rows(spool)) == 2
