"""What lies between a process and its receiver: certificates, proxies, names, dead connections."""

import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import requests
import trustme

from logplex_handler._sender import retry_policy
from logplex_handler._transport import connection
from logplex_handler._transport.transport import Transport, TransportOptions
from logplex_handler.streams import Destination
from tests.logs import logging_to
from tests.servers import NO_CONTENT, TOKEN, accept, answer, hang_up, reset, serving


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A private CA: its certificate's path, and a server's context for 127.0.0.1 under it."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "logplex.test").configure_cert(context)
    return str(path), context


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


@pytest.mark.parametrize(("size", "sends"), [(200, 1), (600_000, 3)])
def test_the_head_of_a_request_leaves_with_a_body_that_is_not_large(size, sends, monkeypatch):
    """So the receiver is woken once for both. A large one is sent in pieces, after the head."""
    sent = []
    send = http.client.HTTPConnection.send

    def counting(self, data):
        sent.append(len(data))
        send(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", counting)
    options = TransportOptions(headers={}, timeout=5, compress=False, session_factory=None)
    body = b"x" * size
    with serving(accept) as server:
        transport = Transport(options)
        destination = Destination.from_url(server.url)
        for _ in range(2):
            sent.clear()
            assert transport.post(destination, body, frames=1, frame_id="1").status == 204
            assert len(sent) == sends
            assert sum(sent) > size
        transport.close()
    assert server.connections == 1
    assert [request.body for request in server.received] == [body, body]


@pytest.mark.skipif(
    not hasattr(requests.adapters.HTTPAdapter, "get_connection_with_tls_context"),
    reason="requests before 2.32 does not ask so, and nothing is remembered",
)
def test_a_session_that_several_threads_share_mixes_up_no_receivers():
    """A request with its credentials goes to its own, whatever others ask for just then."""
    session = requests.Session()
    connection.bound(session)
    adapter = session.get_adapter("http://")
    one, other = [requests.Request("POST", f"http://{name}.test").prepare() for name in "ab"]

    class Interrupted(str):
        def __eq__(self, _):
            adapter.get_connection_with_tls_context(other, True)
            return True

        __hash__ = str.__hash__

    pool = adapter.get_connection_with_tls_context(one, Interrupted("ca.pem"))
    again = adapter.get_connection_with_tls_context(one, Interrupted("ca.pem"))
    assert (pool.host, again.host) == ("a.test", "a.test")


def test_a_private_ca_is_taken_from_the_session(authority, monkeypatch):
    """What a session_factory sets is kept."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    path, context = authority

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


def test_the_sessions_ca_comes_before_that_of_the_environment(authority, monkeypatch, tmp_path):
    """It was said last, and for this handler alone."""
    path, context = authority
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))

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
        assert not handler.flush(0.8)
        stats = handler.stats()
    assert (stats.pending, stats.delivered, stats.possible_duplicates) == (1, 0, 0)
    assert stats.requests >= 1
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
                times.append(time.monotonic())
                threading.Thread(target=read_slowly, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://token:{TOKEN}@127.0.0.1:{listener.getsockname()[1]}/logs"
    try:
        with logging_to(
            url, timeout=0.3, max_batch_bytes=8_000_000, flush_interval=0.01, shutdown_timeout=0.1
        ) as (logger, _):
            for _ in range(400):
                logger.info("x" * 9_000)
            deadline = time.monotonic() + 8
            while len(times) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(times) >= 2
            assert times[1] - times[0] < 4 * 0.3 + 1.5
    finally:
        stalled.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    """It gets the request for the receiver's name, with the credentials in their header alone."""
    with serving(accept) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with logging_to(f"http://token:{TOKEN}@logplex.test/logs", allow_http=True) as (
            logger,
            handler,
        ):
            logger.info("line")
            assert handler.flush()
    (request,) = proxy.received
    assert request.target == "http://logplex.test/logs"
    assert request.headers["authorization"].startswith("Basic ")
    assert proxy.frames() == [b"line"]


@contextmanager
def tunnel_to(port):
    """A proxy for CONNECT, whatever the name, to a port here; the names that it was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []
    sockets = [listener]

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve():
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65_536)
                asked.append(head.split()[1].decode())
                server = socket.create_connection(("127.0.0.1", port))
                sockets.extend([client, server])
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        thread.join(5)


def test_a_tunnel_of_the_environment_is_used_for_tls(authority, monkeypatch):
    """The proxy sees the name alone; the certificate is the receiver's."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(accept, tls=context) as server, tunnel_to(server.port) as (port, asked):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with logging_to(f"https://token:{TOKEN}@logplex.test/logs") as (logger, handler):
            logger.info("one")
            assert handler.flush()
            logger.info("two")
            assert handler.flush()
    assert asked == ["logplex.test:443"]
    assert server.frames() == [b"one", b"two"]


def test_a_receiver_on_this_machine_is_reached_without_the_proxy(monkeypatch):
    """The proxy's own loopback is another."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("line")
        assert handler.flush()
    assert server.frames() == [b"line"]


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


def test_a_half_open_connection_is_given_up_and_replaced():
    """The receiver is gone without a word; the batch leaves on a new connection."""
    over = threading.Event()
    with (
        serving(accept, lambda connection: over.wait(10), accept) as server,
        logging_to(server.url, timeout=0.3) as (logger, handler),
    ):
        logger.info("one")
        assert handler.flush()
        logger.info("two")
        assert handler.flush()
        stats = handler.stats()
        over.set()
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
    handler = LogplexHandler(logplex.url, flush_interval=0.05)
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
        timeout=25,
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
    started = time.monotonic()
    answer = transport.post(destination, b"3 foo", frames=1, frame_id="an-id", seconds=1.5)
    took = time.monotonic() - started
    transport.close()
    for one in [*fill, *silent]:
        one.close()
    assert answer.failure == "ConnectTimeout"
    assert not answer.maybe_delivered
    assert took < 2.5


def garble(connection):
    """Answer what TLS cannot decipher."""
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
        monkeypatch.setattr(retry_policy, "FIRST_WAIT", 60)
        logger.info("two")
        assert handler.flush(4)
    assert server.connections == 2


def test_tls_that_is_not_agreed_on_has_delivered_nothing(short_waits):
    """What answers does not speak it: no retry can be a duplicate."""
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
            deadline = time.monotonic() + 5
            while handler.stats().requests < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            stats = handler.stats()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
    assert stats.retries >= 2
    assert stats.possible_duplicates == 0


def test_hints_before_an_answer_are_skipped():
    """Else the answer behind them would be taken for that of the next request."""

    def hinting(connection):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.05)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + NO_CONTENT)

    with serving(hinting) as server, logging_to(server.url, flush_interval=0) as (logger, handler):
        for number in range(3):
            logger.info("line %d", number)
            assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.requests, stats.retries) == (3, 3, 0)
    assert server.connections == 1


def test_an_answer_that_is_not_the_last_word_is_none(short_waits):
    """101 leaves HTTP: what follows belongs to no request."""
    with (
        serving(answer(101, "Upgrade: x"), accept) as server,
        logging_to(server.url) as (logger, handler),
    ):
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.possible_duplicates) == (1, 1)
    assert server.connections == 2
