"""urllib3 connections with a request's limits, and with a short way for later requests."""

from __future__ import annotations

import http.client
import io
import os
import re
import select
import socket
import ssl
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from logplex_handler._process import forks
from logplex_handler._transport.limits import bounded, limits
from logplex_handler._transport.names import addresses_by
from logplex_handler._wire.destination import is_public

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

if not issubclass(HTTPConnection, http.client.HTTPConnection):
    raise ImportError(
        "another package has replaced urllib3, such as urllib3-future, which niquests installs: "
        "reinstall urllib3, and install niquests with URLLIB3_NO_OVERRIDE=1"
    )

# A body is sent in pieces of this many bytes, so that the deadline is checked between them.
_PIECE = 524_288
# The most bytes of an answer that are read. If it is longer, its connection is closed.
MAX_ANSWER = 65_536
# The most bytes that are received of one answer, with its headers: twice the longest answer that is
# read, one of Heroku's APIs. The standard library would read a chunk of size -1 without end.
_MAX_RECEIVED = 2 * 1_048_576
# Bytes that are read at first. Logplex's answer takes a few hundred.
_FIRST_READ = 8192
# A body of at most this many bytes fits into the buffers of an idle connection.
_MOST_AT_ONCE = 16_384
# Seconds within which an answer comes at once: less than a request's work takes.
_AT_ONCE = 0.00015
# A whole answer, as nearly all answers are.
_NO_CONTENT = re.compile(rb"HTTP/1\.1 204[^\r\n]*\r\n(?:[^\r\n:]+:[^\r\n]*\r\n)*\r\n")


class PrivateAddress(NewConnectionError):
    """The name has private addresses only, and the destination does not allow them."""


class HandshakeFailed(ssl.SSLError):
    """The TLS handshake failed, so no part of a request was sent.

    An `ssl.SSLError` may also come from a connection that breaks after the whole request was sent.
    """


class _OpenSockets:
    """The sockets of this process, of which a forked child gets copies."""

    def __init__(self) -> None:
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def after_fork_in_child(self) -> None:
        """Close the child's copies, so that the receiver notices when the parent closes its own.

        Only the descriptors are closed: pools and sessions have locks, which a thread of the parent
        may hold.
        """
        for sock in list(self.sockets):
            # If an answer is being read, `close` would wait for its reader.
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self.sockets = weakref.WeakSet()


_open_sockets = _OpenSockets()
forks.register(_open_sockets)


class _BoundedReader(io.RawIOBase):
    """A reader of one answer, which is limited in time and in size.

    Args:
        received: Bytes that were read from the socket before, and are to be read again.
    """

    def __init__(self, sock: socket.socket, received: bytes) -> None:
        self._sock = sock
        self._received = memoryview(received)
        self._left = _MAX_RECEIVED
        self._timeout = sock.gettimeout()
        # The socket's own reader keeps the socket open until the answer is read.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._received:
            into = memoryview(buffer)
            size = min(len(into), len(self._received))
            into[:size], self._received = self._received[:size], self._received[size:]
            return size
        if self._left <= 0:
            raise OSError("the answer is too long")
        if self._received.obj:
            # The first part came at once; the rest may not.
            _wait_is_likely()
        self._sock.settimeout(bounded(self._timeout))
        received = self._raw.readinto(buffer)
        self._left -= received or 0
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedSocket:
    """The part of a socket that `http.client.HTTPResponse` uses."""

    def __init__(self, sock: socket.socket, received: bytes) -> None:
        self._sock = sock
        self._received = received

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock, self._received))


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        received: bytes = b"",
    ) -> None:
        readable: Any = _BoundedSocket(sock, received)
        super().__init__(readable, debuglevel, method, url)

    def _read_status(self) -> tuple[str, int, str]:
        """Return the status of the answer, without interim answers such as 103.

        The standard library skips only 100. It would take the answer after another interim one for
        that of the next request.
        """
        while True:
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 101 < status[1] < 200:
                return status
            http.client.parse_headers(self.fp)


def _wait_is_likely() -> None:
    if (given := limits.get()) is not None:
        given.before_waiting()


def _is_readable(sock: socket.socket) -> bool:
    """Return whether something comes at once."""
    try:
        # Others of its kind, and a socket's timeout, are rounded up to a millisecond.
        return bool(select.select([sock], [], [], _AT_ONCE)[0])
    except ValueError:
        # The process has more than a thousand files.
        return False


def _own_address(sock: socket.socket) -> object:
    """Return the address of the socket's own end, or None if it has none."""
    try:
        return sock.getsockname()
    except (AttributeError, OSError):
        # TLS within TLS, through a proxy, has a socket of urllib3's.
        return None


