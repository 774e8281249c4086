"""Ends, other people's code, and servers that mean no good: over real sockets."""

import itertools
import logging
import socket
import sys
import threading
import time
from contextlib import suppress

import pytest
import requests

from logplex_handler._delivery.flush import Flusher
from logplex_handler._sender import retry_policy
from logplex_handler._sender.urgency import Urgency, UrgencyMonitor
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, own_stream, wait_until
from tests.servers import TOKEN, accept, answer, refusing, serving, texts

# The last chance.


def test_closing_tries_once_more_where_a_receiver_asked_for_a_longer_wait():
    """As at exit: flush does not disturb it, close has no other chance."""
    with (
        serving(answer(503, "Retry-After: 100"), accept) as server,
        logging_to(server.url) as (logger, handler),
    ):
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

    with serving(step) as server, logging_to(server.url, shutdown_timeout=3) as (logger, handler):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 3)
        own_stream(handler).sender.backoff.failures = 20
        threading.Timer(1.0, back.set).start()
        handler.close()
        assert handler.stats().delivered == 1


def test_flushing_a_closed_handler_returns_at_once():
    """`logging.shutdown` does so once more, even if there were drops that nobody could be told."""
    with (
        serving(answer(503)) as server,
        logging_to(server.url, shutdown_timeout=0.1, max_buffer_bytes=10_000) as (logger, handler),
    ):
        for _ in range(200):
            logger.info("line")
        handler.close()
        started = time.process_time()
        assert handler.flush(5)
        assert time.process_time() - started < 1


def test_what_is_left_at_the_end_is_called_back_for(capsys):
    """`on_drop` hears of every cause that the handler tells."""
    dropped = []
    with (
        serving(answer(503)) as server,
        logging_to(
            server.url, shutdown_timeout=0.1, on_drop=lambda n, cause: dropped.append((n, cause))
        ) as (logger, handler),
    ):
        logger.info("line")
        handler.close()
    assert dropped == [(1, "shutdown")]
    said = capsys.readouterr().err
    assert said.count("1 record not delivered") == 1
    assert "dropped" not in said


def test_closing_is_bounded_where_a_name_takes_long_to_be_looked_up(monkeypatch):
    """Only the delivering thread waits for the DNS."""
    over = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host == "slow.localhost":
            over.wait(10)
        return look_up("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = f"http://token:{TOKEN}@slow.localhost:1/logs"
    with logging_to(url, shutdown_timeout=0.5) as (logger, handler):
        logger.info("line")
        started = time.monotonic()
        handler.close()
        took = time.monotonic() - started
        assert handler.stats().dropped == {"shutdown": 1}
    over.set()
    assert took < 1.5


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

    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, session_factory=Session, flush_interval=0.05) as (logger, _),
    ):
        log.append(logger)
        logger.info("one")
        assert logplex.wait_for(1)
        time.sleep(0.3)
        assert len(logplex.requests) == 1
        logger.info("two")
        assert logplex.wait_for(3)
        time.sleep(0.3)
        assert len(logplex.requests) == 2
    assert [line.text for line in logplex.lines][:3] == ["one", "in the middle", "two"]


def test_a_callback_that_logs_of_drops_does_not_push_out_records():
    """Its lines wait for the next batch, and give way to the application's."""
    log = []
    with (
        serving(answer(503)) as server,
        logging_to(
            server.url,
            max_buffer_bytes=20_000,
            shutdown_timeout=0.1,
            on_drop=lambda records, cause: log[0].warning("lost %d", records),
        ) as (logger, handler),
    ):
        log.append(logger)
        for number in range(300):
            logger.info("line %d", number)
        time.sleep(0.5)
        stats = handler.stats()
    assert stats.accepted < 350
    assert balanced(stats)
    # A record of this length holds some 210 bytes: the accumulator is full of them.
    assert stats.pending > 80


def test_an_error_of_the_systems_kind_does_not_end_the_delivery(capsys):
    """What callbacks raise, be it SystemExit, leaves the thread at work."""
    attempts = []

    def factory():
        attempts.append(1)
        if len(attempts) == 1:
            raise SystemExit("no CA")
        return requests.Session()

    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, session_factory=factory) as (logger, handler),
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

    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=Failing()) as (logger, handler),
    ):
        monkeypatch.setattr(sys, "stderr", LoggingStream())
        logger.info("line")
        stats = handler.stats()
        monkeypatch.undo()
    assert 1 < stats.accepted < 1000
    assert balanced(stats)


# Servers that mean no good.


