"""When a batch is due, and how large it is."""

import threading
import time
from contextlib import contextmanager

from logplex_handler._sender import due
from tests.logs import logging_to_receiver, logging_to_server, own_stream, wait_until
from tests.pace import stopwatch
from tests.servers import accept

# Batches.


def test_a_batch_is_due_when_it_has_batch_size_packets():
    """The last packet of a full batch sends it, long before the interval is over."""
    with logging_to_receiver(batch_size=5, flush_interval=60) as (logplex, logger, _):
        for number in range(4):
            logger.info("line %d", number)
        assert not logplex.wait_for(1, 0.3)
        logger.info("line 4")
        assert logplex.wait_for(5)
    assert [request.frames for request in logplex.requests] == [5]


def test_the_packets_of_a_long_message_count_towards_batch_size():
    """One message of six packets is a batch of five or more."""
    with logging_to_receiver(batch_size=5, flush_interval=60) as (logplex, logger, _):
        logger.info("x" * 55_000)
        assert logplex.wait_for(6)


def test_a_batch_is_due_flush_interval_after_its_first_record():
    """A single record waits for the interval, and no longer."""
    with logging_to_receiver(flush_interval=0.4) as (logplex, logger, _):
        # Until the second record comes in time, as a busy machine may not let it.
        for _ in range(100):
            logplex.clear()
            started = time.monotonic()
            with stopwatch() as watch:
                logger.info("one")
                came_early = logplex.wait_for(1, 0.2)
                logger.info("two")
                is_in_time = time.monotonic() < started + 0.4
                assert logplex.wait_for(2)
                assert watch.seconds < 2
            assert time.monotonic() - started > 0.4
            if is_in_time:
                break
    assert not came_early
    assert [request.frames for request in logplex.requests] == [2]


def log_lines(logger, number):
    for line in range(number):
        logger.info("line %d", line)


@contextmanager
def soon_after_a_request(monkeypatch, *, rest, flush_interval):
    """A receiver that has had a batch of five just now, the logger that goes on, and when it was.

    That is on the clock.
    """
    monkeypatch.setattr(due, "_LINGER", rest)
    options = {"batch_size": 5, "flush_interval": flush_interval}
    with logging_to_receiver(**options) as (logplex, logger, handler):
        log_lines(logger, 5)
        assert wait_until(lambda: handler.stats().delivered == 5)
        yield logplex, logger, own_stream(handler).sender.sent_at


def test_soon_after_a_request_a_full_batch_waits_for_more(monkeypatch):
    """For a moment, so that there are fewer requests; then it leaves, however large it is."""
    # Until all lines come in time, as a busy machine may not let them.
    for _ in range(100):
        soon = soon_after_a_request(monkeypatch, rest=1.0, flush_interval=60)
        with soon as (logplex, logger, sent_at):
            log_lines(logger, 12)
            came_early = logplex.wait_for(6, 0.2)
            log_lines(logger, 8)
            is_in_time = time.monotonic() < sent_at + 1.0
            assert logplex.wait_for(25)
        if is_in_time:
            break
    assert not came_early
    assert [request.frames for request in logplex.requests] == [5, 20]


def test_ten_times_as_many_packets_wait_for_no_more(monkeypatch):
    """They leave at once, however soon after a request."""
    with soon_after_a_request(monkeypatch, rest=600, flush_interval=600) as (logplex, logger, _):
        log_lines(logger, 49)
        assert not logplex.wait_for(6, 0.2)
        log_lines(logger, 1)
        assert logplex.wait_for(55)
    assert [request.frames for request in logplex.requests] == [5, 50]


def test_a_full_batch_waits_no_longer_than_flush_interval(monkeypatch):
    """As any batch."""
    # Until all lines come in time, as a busy machine may not let them.
    for _ in range(100):
        soon = soon_after_a_request(monkeypatch, rest=600, flush_interval=0.2)
        with soon as (logplex, logger, _):
            began = time.monotonic()
            log_lines(logger, 7)
            is_in_time = time.monotonic() < began + 0.2
            assert logplex.wait_for(12)
        if is_in_time and logplex.requests[0].frames == 5:
            break
    assert [request.frames for request in logplex.requests] == [5, 7]


def test_no_request_is_larger_than_max_batch_bytes():
    """Waiting records are sent in as many requests as they need."""
    with logging_to_receiver(max_batch_bytes=20_000, flush_interval=60) as (
        logplex,
        logger,
        handler,
    ):
        for number in range(1000):
            logger.info("%04d %s", number, "x" * 100)
        assert handler.flush()
    assert max(len(request.body_bytes) for request in logplex.requests) <= 20_000
    assert [line.text[:4] for line in logplex.lines] == [f"{n:04d}" for n in range(1000)]


def test_under_backlog_batches_grow_beyond_batch_size():
    """Records that come during a request leave in the next one, bounded by bytes alone."""
    released = threading.Event()

    def slow_accept(connection):
        released.wait(100)
        accept(connection)

    with logging_to_server(slow_accept, accept, batch_size=10, flush_interval=60, timeout=100) as (
        server,
        logger,
        handler,
    ):
        for number in range(10):
            logger.info("first %d", number)
        assert wait_until(lambda: server.received)
        for number in range(1000):
            logger.info("later %d", number)
        released.set()
        assert handler.flush()
    assert [request.headers["logplex-msg-count"] for request in server.received] == ["10", "1000"]


def test_a_message_larger_than_a_batch_goes_in_consecutive_requests():
    """One record of more bytes than a request may have is delivered whole, and counted once."""
    message = "".join(f"{number:06d}" for number in range(10_000))
    with logging_to_receiver(max_batch_bytes=20_000) as (logplex, logger, handler):
        logger.info("%s", message)
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(logplex.requests) > 2
    assert "".join(line.text for line in logplex.lines) == message
    assert not logplex.violations
