"""Names, addresses and connections that move, hang or are half open."""

import http.client
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError

from logplex_handler._transport import connection
from logplex_handler._transport.connection import BoundedHTTPConnection
from logplex_handler._transport.limits import until
from logplex_handler._transport.transport import Transport, TransportOptions
from logplex_handler.streams import Destination
from tests.logs import logging_to, logging_to_server, wait_until
from tests.pace import stopwatch
from tests.servers import NO_CONTENT, TOKEN, accept, answer, hang, serving


@pytest.mark.parametrize(("size", "sends"), [(200, 1), (600_000, 3)])
def test_the_head_of_a_request_leaves_with_a_body_that_is_not_large(size, sends, monkeypatch):
    """So the receiver is woken once for both. A large one is sent in pieces, after the head."""
    sent = []
    here, send = threading.get_ident(), http.client.HTTPConnection.send

    def counting(self, data):
        # Other threads may still send what another test has left.
        if threading.get_ident() == here:
            sent.append(len(data))
        send(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", counting)
    options = TransportOptions(headers={}, timeout=100, compress=False, session_factory=None)
    body = b"x" * size
    with serving(accept) as server:
        transport = Transport(options)
        destination = Destination.from_url(server.url)
        for _ in range(2):
            sent.clear()
            assert transport.post(destination, body, frames=1, frame_id="1").status == 204
            assert sum(sent) > size
        # Of the request on a connection that is open.
        assert len(sent) == sends
        transport.close()
    assert server.connections == 1
    assert [request.body for request in server.received] == [body, body]


def test_a_name_that_moves_is_looked_up_again(monkeypatch):
    """After its connection is gone, lines go to where the name points now."""
    look_up = socket.getaddrinfo
    address = ["127.0.0.1"]

    def getaddrinfo(host, *args, **kwargs):
        return look_up(address[0] if host == "logplex.localhost" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with serving(accept) as first, serving(accept, host="127.0.0.2", port=first.port) as second:
        url = f"http://token:{TOKEN}@logplex.localhost:{first.port}/logs"
        with logging_to(url) as (logger, handler):
            logger.info("one")
            assert handler.flush()
            address[0] = "127.0.0.2"
            first.close()
            logger.info("two")
            assert handler.flush()
            assert handler.stats().delivered == 2
    assert (first.frames(), second.frames()) == ([b"one"], [b"two"])


def test_a_name_that_cannot_be_looked_up_keeps_the_records(monkeypatch):
    """Until it can be."""
    look_up = socket.getaddrinfo
    failures = [1, 2]

    def getaddrinfo(host, *args, **kwargs):
        if host == "logplex.localhost" and failures:
            failures.pop()
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return look_up("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with serving(accept) as server:
        url = f"http://token:{TOKEN}@logplex.localhost:{server.port}/logs"
        with logging_to(url) as (logger, handler):
            logger.info("line")
            assert handler.flush()
            stats = handler.stats()
    assert (stats.delivered, stats.requests, stats.possible_duplicates) == (1, 3, 0)
    assert server.frames() == [b"line"]


def test_a_half_open_connection_is_given_up_and_replaced(monkeypatch):
    """The receiver is gone without a word; the batch leaves on a new connection."""
    post, posts = Transport.post, itertools.count()

    def post_in_turn(transport, *arguments, **given):
        """Only the second request is given up, and its retry waits until the server has it."""
        before = next(posts)
        assert wait_until(lambda: len(server.received) == before)
        seconds = 1.0 if before == 1 else 100.0
        transport._options = replace(transport._options, timeout=seconds)
        return post(transport, *arguments, **given)

    monkeypatch.setattr(Transport, "post", post_in_turn)
    with logging_to_server(accept, hang, accept) as (server, logger, handler):
        logger.info("one")
        assert handler.flush()
        logger.info("two")
        assert handler.flush()
        stats = handler.stats()
    assert [request.connection for request in server.received] == [1, 1, 2]
    assert server.received[1].frame_id == server.received[2].frame_id
    assert (stats.delivered, stats.possible_duplicates) == (2, 1)


def test_it_works_where_gevent_has_patched_everything():
    """Greenlets log and flush, and none of them waits for another's delivery."""
    program = """
from gevent import monkey; monkey.patch_all()
import logging, time, gevent
from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver
with LogplexReceiver() as logplex:
    handler = LogplexHandler(
        logplex.url, flush_interval=0.05, timeout=60, shutdown_timeout=60
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    log = logging.getLogger("app")
    def work(number):
        for line in range(50):
            log.info("%d %d", number, line)
            gevent.sleep(0.001)
    gevent.joinall([gevent.spawn(work, number) for number in range(20)])
    assert handler.flush()
    lines = [line.text for line in logplex.lines]
    assert sorted(lines) == sorted(f"{n} {line}" for n in range(20) for line in range(50)), lines
    for number in range(20):
        own = [line for line in lines if line.startswith(f"{number} ")]
        assert own == [f"{number} {line}" for line in range(50)]
    logging.getLogger().removeHandler(handler)
    handler.close()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ.copy(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_all_addresses_of_a_name_share_the_time_of_one_request(monkeypatch):
    """Several that do not answer are no reason to wait for each of them in turn for ever."""
    silent = [socket.create_server((f"127.0.0.{n}", 0), backlog=0) for n in range(2, 8)]
    port = silent[0].getsockname()[1]
    fill = []
    for listener in silent[1:]:
        listener.close()
    silent = silent[:1] + [
        socket.create_server((f"127.0.0.{n}", port), backlog=0) for n in range(3, 8)
    ]
    for listener in silent:
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            fill.append(one)
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host != "many.localhost":
            return look_up(host, *args, **kwargs)
        return [
            found
            for listener in silent
            for found in look_up(listener.getsockname()[0], *args, **kwargs)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    transport = Transport(
        TransportOptions(headers={}, timeout=1.0, compress=False, session_factory=None)
    )
    destination = Destination(f"http://many.localhost:{port}/logs", "token", TOKEN)
    with stopwatch() as watch:
        answer = transport.post(destination, b"3 foo", frames=1, frame_id="an-id", seconds=1.5)
        took = watch.seconds
    transport.close()
    for one in [*fill, *silent]:
        one.close()
    assert answer.failure == "ConnectTimeout"
    assert not answer.maybe_delivered
    # Each of the addresses would take a second.
    assert took < 2.5


class _Silent(HTTPConnection):
    """A connection to addresses that let it wait; it keeps how long that would be."""

    def _new_conn(self):
        self.waits.append(self.timeout)
        raise ConnectTimeoutError(self)


def test_addresses_that_hang_leave_time_for_the_others(monkeypatch):
    """A name whose first address hangs, as one of IPv6 may, is reached by the next one."""

    class Connection(BoundedHTTPConnection, _Silent):
        pass

    look_up = connection.addresses_by

    def addresses_by(deadline, name, port):
        many = ["::1", "::2", "::3", "::4"]
        return many if name == "many.localhost" else look_up(deadline, name, port)

    monkeypatch.setattr(connection, "addresses_by", addresses_by)
    one = Connection("many.localhost", timeout=600)
    one.waits = []
    with until(time.monotonic() + 1000), pytest.raises(ConnectTimeoutError):
        one._new_conn()
    assert one.waits == [150, 200, 300, 600]
    assert one.timeout == 600


def test_hints_before_an_answer_are_skipped():
    """Otherwise the final answer would be taken for that of the next request."""

    def hinting(connection):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.05)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + NO_CONTENT)

    with logging_to_server(hinting, flush_interval=0) as (server, logger, handler):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.requests, stats.retries) == (3, 3, 0)
    assert server.connections == 1


def test_an_answer_that_is_not_the_last_word_is_none(short_waits):
    """101 leaves HTTP: the bytes after it belong to no request."""
    with logging_to_server(answer(101, "Upgrade: x"), accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.possible_duplicates) == (1, 1)
    assert server.connections == 2
