"""TLS: which certificates are trusted, and connections that break."""

import os
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests
import trustme

from logplex_handler._sender import retry_policy
from tests.logs import logging_to, wait_until
from tests.pace import stopwatch
from tests.servers import TOKEN, accept, hang_up, reset, serving


def test_a_private_ca_is_taken_from_the_environment(authority, monkeypatch):
    """As requests does everywhere: REQUESTS_CA_BUNDLE."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    with serving(accept, tls=context) as server, logging_to(server.url) as (logger, handler):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush()
    assert server.frames() == [b"line 0", b"line 1", b"line 2"]
    assert server.connections == 1


def assert_delivered_by_a_session_that_trusts(path, context):
    def factory():
        session = requests.Session()
        session.verify = path
        return session

    with (
        serving(accept, tls=context) as server,
        logging_to(server.url, session_factory=factory) as (logger, handler),
    ):
        logger.info("line")
        assert handler.flush()
    assert server.frames() == [b"line"]


def test_a_private_ca_is_taken_from_the_session(authority, monkeypatch):
    """Settings of a `session_factory` are kept."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    path, context = authority
    assert_delivered_by_a_session_that_trusts(path, context)


def test_the_sessions_ca_comes_before_that_of_the_environment(authority, monkeypatch, tmp_path):
    """It was said last, and for this handler alone."""
    path, context = authority
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert_delivered_by_a_session_that_trusts(path, context)


@pytest.mark.parametrize("verify", [True, False])
def test_a_certificate_that_nobody_vouches_for_is_refused(authority, monkeypatch, verify):
    """Nothing is sent, not even where a session has switched the check off; records are kept."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    _, context = authority

    def factory():
        session = requests.Session()
        session.verify = verify
        return session

    with (
        serving(accept, tls=context) as server,
        logging_to(server.url, session_factory=factory, shutdown_timeout=0.1) as (logger, handler),
    ):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests >= 1)
        assert not handler.flush(0.8)
        stats = handler.stats()
    assert (stats.pending, stats.delivered, stats.possible_duplicates) == (1, 0, 0)
    assert not server.received


def test_a_slow_reader_of_a_long_body_is_given_up_under_tls(authority, monkeypatch):
    """The whole request has four times the time-out, its sending included."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    stalled = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    times = []

    def read_slowly(connection):
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            while not stalled.wait(0.1) and tls.recv(2000):
                pass

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                times.append((time.monotonic(), watch.since(times[0][0]) if times else 0.0))
                threading.Thread(target=read_slowly, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    url = f"https://token:{TOKEN}@127.0.0.1:{listener.getsockname()[1]}/logs"
    try:
        with (
            stopwatch() as watch,
            logging_to(
                url,
                timeout=0.3,
                max_batch_bytes=8_000_000,
                flush_interval=0.01,
                shutdown_timeout=0.1,
            ) as (logger, _),
        ):
            thread.start()
            for _ in range(400):
                logger.info("x" * 9_000)
            assert wait_until(lambda: len(times) >= 2)
            assert times[1][1] < 4 * 0.3 + 1.5
    finally:
        stalled.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(100)


def garble(connection):
    """Answer with bytes that TLS cannot decrypt."""
    os.write(connection.fileno(), b"\x17\x03\x03\0\x40" + b"x" * 64)


@pytest.mark.parametrize("breaks", [reset, hang_up, garble])
def test_a_tls_connection_that_breaks_in_its_answer_may_have_delivered(
    authority, monkeypatch, breaks, short_waits
):
    """The whole body was sent, so its retry may be a duplicate, as it would be without TLS."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    with (
        serving(breaks, accept, tls=context) as server,
        logging_to(server.url) as (logger, handler),
    ):
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.retries, stats.possible_duplicates) == (1, 1, 1)
    assert server.received[0].frame_id == server.received[1].frame_id


def test_a_kept_tls_connection_that_dies_under_a_request_is_tried_again_at_once(
    authority, monkeypatch
):
    """The first wait, of half a second, is not for a connection that had been closed."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    with (
        serving(accept, reset, accept, tls=context) as server,
        logging_to(server.url, flush_interval=0) as (logger, handler),
    ):
        logger.info("one")
        assert handler.flush()
        monkeypatch.setattr(retry_policy, "FIRST_WAIT", 600)
        logger.info("two")
        assert handler.flush(100)
    assert server.connections == 2


def test_tls_that_is_not_agreed_on_has_delivered_nothing(short_waits):
    """The server does not speak TLS, so no retry can be a duplicate."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"220 this is something else\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://token:{TOKEN}@127.0.0.1:{listener.getsockname()[1]}/logs"
    try:
        with logging_to(url, shutdown_timeout=0.1) as (logger, handler):
            logger.info("line")
            assert wait_until(lambda: handler.stats().requests >= 3)
            stats = handler.stats()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(100)
    assert stats.retries >= 2
    assert stats.possible_duplicates == 0
