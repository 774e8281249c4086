"""`health_interval`: the handler reports its own state in its stream."""

from __future__ import annotations

import os
import threading

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler.handler.health import Vitals, pairs
from logplex_handler.stats import Stats
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.logs import (
    balanced,
    logging_to,
    logging_to_receiver,
    logging_to_server,
    own_stream,
    threads_started_here,
    wait_until,
)
from tests.servers import accept, answer, hang, refusing, serving

PREFIX = "logplex_handler."


def health(texts):
    """The lines on health, each as its samples by name."""
    read = [strict.metrics(strict.pairs(text)) for text in texts if f"#{PREFIX}pending" in text]
    assert all(one.kind == "sample" for line in read for one in line)
    return [{one.name.removeprefix(PREFIX): (one.value, one.unit) for one in line} for line in read]


def total(lines, name):
    """The sum of a number over all lines."""
    return sum(line.get(name, (0, ""))[0] for line in lines)


def test_what_is_put_back_leaves_the_other_metrics_in_place():
    """A shipper may have less than before: no metric is negative, and the others are reported."""
    before, now = Vitals(Stats(accepted=5), 0.0, 0.0), Vitals(Stats(accepted=3), 0.0, 0.0)
    assert pairs(now, before)[f"sample#{PREFIX}accepted"] == "0"


def test_a_line_once_per_interval_says_how_the_handler_is():
    """Metrics alone, in the handler's own stream; the line is not counted as a record."""
    with logging_to_receiver(formatter=KeyValueFormatter(source="here"), health_interval=0.1) as (
        logplex,
        logger,
        handler,
    ):
        for _ in range(5):
            logger.info("hello")
        handler.flush()

        def lines():
            return [line.text for line in logplex.lines]

        assert wait_until(lambda: total(health(lines()), "delivered") == 5)
        assert wait_until(lambda: len(health(lines())) >= 3)
        handler.close()
        found = health(lines())
        assert total(found, "accepted") == total(found, "delivered") == 5
        assert total(found, "dropped") == total(found, "retries") == 0
        assert found[-1]["pending"] == found[-1]["buffer_fill"] == (0, "")
        assert any(line.get("request_time", (0, ""))[0] > 0 for line in found)
        assert found[0]["bytes_sent"][1] == "bytes"
        assert next(text for text in lines() if f"#{PREFIX}" in text).startswith(
            "source=here sample#logplex_handler.accepted="
        )
        stats = handler.stats()
        assert (stats.accepted, stats.delivered) == (5, 5)
        assert balanced(stats)
        assert not logplex.violations


def test_without_it_there_is_no_line_and_no_thread():
    """Nothing is said that was not asked for."""
    with threads_started_here() as started, logging_to_receiver() as (logplex, logger, handler):
        logger.info("hello")
        handler.flush()
        assert started
        assert not [one for one in started if one.name.endswith("periodic")]
        handler.close()
        assert [line.text for line in logplex.lines] == ["hello"]


def test_the_last_line_leaves_when_the_handler_is_closed():
    """However long the interval is."""
    with logging_to_receiver(health_interval=3600) as (logplex, logger, handler):
        logger.info("hello")
        handler.flush()
        assert health(line.text for line in logplex.lines) == []
        handler.close()
        (found,) = health(line.text for line in logplex.lines)
        assert found["delivered"] == (1, "")


@pytest.mark.usefixtures("short_waits")
def test_failures_show(capsys):
    """Retries, drops by reason, and how full the accumulator is."""
    logged = threading.Event()

    def fail(connection):
        assert logged.wait(100)
        answer(503)(connection)

    with logging_to_server(
        fail,
        answer(503),
        accept,
        health_interval=0.05,
        max_buffer_bytes=20_000,
        flush_interval=0.01,
    ) as (server, logger, handler):
        for _ in range(10):
            logger.info("x" * 5000)
        # Nothing was delivered meanwhile.
        logged.set()
        handler.flush()
        assert wait_until(lambda: handler.stats().pending == 0)
        handler.close()
        found = health(text.decode() for text in server.frames())
        stats = handler.stats()
        assert stats.dropped["buffer_full"] >= 6
        assert total(found, "dropped") == total(found, "dropped.buffer_full")
        assert total(found, "dropped.buffer_full") == stats.dropped["buffer_full"]
        assert total(found, "retries") == stats.retries >= 2
        assert balanced(stats)


