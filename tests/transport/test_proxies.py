"""Proxies and tunnels from the environment."""

import socket
import threading
from contextlib import contextmanager, suppress

from tests.logs import logging_to, logging_to_server
from tests.servers import TOKEN, accept, serving


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


def test_a_receiver_on_this_machine_is_reached_without_the_proxy(monkeypatch):
    """The proxy's own loopback is another."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with logging_to_server(accept) as (server, logger, handler):
        logger.info("line")
        assert handler.flush()
    assert server.frames() == [b"line"]
