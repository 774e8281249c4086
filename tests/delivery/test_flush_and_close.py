"""`flush` and `close`: what they deliver, how long they take, and what is left."""

import logging
import math
import socket
import threading
import time
from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from logplex_handler import KeyValueFormatter, LogplexHandler, flush_all
from logplex_handler._delivery.flush import Flusher
from logplex_handler._delivery.progress import Progress
from logplex_handler._process import contexts
from logplex_handler._process.periodic import Periodic
from logplex_handler._sender.retry_policy import Backoff
from logplex_handler.streams.stream import Stream
from tests.logs import (
    balanced,
    logging_to,
    logging_to_receiver,
    logging_to_server,
    own_stream,
    wait_until,
)
from tests.pace import stopwatch
from tests.servers import TOKEN, accept, answer, hang, serving
from tests.streams.shared import receiving, to

# Flush and close.


def test_flush_waits_for_the_last_stream_first(monkeypatch):
    """Then it need not wait for others: each wait takes the interpreter from the worker."""
    waited, waits = [], threading.Event()
    wait = Progress.wait

    def noting(self, stream, *args):
        waited.append(stream.id)
        waits.set()
        return wait(self, stream, *args)

    monkeypatch.setattr(Progress, "wait", noting)
    tokens = [f"t.{number}" for number in range(20)]

    def url_for(token):
        assert waits.wait(100)
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        for token in tokens:
            logger.info("line", extra=to(token))
        assert handler.flush(100)
        assert waited[0] == tokens[-1]
        assert len(logplex.lines) == len(tokens)


def test_flush_is_true_when_there_is_nothing_to_deliver():
    """A handler that was given nothing is flushed."""
    with logging_to_receiver() as (logplex, _, handler):
        assert handler.flush(0)
    assert not logplex.requests


def test_flush_is_false_when_its_time_is_over():
    """A server that does not answer makes it return in time."""
    with (
        serving(hang) as server,
        logging_to(server.url, shutdown_timeout=0.2) as (logger, handler),
        stopwatch() as watch,
    ):
        logger.info("line")
        assert not handler.flush(0.5)
        assert watch.seconds < 1.0


def test_flush_raises_nothing_of_what_goes_wrong_in_it(monkeypatch, capsys):
    """Here the flushing caller delivers, since no thread can be started."""
    failed = []

    def fail(*_, **__):
        failed.append(1)
        raise ZeroDivisionError

    with logging_to_receiver(shutdown_timeout=2.0) as (_, logger, handler):
        monkeypatch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError))
        monkeypatch.setattr(Stream, "deliver", fail)
        logger.info("line")
        # A caller that has less than a second left does not deliver.
        for _ in range(100):
            assert not handler.flush(1.5)
            if failed:
                break
        monkeypatch.undo()
        assert handler.flush(100)
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"streams": {}}], ids=["own URL alone", "with streams"])
def test_a_thread_that_cannot_be_started_for_a_moment_is_started_later(monkeypatch, options):
    """By the next record; it delivers the first ones, too."""
    options = {"flush_interval": 0.01, **options}
    with logging_to_receiver(**options) as (logplex, logger, _), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError))
        logger.info("one")
        logger.info("two")
        patch.undo()
        logger.info("three")
        assert logplex.wait_for(3, 100)
    assert [line.text for line in logplex.lines] == ["one", "two", "three"]


def test_close_delivers_what_waits_and_is_harmless_twice():
    """A long interval does not keep it; records after it are counted as `closed`."""
    with logging_to_receiver(flush_interval=60) as (logplex, logger, handler):
        logger.info("line")
        handler.close()
        handler.close()
        assert handler.flush()
        logger.info("late")
        stats = handler.stats()
    assert [line.text for line in logplex.lines] == ["line"]
    assert (stats.delivered, stats.dropped) == (1, {"closed": 1})
    assert balanced(stats)


def test_what_is_logged_after_close_is_counted_and_said_and_waits_nowhere(capsys):
    """Also the records that take the short way through the handler."""
    with logging_to_server(accept, formatter=KeyValueFormatter()) as (_, logger, handler):
        for number in range(100):
            logger.info("order %d", number)
        accumulator = own_stream(handler).accumulator
        handler.close()
        for number in range(100):
            logger.info("order %d", number)
        assert not accumulator.entries
        stats = handler.stats()
    assert (stats.delivered, stats.pending, dict(stats.dropped)) == (100, 0, {"closed": 100})
    assert "records are logged after close, and dropped" in capsys.readouterr().err


