"""With a clock that stands still, as in a test under freezegun, every wait still ends."""

import time

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to
from tests.servers import TOKEN, answer, free_port, hang, serving


@pytest.fixture
def stopped_clock(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)


def test_flush_and_close_end_while_nothing_listens(stopped_clock):
    url = f"http://token:{TOKEN}@127.0.0.1:{free_port()}/logs"
    with logging_to(url, shutdown_timeout=0.2) as (logger, handler):
        logger.info("line")
        assert not handler.flush(0.3)
        assert not handler.flush()
        handler.close()
        assert handler.stats().dropped == {"shutdown": 1}


@pytest.mark.parametrize("step", [answer(503), answer(401), hang])
def test_flush_and_close_end_beside_a_receiver_that_takes_nothing(stopped_clock, step):
    with (
        serving(step) as server,
        logging_to(server.url, shutdown_timeout=0.2, timeout=0.2) as (logger, handler),
    ):
        logger.info("line")
        assert not handler.flush(0.3)


def test_what_a_receiver_takes_is_flushed(stopped_clock):
    with LogplexReceiver() as logplex, logging_to(logplex.url) as (logger, handler):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush(10)
        assert len(logplex.lines) == 3


def test_a_caller_does_not_wait_for_room_for_ever(stopped_clock):
    url = f"http://token:{TOKEN}@127.0.0.1:{free_port()}/logs"
    options = {"on_full": "block", "max_buffer_bytes": 20_000, "shutdown_timeout": 0.3}
    with logging_to(url, **options) as (logger, handler):
        while not handler.stats().dropped:
            logger.info("x" * 5000)
        assert balanced(handler.stats())


def test_a_caller_that_is_throttled_goes_on(stopped_clock):
    """Though nothing is taken out of the queue."""
    with serving(hang) as server, logging_to(server.url, shutdown_timeout=0.1) as (logger, handler):
        for number in range(6500):
            logger.info("line %d", number)
        assert handler.stats().accepted == 6500
