"""The size limit of the file, long outages, and slow disks."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from functools import partial

import pytest

from logplex_handler._buffer import waking_queue
from logplex_handler._sender.disk_source import DiskSource
from logplex_handler._sender.drain import drain
from tests.logs import balanced, logging_to, logging_to_server, own_stream, wait_until
from tests.servers import accept, answer, serving
from tests.spool.shared import leave, rows

# The bound, and disks that fail


def test_beyond_the_bound_memory_does_what_it_does_without(spool):
    """Records on disk come first, then those in memory; all others are counted and reported."""

    def is_on_disk(number):
        return sum(records for (records,) in rows(spool, "records")) == number

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
                    if number < 500:
                        assert wait_until(partial(is_on_disk, number + 1))
                    time.sleep(0.05 if number < 2000 else 0.001)
            assert balanced(handler.stats())
            assert handler.stats().dropped["buffer_full"] > 0
            assert spool.stat().st_size <= 300_000
            server.begin_anew(accept)
            assert handler.flush(100)
            numbers = [int(text.split()[1]) for text in server.frames() if text[:4] == b"line"]
            assert numbers == sorted(set(numbers))
            assert numbers[0] == 0
            assert numbers[-1] == 5999
            assert b"count#logplex_handler.dropped=" in b"".join(server.frames())
            assert handler.stats().delivered == len(numbers)


@pytest.fixture
def patient_callers(monkeypatch):
    """Callers are throttled for as long as a busy machine lets nobody write."""
    monkeypatch.setattr(waking_queue, "PATIENCE_WITH_A_DISK", 60.0)


@pytest.mark.usefixtures("patient_callers")
def test_an_outage_longer_than_memory_holds_loses_nothing(spool):
    """Ten times as much as the accumulator may hold; in order, and none twice."""
    with logging_to_server(answer(503), spool=spool, max_buffer_bytes=500_000) as (
        server,
        logger,
        handler,
    ):
        for number in range(15_000):
            logger.info("line %d %s", number, "x" * 200)
        assert handler.stats().pending == 15_000
        server.begin_anew(accept)
        assert handler.flush(100)
        assert dict(handler.stats().dropped) == {}
        numbers = [int(text.split()[1]) for text in server.frames()]
        assert numbers == list(range(15_000))


@pytest.mark.usefixtures("patient_callers")
def test_a_disk_that_is_slow_loses_nothing(spool, monkeypatch):
    """Callers are throttled a little until the disk has caught up."""
    spill = DiskSource.spill

    def slowly(self):
        time.sleep(0.2)
        return spill(self)

    monkeypatch.setattr(DiskSource, "spill", slowly)
    with logging_to_server(answer(503), spool=spool, max_buffer_bytes=500_000) as (
        server,
        logger,
        handler,
    ):
        for number in range(5_000):
            logger.info("line %d %s", number, "x" * 200)
        assert handler.stats().pending == 5_000
        server.steps[:] = [accept]
        assert handler.flush(100)


def test_a_stream_that_ends_leaves_nothing_on_disk(spool, monkeypatch):
    """Nor do records that are being written at that moment."""
    discard = DiskSource.discard

    def discard_and_spill(source):
        discard(source)
        source.spill()

    monkeypatch.setattr(DiskSource, "discard", discard_and_spill)
    with logging_to(None, spool=spool, streams={}, spool_interval=0.01) as (logger, handler):
        for number in range(100):
            logger.info("line %d", number, extra={"logplex_stream": "a"})
        assert wait_until(lambda: handler.stats().dropped.get("unknown_stream") == 100)
        assert balanced(handler.stats())
        # They are counted first.
        assert wait_until(lambda: rows(spool) == [])


@pytest.mark.parametrize("length", [40, 68, 117])
def test_in_a_full_file_a_batch_is_with_its_frame_id_before_it_is_sent(spool, length, monkeypatch):
    """Space is reserved for the frame id; records not on disk are not sent with those that are."""
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
    monkeypatch.setattr("logplex_handler._sender.disk_source.drain", _one_by_one)
    with serving(look) as server:
        options = {"spool_interval": 0.001, "flush_interval": 60, "shutdown_timeout": 0.5}
        options |= {"batch_size": 1_000_000, "max_spool_bytes": 200_000}
        with logging_to(server.url, spool=spool, **options) as (logger, handler):
            for number in range(1000):
                logger.info("%d %s", number, "x" * length)
            source = own_stream(handler).source
            assert isinstance(source, DiskSource)
            assert wait_until(lambda: bool(source._unwritten))
            monkeypatch.setattr("logplex_handler._sender.disk_source.drain", drain)
            assert wait_until(lambda: handler.flush(0.3) or seen)
            assert seen[0]
            server.steps[:] = [accept]
            assert handler.flush(100)
            numbers = [int(text.split()[0]) for text in server.frames()]
            assert sorted(set(numbers)) == list(range(1000))
            assert numbers[-1] == 999


@pytest.mark.parametrize("is_sent", [False, True])
def test_frames_on_disk_that_no_receiver_takes_at_once_are_sent_in_parts(
    spool, is_sent, monkeypatch
):
    """Such as those of one long record; the parts are on disk with their ids before they are sent.

    `is_sent`: Another process has tried to send the frames in one request.
    """
    seen = []

    def look(connection):
        request = server.current.request
        with contextlib.closing(sqlite3.connect(spool)) as db:
            found = db.execute(
                "SELECT body FROM chunks JOIN bodies USING (id) WHERE frame_id = ?",
                (request.frame_id,),
            ).fetchall()
        seen.append(found == [(request.body,)])
        (accept if len(request.body) <= 30_000 else answer(500))(connection)

    with serving(look) as server:
        if is_sent:
            leave(spool, ["x" * 100_000])
            with contextlib.closing(sqlite3.connect(spool)) as db:
                db.execute("UPDATE chunks SET frame_id = ?", (str(uuid.uuid4()),))
                db.commit()
        monkeypatch.setattr("logplex_handler._sender.batch.MAX_BODY_BYTES", 30_000)
        with logging_to(server.url, spool=spool, max_batch_bytes=30_000) as (logger, handler):
            logger.info("%s", "x" * 100_000)
            assert handler.flush(100)
            assert wait_until(lambda: not handler.stats().pending)
            assert balanced(handler.stats())
            assert dict(handler.stats().dropped) == {}
    assert b"".join(server.frames()).count(b"x") == 100_000 * (1 + is_sent)
    assert all(seen)
    assert rows(spool) == []


def _one_by_one(frames, max_bytes, accumulator, render, **options):
    drain(frames, 0, accumulator, render, **options)
