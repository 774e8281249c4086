"""When callers are throttled, and for how long."""

import threading
import time

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._buffer.backpressure import NO_CONGESTION, Backpressure
from logplex_handler.streams.intake import OpenIntake
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, logging_to_server, own_stream, wait_until
from tests.pace import stopwatch
from tests.servers import hang

MANY = 10_000


def test_all_throttled_callers_wait_until_the_same_moment():
    """The first one says for how long; meanwhile fewer entries are a congestion."""
    backpressure = Backpressure()
    many = backpressure.congested_at
    assert backpressure.begin_throttle(10.0, 0.003) == pytest.approx(0.003)
    assert backpressure.congested_at == NO_CONGESTION < many
    assert backpressure.begin_throttle(10.002, 0.003) == pytest.approx(0.001)


def test_a_caller_that_goes_on_early_lets_the_others_wait():
    """Until there is no congestion any more, or the time is over."""
    backpressure = Backpressure()
    many = backpressure.congested_at
    backpressure.begin_throttle(10.0, 0.003)
    backpressure.end_throttle(10.001, MANY)
    assert backpressure.congested_at == NO_CONGESTION
    backpressure.end_throttle(10.004, MANY)
    assert backpressure.congested_at > MANY
    backpressure.begin_throttle(10.005, 0.003)
    backpressure.end_throttle(10.006, NO_CONGESTION - 1)
    assert backpressure.congested_at == many


def test_no_caller_is_throttled_any_more_where_nothing_is_taken():
    """As with a receiver that does not answer; until something is taken."""
    backpressure = Backpressure()
    now = waited = 0.0
    while backpressure.congested_at < 10**9:
        seconds = backpressure.begin_throttle(now, 0.003)
        waited += seconds
        now += seconds
        backpressure.end_throttle(now, MANY)
        now += 0.001
    assert 0.02 < waited < 0.05
    backpressure.taken(MANY)
    assert backpressure.congested_at == MANY
    assert backpressure.begin_throttle(now + 1, 0.003) == pytest.approx(0.003)


def test_a_burst_of_many_threads_loses_nothing():
    """Though the worker has to share one interpreter with all of them."""
    threads, each = 8, 10_000
    with (
        LogplexReceiver(strict=False) as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter()) as (logger, handler),
    ):
        # However slow the machine is.
        own_stream(handler).accumulator.backpressure = Backpressure(patience=100)

        def work():
            for number in range(each):
                logger.info("order %s shipped to %s", number, "berlin", extra={"order_id": number})

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert handler.flush(100)
        stats = handler.stats()
    assert stats.delivered == threads * each
    assert balanced(stats)


def test_a_burst_of_long_records_loses_nothing():
    """Though all together are several times what may wait."""
    with (
        LogplexReceiver(strict=False) as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(), max_buffer_bytes=8_000_000) as (
            logger,
            handler,
        ),
    ):
        # However slow the machine is.
        own_stream(handler).accumulator.backpressure = Backpressure(patience=100)
        text = "the parcel waits " * 1200
        for number in range(1500):
            logger.info("order %s shipped: %s", number, text)
        assert handler.flush(100)
        stats = handler.stats()
    assert stats.delivered == 1500
    assert balanced(stats)


def test_a_signal_that_logs_while_its_thread_holds_the_queue_waits_for_nobody(monkeypatch):
    """The worker could take nothing meanwhile."""
    caller, others, slept = threading.get_ident(), time.sleep, []

    def sleep(seconds):
        # The receiver's threads go on sleeping.
        if threading.get_ident() == caller:
            slept.append(seconds)
        else:
            others(seconds)

    with logging_to_server(hang, shutdown_timeout=0.1) as (_server, logger, handler):
        logger.info("line")
        stream = own_stream(handler)
        accumulator = stream.accumulator
        # The worker takes none of them, as it waits for the answer.
        assert wait_until(lambda: accumulator.in_transit == 1)
        accumulator.entries.extend([(1, 0.0)] * MANY)
        assert accumulator.is_congested
        monkeypatch.setattr(time, "sleep", sleep)
        with accumulator.lock:
            stream.intake.wake()
        assert not slept
        stream.intake.wake()
        assert slept


def test_a_receiver_that_does_not_answer_holds_nobody_up_for_long(monkeypatch):
    """The waits of a whole outage come to a fraction of a second."""
    with logging_to_server(hang, formatter=KeyValueFormatter(), shutdown_timeout=0.1) as (
        _server,
        logger,
        handler,
    ):
        waited = 0.0
        throttle = OpenIntake._throttle

        def timed(intake):
            nonlocal waited
            start = time.monotonic()
            throttle(intake)
            waited += watch.since(start)

        monkeypatch.setattr(OpenIntake, "_throttle", timed)
        with stopwatch() as watch:
            for number in range(60_000):
                logger.info("order %s shipped to %s", number, "berlin")
        assert 0 < waited < 1
        assert balanced(handler.stats())