def test_close_beside_a_server_that_hangs_counts_and_says_what_is_left(capsys):
    """It returns within `shutdown_timeout`; nothing is pending then."""
    with logging_to_server(hang, shutdown_timeout=0.3, flush_interval=0.01) as (
        server,
        logger,
        handler,
    ):
        for number in range(7):
            logger.info("line %d", number)
        assert wait_until(lambda: server.received)
        with stopwatch() as watch:
            handler.flush()
            handler.close()
            assert watch.seconds < 1.0
        stats = handler.stats()
    assert (stats.pending, stats.dropped) == (0, {"shutdown": 7})
    assert balanced(stats)
    assert "logplex_handler: 7 records not delivered: " in capsys.readouterr().err


def test_the_handler_waits_for_the_interval_in_one_thread_only():
    """However many records and flushes there are, one thread delivers."""
    before = set(threading.enumerate())
    with logging_to_receiver() as (_, logger, handler):
        for _ in range(20):
            logger.info("line")
            handler.flush()
        names = [thread.name for thread in set(threading.enumerate()) - before]
        assert names.count("logplex_handler") == 1


def test_no_thread_runs_before_the_first_record():
    """Making a handler starts nothing."""
    before = set(threading.enumerate())
    with logging_to_receiver() as (_, _, handler):
        assert handler.flush()
        new = set(threading.enumerate()) - before
        assert "logplex_handler" not in [thread.name for thread in new]


# The last chance.


def test_closing_tries_once_more_where_a_receiver_asked_for_a_longer_wait():
    """As at exit: flush does not disturb it, close has no other chance."""
    with logging_to_server(answer(503, "Retry-After: 100"), accept) as (_, logger, handler):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 1)
        assert not handler.flush()
        handler.close()
        assert handler.stats().delivered == 1


def test_closing_does_not_sleep_through_a_recovery():
    """However long the wait has grown by then, a receiver that comes back in time gets all."""
    back = threading.Event()

    def step(connection):
        (accept if back.is_set() else answer(503))(connection)

    # Less than the wait would be otherwise, which is half of its longest at least.
    with logging_to_server(step, shutdown_timeout=12) as (_, logger, handler):
        logger.info("line")
        sender = own_stream(handler).sender
        assert wait_until(lambda: sender.backoff.failures >= 3)
        sender.backoff = Backoff(failures=20)
        threading.Timer(1.0, back.set).start()
        handler.close()
        assert handler.stats().delivered == 1


def test_flushing_a_closed_handler_returns_at_once():
    """`logging.shutdown` flushes once more, even if some drops could not be reported."""
    with logging_to_server(answer(503), shutdown_timeout=0.1, max_buffer_bytes=10_000) as (
        _server,
        logger,
        handler,
    ):
        for _ in range(200):
            logger.info("line")
        handler.close()
        started = time.process_time()
        assert handler.flush(100)
        assert time.process_time() - started < 1


