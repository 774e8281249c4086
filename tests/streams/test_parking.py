"""Streams that wait in long lines are parked: no record of them is lost, late or counted twice."""

import contextlib
import datetime
import decimal
import gc
import logging
import time

import pytest

from logplex_handler import measure
from logplex_handler._delivery import scheduler
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._wire.destination import Destination
from logplex_handler.formatter import KeyValueFormatter
from logplex_handler.streams import registry
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, wait_until
from tests.servers import free_port
from tests.streams.shared import by_token, to, token

STREAMS = range(1, 31)


@contextlib.contextmanager
def down(monkeypatch, **options):
    """A logger, its handler and the port of their host, which is down from the start."""
    port = free_port()
    # The first stream's request fails; then the host is tried again only when a test says so.
    remaining = CircuitBreaker.remaining
    is_over = []

    def waits(breaker, now, urgency):
        if breaker.is_untried or is_over:
            return 0.0 if breaker.is_untried else min(0.05, remaining(breaker, now, urgency))
        return 60.0

    monkeypatch.setattr(CircuitBreaker, "remaining", waits)
    options = {"flush_interval": 0.05, "shutdown_timeout": 0.1} | options

    def url(stream):
        return f"http://token:{token(stream)}@127.0.0.1:{port}/logs"

    with logging_to(None, streams=options.pop("streams", url), **options) as (logger, handler):
        logger.info("zero", extra=to(0))
        assert wait_until(lambda: handler.stats().requests == 1)

        @contextlib.contextmanager
        def up():
            with LogplexReceiver(
                port=port, tokens=[token(one) for one in (0, *STREAMS)]
            ) as logplex:
                is_over.append(True)
                handler._pipeline._worker_pool.wake_one()
                for stream in handler._pipeline._registry.streams():
                    handler._pipeline._worker_pool.notify(stream)
                yield logplex

        yield logger, handler, up


def parked(handler):
    return handler._pipeline._registry._parked


