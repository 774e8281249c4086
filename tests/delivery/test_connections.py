"""Requests and connections: order, headers, compression, keep-alive."""

import gzip
import socket
import threading
from collections import defaultdict

import pytest

from logplex_handler._sender import retry_policy
from logplex_handler._transport import transport
from logplex_handler.testing import LogplexReceiver
from tests.logs import logging_to, logging_to_receiver, logging_to_server
from tests.servers import accept, hang_up


@pytest.fixture
def long_idle(monkeypatch):
    """An idle connection is used again, however long it takes until then."""
    monkeypatch.setattr(transport, "_MAX_IDLE", 100.0)


# Order and connections.


def test_10_000_records_from_8_threads_arrive_once_in_order_on_two_connections(long_idle):
    """Nothing is lost or doubled, each thread's order holds, connections are kept."""
    with (
        LogplexReceiver(max_requests=10_000, idle_timeout=100) as logplex,
        logging_to(logplex.url, batch_size=100) as (logger, handler),
    ):

        def work(thread):
            for number in range(1250):
                logger.info("%d %d", thread, number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert handler.flush()
        stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.pending, stats.dropped) == (
        10_000,
        10_000,
        0,
        {},
    )
    by_thread = defaultdict(list)
    for line in logplex.lines:
        thread, number = line.text.split()
        by_thread[thread].append(int(number))
    assert by_thread == {str(n): list(range(1250)) for n in range(8)}
    assert len({request.connection for request in logplex.requests}) <= 2
    assert not logplex.violations


def test_every_request_carries_what_logplex_asks_for():
    """Exact type, length, count, a frame id of its own, and the add-on's name before ours."""
    with logging_to_receiver(
        user_agent="MyAddon (https://example.com)", headers={"X-Drain": "d.1"}
    ) as (logplex, logger, handler):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush()
    ids = set()
    for request in logplex.requests:
        assert request.headers["Content-Type"] == "application/logplex-1"
        assert request.headers["Content-Length"] == str(len(request.body_bytes))
        assert request.headers["Logplex-Msg-Count"] == "1"
        assert request.headers["User-Agent"].startswith("MyAddon (https://example.com) logplex_h")
        assert request.headers["X-Drain"] == "d.1"
        assert "Transfer-Encoding" not in request.headers
        ids.add(request.frame_id)
    assert len(ids) == 3


def test_compress_gzips_every_body():
    """Bodies are smaller, say so, and hold the same frames."""
    with logging_to_receiver(compress=True, flush_interval=60) as (logplex, logger, handler):
        for number in range(200):
            logger.info("line %d", number)
        assert handler.flush()
        assert handler.stats().bytes_sent == sum(len(r.body_bytes) for r in logplex.requests)
    (request,) = logplex.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert len(request.body_bytes) < len(gzip.decompress(request.body_bytes)) / 5
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(200)]


def test_the_servers_request_limit_costs_nothing(long_idle):
    """After each answer with `Connection: close` a new connection goes on where it stopped."""
    with (
        LogplexReceiver(max_requests=3, idle_timeout=100) as logplex,
        logging_to(logplex.url) as (logger, handler),
    ):
        for number in range(10):
            logger.info("line %d", number)
            assert handler.flush()
        stats = handler.stats()
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(10)]
    assert (stats.requests, stats.retries, stats.possible_duplicates) == (10, 0, 0)
    assert len({request.connection for request in logplex.requests}) == 4


def test_a_connection_that_the_server_closed_while_idle_costs_nothing(capsys):
    """No retry, no possible duplicate, no wait, no word."""
    answered = []

    def step(connection):
        answered.append(connection)
        accept(connection)

    with logging_to_server(step) as (server, logger, handler):
        for number in range(4):
            logger.info("line %d", number)
            assert handler.flush()
            answered[-1].shutdown(socket.SHUT_RDWR)
        stats = handler.stats()
    assert server.frames() == [b"line %d" % number for number in range(4)]
    assert [request.connection for request in server.received] == [1, 2, 3, 4]
    assert (stats.requests, stats.retries, stats.possible_duplicates) == (4, 0, 0)
    assert capsys.readouterr().err == ""


def test_a_kept_connection_that_dies_under_a_request_is_tried_again_at_once(
    capsys, monkeypatch, long_idle
):
    """The race with the server's closing costs a retry under the same frame id, and no wait."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 30.0)
    with logging_to_server(accept, hang_up, accept) as (server, logger, handler):
        logger.info("one")
        assert handler.flush()
        logger.info("two")
        assert handler.flush()
        stats = handler.stats()
    assert [request.headers["logplex-msg-count"] for request in server.received] == ["1", "1", "1"]
    assert server.received[1].frame_id == server.received[2].frame_id
    assert (stats.retries, stats.possible_duplicates) == (1, 1)
    assert capsys.readouterr().err == ""