class BoundedHTTPConnection(HTTPConnection):
    """A connection that observes the deadline."""

    response_class = _BoundedResponse

    # The address of the socket's own end; None while it is not connected.
    _own_address: object = None
    # Whether the last answer came at once.
    _answers_at_once = True

    def _new_conn(self) -> socket.socket:
        """Try the addresses of the name one after the other, all within the deadline."""
        given = limits.get()
        name, timeout = self._dns_host, self.timeout
        try:
            deadline = given.deadline if given is not None and given.names_in_time else None
            addresses = addresses_by(deadline, name, self.port)
        except OSError as error:
            # The stubs allow only the error of `getaddrinfo`.
            raise NameResolutionError(name, self, error) from error  # type: ignore[arg-type]
        if given is not None and given.is_public and self.proxy is None:
            addresses = [address for address in addresses if is_public(address)]
            if not addresses:
                raise PrivateAddress(self, "the name has no public address")
        failure: Exception | None = None
        try:
            for tried, address in enumerate(addresses):
                self._dns_host = address
                # Those before the only one that answers may hang.
                self.timeout = bounded(timeout, len(addresses) - tried)
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError) as error:
                    failure = error
        except TimeoutError as error:
            failure = ConnectTimeoutError(self, str(error))
        finally:
            self._dns_host, self.timeout = name, timeout
        raise failure or NewConnectionError(self, "the name has no address")

    def connect(self) -> None:
        try:
            super().connect()
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            raise HandshakeFailed(*error.args) from error
        except (http.client.HTTPException, OSError) as error:
            # A proxy makes no tunnel, or the handshake was cut short: no request was sent.
            kind = ConnectTimeoutError if isinstance(error, TimeoutError) else NewConnectionError
            raise kind(self, type(error).__name__) from error
        if self.sock is not None:
            _open_sockets.sockets.add(self.sock)
            self._own_address = _own_address(self.sock)

    @property
    def is_connected(self) -> bool:
        if self.sock is not None and _own_address(self.sock) != self._own_address:
            # The program has closed the descriptor, as one that becomes a daemon does. Its number
            # may be that of another socket, which must neither get the request nor be closed.
            self.sock.detach()
            self.sock = None
            return False
        return super().is_connected

    # Any, as for the standard library: bytes, a file or an iterable of bytes.
    def send(self, data: Any) -> None:
        sock = self.sock
        if sock is None or not isinstance(data, bytes) or len(data) <= _PIECE:
            super().send(data)
            return
        timeout = sock.gettimeout()
        # Slicing a memoryview copies nothing.
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            sock.settimeout(bounded(timeout))
            super().send(view[start : start + _PIECE])
        sock.settimeout(timeout)

    def send_whole(self, head: bytes, body: bytes, timeout: float) -> None:
        """Send a request on the open connection, in one piece unless it is large."""
        if len(body) > _MOST_AT_ONCE:
            _wait_is_likely()
        if self.sock.gettimeout() != timeout:
            # A system call, during which another thread may begin to run.
            self.sock.settimeout(timeout)
        # The receiver may have answered, and closed the connection, without reading everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            if len(body) <= _PIECE:
                self.send(head + body)
            else:
                self.send(head)
                self.send(body)

    def read_answer(self) -> tuple[int, str | None]:
        """Return the status and the Retry-After header of the answer.

        The connection is closed unless it can be used again.
        """
        timeout = (sock := self.sock).gettimeout()
        received = self._first_read(sock, timeout)
        # The standard library's parsers would cost more than everything else.
        if _NO_CONTENT.fullmatch(received) and b"close" not in received.lower():
            return 204, None
        sock.settimeout(timeout)
        response = _BoundedResponse(sock, method="POST", received=received)
        try:
            response.begin()
            try:
                response.read(MAX_ANSWER)
                is_over = response.isclosed() and not response.will_close
            except (OSError, ValueError, http.client.HTTPException):
                # The status is known, and nothing else matters. A chunk of size -2 is a ValueError.
                is_over = False
            if not is_over:
                self.close()
            return response.status, response.headers.get("Retry-After")
        finally:
            response.close()

    def _first_read(self, sock: socket.socket, timeout: float | None) -> bytes:
        is_expected = self._answers_at_once
        # A clock includes the time for which others run; it does where waiting twice costs more.
        self._answers_at_once = is_expected and _is_readable(sock)
        if not self._answers_at_once:
            _wait_is_likely()
        if (left := bounded(timeout)) != timeout:
            sock.settimeout(left)
        began = time.monotonic()
        received = sock.recv(_FIRST_READ)
        self._answers_at_once |= not is_expected and time.monotonic() - began < _AT_ONCE
        return received


class BoundedHTTPSConnection(BoundedHTTPConnection, HTTPSConnection):
    """A bounded connection with TLS."""