def test_streams_whose_host_is_down_are_parked_and_their_lines_arrive_later(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        for stream in STREAMS:
            logger.info("line of %d", stream, extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        stats = handler.stats()
        assert (stats.accepted, stats.pending, stats.delivered) == (31, 31, 0)
        assert stats.lag > 0
        one = handler.stats(stream=7)
        assert (one.accepted, one.pending) == (1, 1)
        assert 0 < one.lag <= handler.stats().lag
        assert parked(handler)
        with up() as logplex:
            assert logplex.wait_for(31)
            assert wait_until(lambda: handler.stats().delivered == 31)
            assert not parked(handler)
            expected = {token(stream): [f"line of {stream}"] for stream in STREAMS}
            assert by_token(logplex) == {token(0): ["zero"]} | expected
        stats = handler.stats()
        assert balanced(stats)
        assert (stats.accepted, stats.pending, stats.dropped) == (31, 0, {})
        assert handler.stats(stream=7).delivered == 1


def test_a_record_for_a_parked_stream_follows_the_one_that_waits(monkeypatch):
    """And more may come: then the stream is not parked again."""
    with down(monkeypatch) as (logger, handler, up):
        for stream in STREAMS:
            logger.info("one", extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        logger.info("two", extra=to(7))
        assert 7 not in parked(handler)
        logger.info("three", extra=to(7))
        assert handler.stats(stream=7).pending == 3
        assert handler.stats().accepted == 33
        with up() as logplex:
            assert logplex.wait_for(33)
            assert by_token(logplex)[token(7)] == ["one", "two", "three"]
            assert wait_until(lambda: handler.stats().delivered == 33)


def test_several_records_of_a_stream_are_parked_in_order(monkeypatch):
    with down(monkeypatch, flush_interval=1.0) as (logger, handler, up):
        texts = [f"{number} " + "é" * (3000 if number == 1 else 3) for number in range(4)]
        for text in texts:
            logger.info("%s", text, extra=to(1))
        assert wait_until(lambda: 1 in parked(handler))
        assert handler.stats(stream=1).pending == 4
        with up() as logplex:
            assert logplex.wait_for(5)
            assert by_token(logplex)[token(1)] == texts


def test_a_flush_waits_for_parked_streams(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        for stream in STREAMS:
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        assert not handler.flush(0.01)
        assert handler.stats().pending == 31
        with up() as logplex:
            assert handler.flush(60)
            assert len(logplex.lines) == 31
        assert balanced(handler.stats())


def test_what_waits_for_parked_streams_is_dropped_and_told_at_the_end(monkeypatch, capsys):
    with down(monkeypatch) as (logger, handler, _):
        for stream in STREAMS:
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        handler.close()
        logger.info("late", extra=to(7))
        stats = handler.stats()
        assert stats.dropped == {"shutdown": 31, "closed": 1}
        assert balanced(stats)
        assert stats.pending == 0
    assert "31 records not delivered" in capsys.readouterr().err


def test_a_line_that_comes_as_its_stream_is_parked_is_delivered(monkeypatch):
    """A caller that had found the stream before still queues the line, and wakes a worker."""
    with down(monkeypatch) as (logger, handler, up):
        intake = handler._pipeline.intake(7)
        logger.info("one", extra=to(7))
        assert wait_until(lambda: 7 in parked(handler))
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, "two", (), None)
        assert intake.append(handler._codec.entry(record, handler.formatter)[0])
        intake.wake()
        assert wait_until(lambda: 7 not in parked(handler))
        logger.info("three", extra=to(7))
        assert handler._pipeline._registry._streams[7] is intake
        assert handler.stats(stream=7).pending == 3
        with up() as logplex:
            assert logplex.wait_for(4)
            assert by_token(logplex)[token(7)] == ["one", "two", "three"]
            assert wait_until(lambda: handler.stats().delivered == 4)
            assert handler.stats().accepted == 4


def test_a_stream_whose_caller_goes_on_is_never_there_twice(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        intake = handler._pipeline.intake(7)
        logger.info("one", extra=to(7))
        assert wait_until(lambda: 7 in parked(handler))
        logger.info("two", extra=to(7))
        assert handler._pipeline.intake(7) is intake
        with up() as logplex:
            assert logplex.wait_for(3)
            assert by_token(logplex)[token(7)] == ["one", "two"]


def test_a_parked_stream_is_no_object_of_the_garbage_collector(monkeypatch):
    """A process may have a hundred thousand, and each full collection visits all that it knows."""
    with down(monkeypatch) as (logger, handler, up):
        gc.disable()
        try:
            for stream in STREAMS:
                logger.info("line", extra=to(stream))
            assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
            # They end with the last reference.
            assert wait_until(lambda: not handler._pipeline._registry._kept)
        finally:
            gc.enable()
        # The collector first sees the tuples in tuples.
        assert wait_until(
            lambda: (
                gc.collect() is not None and not any(map(gc.is_tracked, parked(handler).values()))
            )
        )
        with up() as logplex:
            assert logplex.wait_for(31)


def test_the_memory_of_parked_streams_stays_allotted_to_them(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        memory = handler._pipeline._registry._context.memory
        left = memory._left
        for stream in STREAMS:
            logger.info("x" * 1000, extra=to(stream))
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        assert 30 * 1000 < left - memory._left < 30 * 2048
        filled = handler._pipeline._registry.fill_ratio() * memory._max_bytes
        assert 30 * 1000 < filled < 31 * 2048
        with up() as logplex:
            assert logplex.wait_for(31)
            assert handler.flush(60)
            assert wait_until(lambda: memory._left >= left)


def test_streams_in_a_long_line_for_their_look_up_are_parked(monkeypatch):
    """And looked up once each, in order."""
    monkeypatch.setattr(scheduler, "LONG_LINE", 5)
    asked, may_answer = [], []

    def url(stream):
        asked.append(stream)
        assert wait_until(lambda: may_answer or stream == 0)
        return f"http://token:{token(stream)}@127.0.0.1:{port}/logs"

    port = free_port()
    with (
        LogplexReceiver(port=port, tokens=[token(one) for one in STREAMS]) as logplex,
        logging_to(None, streams=url, workers=1, flush_interval=0.05) as (logger, handler),
    ):
        for stream in STREAMS:
            logger.info("line of %d", stream, extra=to(stream))
        assert wait_until(lambda: len(parked(handler)) >= 30 - 7)
        assert handler.stats().pending == 30
        may_answer.append(True)
        assert logplex.wait_for(30)
        assert handler.flush(60)
        assert [*dict.fromkeys(asked)] == asked
        expected = {token(stream): [f"line of {stream}"] for stream in STREAMS}
        assert by_token(logplex) == expected
        assert balanced(handler.stats())


def test_no_more_streams_than_that_are_in_use_or_parked(monkeypatch):
    monkeypatch.setattr(registry, "_MAX_IN_USE", 20)
    with down(monkeypatch) as (logger, handler, _):
        for stream in STREAMS:
            logger.info("line", extra=to(stream))
        stats = handler.stats()
        assert stats.dropped["buffer_full"] == 31 - 20
        assert stats.pending == 20


def test_what_is_kept_of_a_parked_stream_shows_no_token(monkeypatch):
    from logplex_handler.streams._parked import restored

    with down(monkeypatch) as (logger, handler, _):
        logger.info("line", extra=to(7))
        assert wait_until(lambda: 7 in parked(handler))
        assert token(7) not in repr(restored(parked(handler)[7]))


def test_a_stream_with_drops_to_tell_or_counts_of_its_own_is_not_parked(monkeypatch):
    with down(monkeypatch) as (logger, handler, up):
        stream = handler._pipeline._registry.stream(7)
        stream.drop("format_error")
        logger.info("line", extra=to(7))
        assert wait_until(lambda: stream.breaker is not None)
        time.sleep(0.2)
        assert 7 not in parked(handler)
        with up() as logplex:
            assert logplex.wait_for(3)
        assert handler.stats(stream=7).dropped == {"format_error": 1}


@pytest.mark.parametrize("own_class", [False, True])
def test_destinations_of_parked_streams_are_as_the_application_gave_them(monkeypatch, own_class):
    class Customer(Destination):
        pass

    kind = Customer if own_class else Destination
    port = None

    def destination(stream):
        endpoint = f"http://127.0.0.1:{port}/logs"
        return kind(endpoint, "token", token(stream), hostname=f"app-{stream}")

    real = free_port

    def chosen():
        nonlocal port
        port = real()
        return port

    monkeypatch.setattr("tests.streams.test_parking.free_port", chosen)
    with down(monkeypatch, streams=destination) as (logger, handler, up):
        logger.info("line", extra=to(7))
        assert wait_until(lambda: 7 in parked(handler))
        with up() as logplex:
            assert logplex.wait_for(2)
            assert {line.packet.hostname for line in logplex.lines} == {"app-0", "app-7"}


def test_parked_streams_leave_half_of_the_memory_to_those_that_give_way(monkeypatch):
    """What is parked is not dropped for others, so the lines of others would be dropped instead."""
    with down(monkeypatch, max_buffer_bytes=65_536) as (logger, handler, _):
        for stream in range(1, 31):
            logger.info("x" * 1500, extra=to(stream))
        handler_registry = handler._pipeline._registry
        assert wait_until(lambda: handler_registry._parked_bytes > 32_768)
        assert handler_registry._parked_bytes < 32_768 + 2048
        for _ in range(30):
            logger.info("y" * 1500, extra=to(50))
        logger.info("z" * 1500, extra=to(99))
        assert handler.stats(stream=99).pending == 1
        assert {*handler.stats().dropped} == {"buffer_full"}
        assert balanced(handler.stats())


RECORDS = {
    "values": lambda stream: (("paid %s of order %d", decimal.Decimal("1.50"), stream), {}),
    "metric": lambda stream: (("",), measure("web.latency", stream, "ms")),
    "time": lambda stream: (("since %s", datetime.date(2026, 12, stream)), {}),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_the_garbage_collector_leaves_parked_streams_out(monkeypatch, kind):
    """Fifty thousand may wait, and each full collection goes through all that it knows."""
    with down(monkeypatch) as (logger, handler, up):
        handler.setFormatter(KeyValueFormatter())
        texts = {}
        for stream in STREAMS:
            args, extra = RECORDS[kind](stream)
            logger.info(*args, extra=to(stream) | extra)
            record = logger.makeRecord(
                logger.name, logging.INFO, "", 0, args[0], args[1:], None, "", extra
            )
            texts[token(stream)] = [handler.format(record)]
        assert wait_until(lambda: {*parked(handler)} == {*STREAMS})
        assert not gc.is_tracked(parked(handler))
        with up() as logplex:
            assert logplex.wait_for(31)
            found = by_token(logplex)
            found.pop(token(0))
            assert found == texts
