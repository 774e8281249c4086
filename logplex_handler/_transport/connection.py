"""Connections that give up at a deadline, however slowly the other side answers.

The time-outs of requests and urllib3 hold for each read, so an answer that comes byte by byte could
take for ever.
"""

from __future__ import annotations

import http.client
import importlib
import io
import os
import socket
import ssl
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from logplex_handler._process import forks

# On the monotonic clock. Each thread (and greenlet) has its own.
_deadline: ContextVar[float] = ContextVar("logplex_handler_deadline", default=float("inf"))

# A body is sent in pieces of this many bytes, so that the deadline is seen between them.
_PIECE = 524_288


class HandshakeFailed(ssl.SSLError):
    """TLS was not agreed on, so nothing of a request was sent.

    An `ssl.SSLError` may as well come from a connection that breaks when all of it was.
    """


class _Sockets:
    """The sockets of this process, which a forked child gets a copy of."""

    def __init__(self) -> None:
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def after_fork_in_child(self) -> None:
        """Close the child's copies, or the receiver would not see the parent close its own.

        Only the descriptors: pools and sessions have locks, which a thread of the parent may hold.
        """
        for sock in list(self.sockets):
            # Closing would wait for the reader on top of it, if an answer is being read.
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self.sockets = weakref.WeakSet()


_sockets = _Sockets()
forks.register(_sockets)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Within it, bounded connections raise TimeoutError once the deadline has passed."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def bound(session: requests.Session) -> None:
    """Have the session's ordinary adapters use bounded connections, as they are configured.

    An adapter of a class of the caller's own is left alone.
    """
    for prefix, adapter in list(session.adapters.items()):
        if type(adapter) is HTTPAdapter:
            # What pickling would keep of an adapter is its configuration.
            configuration: dict[str, Any] = adapter.__getstate__()  # type: ignore[attr-defined]
            bounded = _BoundedAdapter()
            bounded.__setstate__(configuration)  # type: ignore[attr-defined]
            session.mount(prefix, bounded)


def _bounded_timeout(timeout: float | None) -> float:
    """The socket's own time-out, or what is left until the deadline."""
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer took too long as a whole")
    return left if timeout is None else min(timeout, left)


class _BoundedReader(io.RawIOBase):
    """Reads from a socket, each time for as long as is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        # The socket's own reader keeps the socket open until the answer is read.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if _deadline.get() != float("inf"):
            self._sock.settimeout(_bounded_timeout(self._timeout))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedSocket:
    """As much of a socket as `http.client.HTTPResponse` uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock))


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_BoundedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]

    def _read_status(self) -> tuple[str, int, str]:
        """The status of the answer, whatever hints (103) come before it.

        The standard library knows of 100 alone; the answer behind another one would be read as that
        of the next request on the connection.
        """
        while True:
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 101 < status[1] < 200:
                return status
            http.client.parse_headers(self.fp)


def _addresses(name: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except RuntimeError:
        # gevent asks in a thread, and Python 3.12 starts none any more once it is about to exit.
        gevent: Any = sys.modules.get("gevent")
        if gevent is None:
            raise
        blocking: Any = importlib.import_module("gevent.resolver.blocking")
        gevent.get_hub().resolver = blocking.Resolver()
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)


class _BoundedConnection:
    """A mix-in for the connections of urllib3."""

    response_class: Any = _BoundedResponse
    # The head of a request, once there is one, until it leaves together with the body: that is one
    # packet less. None if there is nothing to wait for.
    _head: bytes | None = None

    def _new_conn(self) -> socket.socket:
        """Try one address of the name after the other, all of them within the deadline."""
        connect = super()._new_conn  # type: ignore[misc]
        connection: Any = self
        name, timeout = connection._dns_host, connection.timeout
        try:
            found = _addresses(name, connection.port)
        except OSError as error:
            raise NameResolutionError(name, connection, error) from error  # type: ignore[arg-type]
        failure: Exception | None = None
        try:
            for address in dict.fromkeys(address[0] for *_, address in found):
                connection._dns_host = address
                connection.timeout = _bounded_timeout(timeout)
                try:
                    sock: socket.socket = connect()
                    return sock
                except (ConnectTimeoutError, NewConnectionError) as error:
                    failure = error
        except TimeoutError as error:
            failure = ConnectTimeoutError(connection, str(error))
        finally:
            connection._dns_host, connection.timeout = name, timeout
        raise failure or NewConnectionError(connection, "the name has no address")

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLCertVerificationError):
                raise
            raise HandshakeFailed(*error.args) from error
        sock: socket.socket | None = getattr(self, "sock", None)
        if sock is not None:
            _sockets.sockets.add(sock)

    # urllib3 gives the body by its name.
    def request(self, *args: Any, **kwargs: Any) -> None:
        body = kwargs.get("body")
        self._head = b"" if isinstance(body, bytes) and 0 < len(body) <= _PIECE else None
        super().request(*args, **kwargs)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        send = super().send  # type: ignore[misc]
        sock: socket.socket | None = getattr(self, "sock", None)
        if self._head == b"":
            self._head = data
            return
        if self._head is not None:
            data, self._head = self._head + data, None
        if sock is None or not isinstance(data, bytes) or len(data) <= _PIECE:
            send(data)
            return
        timeout = sock.gettimeout()
        # Of which a part is no copy.
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            sock.settimeout(_bounded_timeout(timeout))
            send(view[start : start + _PIECE])
        sock.settimeout(timeout)


class _HTTPConnection(_BoundedConnection, HTTPConnection):
    pass


class _HTTPSConnection(_BoundedConnection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _BoundedAdapter(HTTPAdapter):
    # The pool that was used last, and for what.
    _last_pool: tuple[Any, Any] | None = None

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool of connections for a request.

        Finding it takes an eighth of all that a request costs, and nearly all requests are like the
        one before.
        """
        wanted = (request.url, verify, proxies, cert)
        # Read once: a session of the application's may be that of several threads.
        last = self._last_pool
        # A closed one has no connections any more.
        if last is not None and last[0] == wanted and last[1].pool is not None:
            return last[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        self._last_pool = (wanted, pool)
        return pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        # While the interpreter exits, the finalizers that urllib3 leaves this to have run already.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (it cannot be iterated over)
                manager.pools[key].close()
        super().close()
