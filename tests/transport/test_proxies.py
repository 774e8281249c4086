"""Proxies and tunnels from the environment."""

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
import requests

from logplex_handler._transport.transport import Transport
from logplex_handler.streams import Destination
from tests.logs import logging_to, logging_to_server
from tests.servers import TOKEN, accept, hang_up, reset, serving
from tests.transport.test_transport import options


@pytest.fixture
def sent_through(monkeypatch):
    """Sends a line through a proxy of the environment, and returns the counts."""

    def send(proxy):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with logging_to(f"http://token:{TOKEN}@logplex.test/logs", allow_http=True) as (
            logger,
            handler,
        ):
            logger.info("line")
            assert handler.flush()
            return handler.stats()

    return send


def test_a_proxy_of_the_environment_is_used(sent_through):
    """It gets the request for the receiver's name, with the credentials in their header alone."""
    with serving(accept) as proxy:
        sent_through(proxy)
    (request,) = proxy.received
    assert request.target == "http://logplex.test/logs"
    assert request.headers["authorization"].startswith("Basic ")
    assert proxy.frames() == [b"line"]


@pytest.mark.parametrize("factory", [None, requests.Session])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_sent_to_a_proxy_does_not_wait_until_it_has_what_was_sent_before(
    authority, monkeypatch, scheme, factory
):
    """It would be 40 ms for the body of each request, as many systems put off acknowledgements."""
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        serving(accept, tls=context if scheme == "https" else None) as server,
        ExitStack() as stack,
    ):
        port = server.port
        if scheme == "https":
            port, _ = stack.enter_context(tunnel_to(port))
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
        url = f"{scheme}://token:{TOKEN}@logplex.test/logs"
        transport = Transport(options(session_factory=factory))
        destination = Destination.from_url(url, allow_http=True)
        assert transport.post(destination, b"3 foo", frames=1, frame_id="an-id").status == 204
        connection = transport._session.get_adapter(url).last_pool.pool.queue[-1]
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()


@pytest.mark.parametrize("breaks", [reset, hang_up])
def test_a_proxy_that_breaks_off_a_request_may_have_passed_it_on(sent_through, breaks, short_waits):
    """So its retry may be a duplicate, as it would be without the proxy."""
    with serving(breaks, accept) as proxy:
        stats = sent_through(proxy)
    assert (stats.delivered, stats.retries, stats.possible_duplicates) == (1, 1, 1)


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
        thread.join(100)


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


@pytest.mark.parametrize("is_proxy", [True, False])
@pytest.mark.parametrize(
    "answer",
    [b"", b"\0\xff\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000, b"HTTP/1.1 407 no\r\n\r\n"],
)
def test_without_a_tunnel_or_a_handshake_nothing_was_sent(monkeypatch, answer, is_proxy):
    """Whatever is answered instead, so that no retry counts as a possible duplicate."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"https://token:{TOKEN}@127.0.0.1:{port}/logs"
        if is_proxy:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            url = f"https://token:{TOKEN}@logplex.test/logs"

        def serve():
            client, _ = listener.accept()
            with client:
                client.recv(65_536)
                client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        transport = Transport(options())
        found = transport.post(Destination.from_url(url), b"3 foo", frames=1, frame_id="an-id")
        transport.close()
        thread.join(100)
    assert found.failure
    assert (found.status, found.was_tried, found.maybe_delivered) == (None, True, False)


def test_a_receiver_on_this_machine_is_reached_without_the_proxy(monkeypatch):
    """The proxy's own loopback is another."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with logging_to_server(accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
    assert server.frames() == [b"line"]
