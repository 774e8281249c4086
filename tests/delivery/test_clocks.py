"""No call waits for ever where the clock stands still or jumps, as in an application's tests."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time

import pytest

from logplex_handler import flush_all
from logplex_handler.testing import LogplexCapture
from tests.logs import logging_to
from tests.servers import answer, hang, reset, serving

# As `freezegun` does. It leaves `threading` and `queue` alone, whose waits end.
CLOCKS = {
    "stands": lambda real: lambda: 1000.0,
    "goes back": lambda real: iter_down(),
    "jumps": lambda real: lambda: real() + (3600 if int(real() * 50) % 2 else 0),
}


def iter_down():
    now = [1e6]

    def monotonic():
        now[0] -= 1
        return now[0]

    return monotonic


@pytest.fixture(params=CLOCKS)
def clock(request, monkeypatch):
    """Changes the clock when it is called."""
    return lambda: monkeypatch.setattr(time, "monotonic", CLOCKS[request.param](time.monotonic))


@pytest.mark.parametrize("step", [hang, reset, answer(503)], ids=["hangs", "resets", "fails"])
def test_flush_and_close_end(step, clock):
    """Whatever the receiver does meanwhile; all records are counted."""
    with serving(step) as server, logging_to(server.url, shutdown_timeout=0.3) as (logger, handler):
        clock()
        for number in range(3):
            logger.info("number %d", number)
        assert handler.flush(0.3) is False
        assert flush_all(0.3) is False
        handler.flush()
        handler.close()
        assert handler.stats().dropped == {"shutdown": 3}


def test_a_caller_that_waits_for_room_goes_on(clock):
    with (
        serving(hang) as server,
        logging_to(server.url, on_full="block", max_buffer_bytes=20_000, shutdown_timeout=0.3) as (
            logger,
            handler,
        ),
    ):
        clock()
        for _ in range(8):
            logger.info("x" * 5_000)
        handler.close()
        assert handler.stats().accepted == 8


def test_a_burst_goes_on(clock):
    """Callers that are faster than the receiver are slowed down for a moment only."""
    with (
        serving(hang) as server,
        logging_to(server.url, max_buffer_bytes=400_000, shutdown_timeout=0.1) as (logger, handler),
    ):
        clock()
        for number in range(500):
            logger.info("%d %s", number, "x" * 2_000)
        handler.close()
        assert handler.stats().accepted == 500


def test_the_fixture_s_wait_for_ends(clock):
    with LogplexCapture([]) as capture:
        clock()
        with pytest.raises(AssertionError, match="never"):
            capture.wait_for("never", timeout=0.3)


def test_records_are_delivered_while_the_clock_stands(clock):
    """By `flush`, which is what a test of an application calls."""
    with LogplexCapture(["test.frozen"]) as capture:
        clock()
        logging.getLogger("test.frozen").warning("hello")
        # One ends early if the clock jumps beyond its deadline.
        assert any(capture.handler.flush(5) for _ in range(1000))
        assert "hello" in capture.wait_for("hello").text


@pytest.mark.parametrize("clock", ["stands", "jumps"], indirect=True)
def test_a_spool_that_another_program_holds_does_not_stop_a_caller(clock, tmp_path):
    path = tmp_path / "spool"
    with (
        serving(answer(503)) as server,
        logging_to(server.url, spool=path, shutdown_timeout=0.3) as (logger, handler),
    ):
        logger.info("first")
        handler.flush(0.1)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            clock()
            logger.info("second")
            handler.flush(0.3)
            handler.close()
            other.rollback()