@pytest.mark.parametrize("location", ["http://[bad", "http://x:99999999/", "/elsewhere"])
def test_a_redirect_is_not_read_however_long_it_is(location, short_waits):
    """Nor is its target looked at: the URL is refused, and the records are kept."""
    sent = []

    def endless(connection):
        head = f"HTTP/1.1 302 Resolved\r\nLocation: {location}\r\nContent-Encoding: gzip\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(OSError):
            while len(sent) < 1000:
                connection.sendall(b"x" * 65_536)
                sent.append(1)

    with serving(endless, accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
        assert handler.stats().delivered == 1
    assert len(sent) < 1000
    assert len(server.received) == 2


def test_a_stream_that_refuses_everything_is_asked_ever_less_often():
    """After a few packets refused alone there is a wait between two requests."""
    with (
        serving(answer(400)) as server,
        logging_to(server.url, shutdown_timeout=0.1) as (
            logger,
            handler,
        ),
    ):
        for number in range(2000):
            logger.info("line %d", number)
        time.sleep(2.5)
        requested = len(server.received)
        stats = handler.stats()
    assert requested < 50
    assert (stats.pending, stats.dropped) == (2000, {})


@pytest.mark.parametrize(
    ("refusal", "most"), [(answer(503), 5), (answer(503, "Retry-After: 60"), 1)]
)
def test_drops_do_not_cut_a_wait_short(refusal, most):
    """They are told at once where no request is needed for it; the receiver is left alone."""
    with (
        serving(refusal) as server,
        logging_to(
            server.url, max_buffer_bytes=20_000, flush_interval=0.01, shutdown_timeout=0.1
        ) as (logger, handler),
    ):
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            logger.info("line")
            time.sleep(0.002)
        requested = len(server.received)
        assert handler.stats().dropped["buffer_full"] > 100
    assert 1 <= requested <= most


def test_many_bad_packets_before_good_ones_are_lost_alone(monkeypatch):
    """However many are refused first, each is asked for once, and the others arrive."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 0.02)
    with serving(accept) as server, logging_to(server.url, flush_interval=60) as (logger, handler):
        server.steps[0] = refusing(b"bad", 400)(server)
        for _ in range(24):
            logger.info("bad")
        for number in range(176):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (176, {"refused": 24})
    taken = [t for r in server.received if b"bad" not in r.body for t in texts(r.body)]
    lines = [text for text in taken if text.startswith(b"line")]
    assert lines == [b"line %d" % number for number in range(176)]


def test_a_signal_in_the_middle_of_a_batch_leaves_it_to_the_next_try(monkeypatch):
    """What had been taken to be sent goes back to its place."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=60) as (
            logger,
            handler,
        ),
    ):
        in_flight = own_stream(handler).in_flight
        real = in_flight._render
        interrupted = []

        def render(entries, destination):
            for entry in entries:
                if entry[-1] == "line 3" and not interrupted:
                    interrupted.append(entry)
                    raise KeyboardInterrupt
                yield from real([entry], destination)

        monkeypatch.setattr(in_flight, "_render", render)
        for number in range(6):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert interrupted
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(6)]
    assert (stats.delivered, stats.pending) == (6, 0)


def test_closing_while_a_request_is_under_way_closes_its_connection_afterwards():
    """The thread does so when the answer is there."""
    answered = threading.Event()
    read = []

    def step(connection):
        answered.wait(5)
        accept(connection)
        connection.settimeout(5)
        read.append(connection.recv(1))

    with (
        serving(step) as server,
        logging_to(server.url, shutdown_timeout=0.1, flush_interval=0.01) as (logger, handler),
    ):
        logger.info("line")
        assert wait_until(lambda: server.received)
        handler.close()
        (thread,) = handler._pipeline._worker_pool._threads
        answered.set()
        thread.join(5)
        assert not thread.is_alive()
        assert wait_until(lambda: read == [b""])


def test_what_an_interrupted_caller_had_taken_is_left_to_the_thread(monkeypatch):
    """The thread sleeps meanwhile; it is woken, though no other record comes."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, flush_interval=0.05) as (
            logger,
            handler,
        ),
    ):
        logger.info("one")
        assert handler.flush()
        pipeline, stream = handler._pipeline, own_stream(handler)
        in_flight = stream.in_flight
        real = in_flight._render

        def render(entries, destination):
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return real(entries, destination)

        monkeypatch.setattr(in_flight, "_render", render)
        time.sleep(0.1)
        # As `put` and `flush` do it, but for waking the thread.
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, "two", (), None)
        stream.accumulator.put(handler._codec.entry(record, handler.formatter)[0])
        stream.accumulator.begin_flush()
        pipeline._worker_pool._scheduler.plan(stream)
        with pytest.raises(KeyboardInterrupt):
            pipeline._worker_pool.help_out(time.monotonic() + 5)
        assert logplex.wait_for(2, 3.0)


def test_ctrl_c_anywhere_in_a_flush_leaves_no_hurry_behind():
    """Otherwise a host that fails would be tried twice a second from then on."""
    codes = (Flusher._see_through.__code__, UrgencyMonitor.flush_until.__wrapped__.__code__)
    number, interrupted = 0, True
    with (
        serving(answer(503)) as server,
        logging_to(server.url, shutdown_timeout=0.1) as (logger, handler),
    ):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 1)
        urgency = handler._pipeline._delivery._urgency
        while interrupted:
            lines = itertools.count()
            interrupted = False

            def trace(frame, event, _, lines=lines, number=number):
                nonlocal interrupted
                if frame.f_code not in codes:
                    return None
                if event == "line" and next(lines) == number:
                    interrupted = True
                    raise KeyboardInterrupt
                return trace

            before = sys.gettrace()
            sys.settrace(trace)
            try:
                with suppress(KeyboardInterrupt):
                    handler.flush(0.02)
            finally:
                sys.settrace(before)
            assert wait_until(lambda: urgency.current is Urgency.NONE, 1.0)
            number += 1
        assert number > 8