def test_closing_is_bounded_where_a_name_takes_long_to_be_looked_up(monkeypatch):
    """Only the delivering thread waits for the DNS."""
    over = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host == "slow.localhost":
            over.wait(100)
        return look_up("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = f"http://token:{TOKEN}@slow.localhost:1/logs"
    with logging_to(url, shutdown_timeout=0.5) as (logger, handler):
        logger.info("line")
        with stopwatch() as watch:
            handler.close()
            assert watch.seconds < 1.5
        assert handler.stats().dropped == {"shutdown": 1}
    over.set()


def test_closing_while_a_request_is_under_way_closes_its_connection_afterwards():
    """The thread does so when the answer is there."""
    answered = threading.Event()
    read = []

    def step(connection):
        answered.wait(100)
        accept(connection)
        connection.settimeout(100)
        read.append(connection.recv(1))

    options = {"shutdown_timeout": 0.1, "flush_interval": 0.01, "timeout": 100}
    with logging_to_server(step, **options) as (server, logger, handler):
        logger.info("line")
        assert wait_until(lambda: server.received)
        handler.close()
        (thread,) = handler._pipeline._worker_pool._workers
        answered.set()
        thread.join(100)
        assert not thread.is_alive()
        assert wait_until(lambda: read == [b""])


@pytest.mark.parametrize(
    ("error", "why"),
    [(KeyboardInterrupt, "KeyboardInterrupt"), (RuntimeError, "not within 5 s")],
)
def test_what_an_interrupted_close_leaves_is_counted_and_reported(monkeypatch, capsys, error, why):
    """Ctrl-C passes on; an internal error does not."""
    handler = LogplexHandler(
        "http://token:t@127.0.0.1:9/logs", flush_interval=60, shutdown_timeout=5
    )
    handler.handle(logging.makeLogRecord({"msg": "line", "levelno": 20}))

    def interrupted(*arguments, **options):
        raise error

    monkeypatch.setattr(Flusher, "_see_through", interrupted)
    with pytest.raises(error) if error is KeyboardInterrupt else nullcontext():
        handler.close()
    assert dict(handler.stats().dropped) == {"shutdown": 1}
    assert f"logplex_handler: 1 record not delivered: {why}" in capsys.readouterr().err
    assert handler._pipeline._worker_pool.stopped
    handler.close()


def test_closing_waits_for_the_last_health_line_no_longer_than_shutdown_timeout(monkeypatch):
    """That wait is a part of the time."""
    waits = []
    monkeypatch.setattr(Periodic, "stop", lambda _, seconds: waits.append(seconds))
    LogplexHandler(
        "http://token:t@127.0.0.1:9/logs", health_interval=60, shutdown_timeout=0
    ).close()
    assert waits == [0.0]


def test_a_timeout_may_be_any_number():
    """One below zero, or none at all, is no wait."""
    with logging_to_receiver() as (_, _, handler):
        for timeout in (-1, True, math.nan, math.inf, 10**400, Decimal(1), Fraction(1, 2)):
            assert handler.flush(timeout)
            assert flush_all(timeout)


def test_closing_does_not_wait_for_a_resolver_that_hangs(monkeypatch):
    """The caller helps the workers, all of which wait for names."""
    real, over = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host, *args, **kwargs):
        if not host.endswith(".test"):
            return real(host, *args, **kwargs)
        assert over.wait(100)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    urls = {number: f"https://t:x@{number}.test/logs" for number in range(20)}
    options = {"shutdown_timeout": 1.0, "flush_interval": 60}
    with logging_to(None, streams=urls, **options) as (logger, handler):
        # As where no thread can be started.
        handler._pipeline._worker_pool._max_workers = 1
        for stream in urls:
            logger.info("line", extra={"logplex_stream": stream})
        with stopwatch() as watch:
            assert not handler.flush(1.5)
            handler.close()
        assert watch.seconds < 20
        over.set()
        assert dict(handler.stats().dropped) == {"shutdown": 20}
        # What it says on stderr belongs to this test.
        for worker in handler._pipeline._worker_pool._workers:
            worker.join(100)


def test_idle_threads_have_ended_when_a_handler_is_closed(monkeypatch, tmp_path):
    """Python ends a process if a thread is left when a subinterpreter ends."""
    monkeypatch.setattr(contexts, "_MOMENT", 100.0)
    joined = threading.Event()

    class Joined(threading.Thread):
        """A thread that ends only when it is waited for."""

        def run(self):
            super().run()
            joined.wait(100)

        def join(self, timeout=None):
            joined.set()
            super().join(timeout)

    # Only in the module that makes the package's threads.
    mine = SimpleNamespace(Thread=Joined, get_ident=threading.get_ident)
    monkeypatch.setattr(contexts, "threading", mine)
    with logging_to_receiver(spool=tmp_path / "spool") as (_, logger, handler):
        logger.info("line")
        assert handler.flush()
        pipeline = handler._pipeline
        # What it has just done may not be over, though the record is delivered.
        assert wait_until(lambda: pipeline._worker_pool._wakes_at)
        threads = [*pipeline._worker_pool._workers, pipeline._spool_writer._thread]
        handler.close()
        alive = [thread.is_alive() for thread in threads]
        joined.set()
    assert alive == [False, False]