@pytest.mark.usefixtures("short_waits")
def test_where_only_a_health_line_waits_no_records_are_said_to_be_kept(capsys):
    said = []
    with logging_to_server(
        accept, health_interval=0.02, flush_interval=0.01, shutdown_timeout=0.1
    ) as (server, logger, handler):
        logger.info("line")
        assert handler.flush(100)
        server.steps[:] = [answer(503)]
        assert wait_until(lambda: said.append(capsys.readouterr().err) or "503" in "".join(said))
    assert "not delivering: status 503; tried again\n" in "".join(said)


@pytest.mark.usefixtures("short_waits")
def test_a_health_line_that_is_refused_costs_nothing():
    """All records are delivered, and no drop is reported."""
    with serving(accept) as server:
        server.steps[:] = [refusing(b"logplex_handler.pending", 400)(server)]
        with logging_to(server.url, health_interval=0.05, flush_interval=0.02) as (logger, handler):
            for number in range(20):
                logger.info("number %d", number)
                wait_until(lambda: False, 0.01)
            assert handler.flush()
            stats = handler.stats()
            assert (stats.delivered, dict(stats.dropped)) == (20, {})


def test_a_hanging_outage_does_not_pile_up_lines():
    """The newest of them wait, and no more than sixty."""
    with logging_to_server(hang, health_interval=0.002, shutdown_timeout=0.1) as (
        _server,
        logger,
        handler,
    ):
        logger.info("hello")
        in_flight = own_stream(handler).in_flight
        assert wait_until(lambda: len(in_flight._health_lines or ()) == 60)
        waiting = in_flight._health_lines
        newest = waiting[-1]
        assert wait_until(lambda: waiting[-1] != newest)
        assert len(waiting) <= 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_says_how_its_own_handler_is():
    """From its first record on, and from zero."""
    with LogplexReceiver() as logplex:
        with logging_to(logplex.url, health_interval=3600) as (logger, handler):
            logger.info("parent")
            handler.flush()
            pid = os.fork()
            if not pid:
                try:
                    logger.info("child")
                    logger.info("child")
                    handler.close()
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
        found = health(line.text for line in logplex.lines)
        assert sorted(line["accepted"][0] for line in found) == [1, 2]


def test_what_is_said_is_what_has_changed():
    """Only changes are reported, except for pending records; reasons without drops are left out."""
    before = Vitals(
        Stats(10, 5, 3, {"buffer_full": 2}, requests=4, retries=1, bytes_sent=1000), 2.0, 0.5
    )
    now = Vitals(
        Stats(30, 20, 4, {"buffer_full": 2, "refused": 4}, 6, 3, 1, 3500, lag=2.5), 2.25, 0.123456
    )
    assert pairs(now, before) == {
        "sample#logplex_handler.accepted": "20",
        "sample#logplex_handler.delivered": "15",
        "sample#logplex_handler.pending": "4",
        "sample#logplex_handler.lag": "2.5s",
        "sample#logplex_handler.dropped": "4",
        "sample#logplex_handler.dropped.refused": "4",
        "sample#logplex_handler.requests": "2",
        "sample#logplex_handler.retries": "2",
        "sample#logplex_handler.possible_duplicates": "1",
        "sample#logplex_handler.bytes_sent": "2500bytes",
        "sample#logplex_handler.request_time": "125ms",
        "sample#logplex_handler.buffer_fill": "0.1235",
    }
