"""Records logged during delivery, and application code that fails there."""

import logging
import sys
import threading
import time

import pytest
import requests

from logplex_handler.testing import LogplexReceiver
from tests.delivery.shared import at_the_root, failing_once
from tests.logs import (
    balanced,
    holds_for,
    logging_to,
    logging_to_receiver,
    logging_to_server,
    wait_until,
)
from tests.servers import answer


def test_a_session_factory_that_fails_is_tried_again(short_waits):
    """Its errors are failures like others: the records are kept."""
    with logging_to_receiver(session_factory=failing_once(OSError("no such CA"))) as (
        logplex,
        logger,
        handler,
    ):
        logger.info("line")
        assert handler.flush()
    assert [line.text for line in logplex.lines] == ["line"]


def test_root_at_debug_is_not_fed_by_its_own_deliveries():
    """Records that urllib3 logs during a delivery are not delivered."""
    with logging_to_receiver(flush_interval=0.05) as (logplex, _, handler), at_the_root(handler):
        logging.getLogger("app").info("one")
        assert logplex.wait_for(1)
        assert holds_for(lambda: len(logplex.requests) == 1, 0.4)
        assert handler.flush()
    assert [line.text for line in logplex.lines] == ["one"]
    assert len(logplex.requests) == 1


def test_a_filter_that_fails_for_records_of_the_libraries_holds_nothing_up():
    """Such as one that asks for an attribute that only the application's records have."""
    asked = []

    class Other(logging.Handler):
        def filter(self, record):
            if record.name.startswith("urllib3"):
                asked.append(record)
                raise AttributeError("request_id")
            return False

    with logging_to_receiver() as (logplex, _, handler), at_the_root(handler, Other()):
        logging.getLogger("app").info("one")
        assert handler.flush()
        assert asked
        with pytest.raises(AttributeError):
            logging.getLogger("urllib3.connectionpool").warning("of the application")
    assert "one" in [line.text for line in logplex.lines]


def test_a_record_factory_that_fails_for_the_libraries_holds_nothing_up(monkeypatch):
    """Such as one that asks for a request, which a worker has none of."""
    made = logging.getLogRecordFactory()

    def factory(name, *args, **kwargs):
        if name.startswith("urllib3"):
            raise RuntimeError("outside of a request")
        return made(name, *args, **kwargs)

    monkeypatch.setattr(logging, "_logRecordFactory", factory)
    with logging_to_receiver() as (logplex, _, handler), at_the_root(handler):
        logging.getLogger("app").info("one")
        assert handler.flush()
        with pytest.raises(RuntimeError):
            logging.getLogger("urllib3.connectionpool").warning("of the application")
    assert "one" in [line.text for line in logplex.lines]


def test_two_handlers_do_not_feed_each_other():
    """Records logged during one handler's delivery are not delivered by the other."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=0.05) as (
            _,
            first,
        ),
        logging_to(logplex.url, flush_interval=0.05) as (_, second),
        at_the_root(first, second),
    ):
        logging.getLogger("app").info("one")
        assert logplex.wait_for(2)
        assert holds_for(lambda: len(logplex.requests) == 2, 0.4)
        assert first.flush()
        assert second.flush()
    assert [line.text for line in logplex.lines] == ["one", "one"]


# Somebody else's code.


def test_an_application_that_logs_while_it_delivers_loses_nothing():
    """As a signal handler or a finalizer may, in the middle of a request: only the HTTP libraries'
    own words are left out, and the others cause no request of their own."""
    log = []

    class Session(requests.Session):
        def send(self, request, **kwargs):
            log[0].info("in the middle")
            logging.getLogger("urllib3.connectionpool").warning("of a request")
            return super().send(request, **kwargs)

    with logging_to_receiver(session_factory=Session, flush_interval=0.05) as (logplex, logger, _):
        log.append(logger)
        logger.info("one")
        assert logplex.wait_for(1)
        assert holds_for(lambda: len(logplex.requests) == 1, 0.3)
        logger.info("two")
        assert logplex.wait_for(3)
        assert holds_for(lambda: len(logplex.requests) == 2, 0.3)
    assert [line.text for line in logplex.lines][:3] == ["one", "in the middle", "two"]


def test_a_callback_that_logs_of_drops_does_not_push_out_records():
    """Its lines wait for the next batch, and give way to the application's."""
    log, logged = [], threading.Event()

    def refuse_later(connection):
        assert logged.wait(100)
        answer(503)(connection)

    with logging_to_server(
        refuse_later,
        max_buffer_bytes=20_000,
        flush_interval=0.01,
        shutdown_timeout=0.1,
        timeout=100,
        on_drop=lambda records, cause: log[0].warning("lost %d", records),
    ) as (server, logger, handler):
        log.append(logger)
        # The worker waits for an answer while the accumulator becomes full.
        logger.info("line")
        assert wait_until(lambda: server.received)
        for number in range(299):
            logger.info("line %d", number)
        logged.set()
        assert wait_until(lambda: handler.stats().accepted > 300)
        # Long enough for the callback's own drops to be reported, if they were.
        time.sleep(0.5)
        stats = handler.stats()
    assert stats.accepted < 350
    assert balanced(stats)
    # A record of this length holds some 210 bytes: the accumulator is full of them.
    assert stats.pending > 80


def test_an_error_of_the_systems_kind_does_not_end_the_delivery(capsys):
    """Whatever a callback raises, even SystemExit, the worker goes on."""
    with logging_to_receiver(session_factory=failing_once(SystemExit("no CA"))) as (
        logplex,
        logger,
        handler,
    ):
        logger.info("line")
        assert logplex.wait_for(1)
        assert handler.flush()
    assert "internal error: SystemExit" in capsys.readouterr().err


def test_a_failing_formatter_beside_a_stderr_that_logs_comes_to_an_end(monkeypatch):
    """Reporting the failure logs again, which fails again: once is enough."""

    class LoggingStream:
        def write(self, text):
            for line in text.splitlines():
                logger.error(line)

        def flush(self):
            pass

    class Failing(logging.Formatter):
        def format(self, record):
            raise KeyError("missing")

    with logging_to_receiver(formatter=Failing()) as (_, logger, handler):
        monkeypatch.setattr(sys, "stderr", LoggingStream())
        logger.info("line")
        stats = handler.stats()
        monkeypatch.undo()
    assert 1 < stats.accepted < 1000
    assert balanced(stats)
