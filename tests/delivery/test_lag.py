"""How far delivery is behind: in `stats`, and on stderr if nothing else explains it."""

from __future__ import annotations

import logging
import time

import pytest

from logplex_handler import Stats
from logplex_handler._sender import lag_reports, retry_policy
from logplex_handler._sender.lag_reports import LagReports
from tests.logs import logging_to, wait_until
from tests.servers import accept, answer, hang, serving
from tests.spool.shared import leave


@pytest.mark.parametrize("stored", [False, True])
def test_the_lag_is_the_age_of_the_oldest_record(tmp_path, stored):
    """Whether it is being sent or waits, and on disk too; it is 0 as soon as nothing is pending."""
    options = {"spool": tmp_path / "spool.db"} if stored else {}
    with serving(answer(503)) as server, logging_to(server.url, **options) as (logger, handler):
        assert handler.stats().lag == 0
        before = time.monotonic()
        logger.info("one")
        after = time.monotonic()
        assert wait_until(lambda: server.received)
        logger.info("two")
        assert wait_until(lambda: handler.stats().lag > 0.5)
        until, lag, since = time.monotonic(), handler.stats().lag, time.monotonic()
        # On disk, it is as old as its chunk. The clocks of records and of waits differ a little.
        assert stored or until - after - 0.1 <= lag
        assert lag <= since - before + 0.1
        server.steps[:] = [accept]
        assert handler.flush(100)
        assert wait_until(lambda: not handler.stats().pending)
        assert handler.stats().lag == 0


def test_a_record_is_no_older_than_its_wait():
    """Whatever time it bears: that of a replayed one, or of a wrong clock."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, shutdown_timeout=0.1) as (logger, handler),
    ):
        for created in (0.0, 4e9):
            record = logging.makeLogRecord({"msg": "replayed", "created": created, "levelno": 20})
            logger.handle(record)
        assert wait_until(lambda: server.received)
        assert 0 <= handler.stats().lag < 60


def test_records_of_a_dead_process_are_as_old_as_their_place(tmp_path):
    """They waited on disk meanwhile."""
    leave(tmp_path / "spool.db", ["left"])
    ended = time.monotonic()
    time.sleep(0.3)
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=tmp_path / "spool.db", shutdown_timeout=0.1) as (
            logger,
            handler,
        ),
    ):
        logger.info("hello")
        assert wait_until(lambda: server.received)
        passed = time.monotonic() - ended
        assert handler.stats().lag >= passed - 0.1


def test_a_sum_has_the_greater_lag():
    """And two values are equal whatever their lag."""
    assert (Stats(lag=1.0) + Stats(lag=2.5)).lag == 2.5
    assert Stats(lag=1.0) == Stats()


def slow(connection):
    time.sleep(0.25)
    accept(connection)


def test_a_receiver_that_is_too_slow_is_said_once(monkeypatch, capsys):
    """With what to change; all records are delivered."""
    monkeypatch.setattr(lag_reports, "_BOUND", 0.5)
    streams = range(20)
    with serving(slow) as server:
        with logging_to(
            None, streams=dict.fromkeys(streams, server.url), workers=1, flush_interval=0.1
        ) as (logger, handler):
            for stream in streams:
                logger.info("hello", extra={"logplex_stream": stream})
            assert handler.flush(100)
            # Now all URLs are known, which takes its time too.
            for stream in streams:
                logger.info("hello", extra={"logplex_stream": stream})
            assert handler.flush(100)
        assert handler.stats().delivered == 40
    said = capsys.readouterr().err
    assert said.count(" s behind, though no request fails: raise `workers` (now 1)") == 1


def test_what_an_outage_explains_is_not_said_again(monkeypatch, capsys):
    """Records that came before its end are late because of it."""
    monkeypatch.setattr(lag_reports, "_BOUND", 0.2)
    with serving(answer(503)) as server, logging_to(server.url) as (logger, handler):
        logger.info("hello")
        assert wait_until(lambda: handler.stats().lag > 1)
        server.steps[:] = [accept]
        assert handler.flush(100)
    assert "behind" not in capsys.readouterr().err


def test_the_same_lag_is_said_again_after_an_hour_and_twice_the_lag_at_once(monkeypatch):
    """The bound is twice `flush_interval` if that is more than a minute."""

    class Lines:
        def __init__(self):
            self.said = []

        def warn(self, kind, message):
            self.said.append(message)

    now = [0.0]
    monkeypatch.setattr(lag_reports.time, "monotonic", lambda: now[0])
    lines = Lines()
    reports = LagReports(lines, 40.0, "do this")
    noted = [(1, 80), (2, 81), (3, 100), (4, 162), (5, 163), (99, 325), (9000, 79), (9001, 90)]
    for at, lag in noted:
        now[0] = at
        reports.note(lag)
    assert [line.split()[0] for line in lines.said] == ["81", "163", "90"]


def test_an_unreachable_receiver_is_said_at_its_first_time_out(capsys, monkeypatch):
    """Not after several of them, which may take a minute."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 600.0)
    options = {"timeout": 0.5, "shutdown_timeout": 0.1}
    with serving(hang) as server, logging_to(server.url, **options) as (logger, handler):
        logger.info("hello")
        said = []

        def is_said():
            said.append(capsys.readouterr().err)
            return "not delivering: ReadTimeout; 1 record kept" in "".join(said)

        assert wait_until(is_said)
        assert handler.stats().requests == 1


def test_a_request_that_a_flush_cuts_short_is_not_said(capsys):
    """The receiver may have answered within the time-out."""
    options = {"timeout": 20, "shutdown_timeout": 0.1}
    with serving(hang) as server, logging_to(server.url, **options) as (logger, handler):
        logger.info("hello")
        assert not handler.flush(1.5)
        assert "not delivering" not in capsys.readouterr().err
