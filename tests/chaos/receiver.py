"""A receiver that answers anything, and remembers what it has routed.

It lies in one way only: an answer may be lost or be an error though all was routed. What it has
refused (400, 413, 422) it has not routed, and never will under that frame id.
"""

from __future__ import annotations

import gzip
import random
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from tests.servers import NO_CONTENT

# What a refused record has in its text.
POISON = b"poison"
# Bytes of a body, as sent, that are too many.
MAX_BODY = 60_000

_HEADS = {
    "ok": NO_CONTENT,
    "ok, 200 with a body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "ok, 202 in chunks": b"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\n\r\n",
    "ok, and it was the last": b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n",
    "ok, after a hint": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + NO_CONTENT,
    # As proxies do when they close an idle connection. (No client can tell an answer that nobody
    # asked for from that of the next request, if it comes late; so it is one that is true of both.)
    "ok, and it was the last, as is said later": NO_CONTENT
    + b"HTTP/1.1 408 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "ok, in HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "ok, 202 in chunks that are none": b"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\n",
    "ok, 204 with a body": b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello",
    "ok, after many hints": b"HTTP/1.1 103 X\r\n\r\n" * 90 + NO_CONTENT,
    "ok, and half of the connection is closed": NO_CONTENT,
    "ok, with a cookie": b"HTTP/1.1 204 X\r\nSet-Cookie: customer=1; Path=/\r\n\r\n",
}
# Answers that say nothing of what became of the batch.
_GARBAGE = (
    b"\0" * 200,
    b"\r\n" * 50,
    b"SSH-2.0-OpenSSH_9.9\r\n",
    b"HTTP/1.1 99999 X\r\n\r\n",
    b"HTTP/1.1 -204 X\r\n\r\n",
    b"HTTP/9.9 000 \r\n\r\n",
    b"HTTP/1.1 503 X\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    b"HTTP/1.1 503 " + b"x" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 503 X\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 503 X\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 503 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 503 X\r\n\xff\xfe: \x80\r\nContent-Length: 0\r\n\r\n",
)
# What a receiver that means ill begins its answer with, and goes on with for as long as it may.
_ENDLESS = {
    "body": (b"HTTP/1.1 503 X\r\n\r\n", b"x" * 4096),
    "body of a redirect to itself": (b"HTTP/1.1 302 X\r\nLocation: /logs\r\n\r\n", b"x" * 4096),
    "chunks": (
        b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1000\r\n" + b"x" * 4096 + b"\r\n",
    ),
    "length of a chunk": (b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 4096),
    "words of a status": (b"HTTP/1.1 503 ", b"x" * 4096),
    "header": (b"HTTP/1.1 503 X\r\nX: ", b"x" * 4096),
    "headers": (b"HTTP/1.1 503 X\r\n", b"X: y\r\n" * 500),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 50),
    "patience": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "switching": (b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" * 50),
}
_STATUSES = (301, 302, 307, 401, 403, 404, 407, 408, 410, 415, 425, 429, 500, 502, 503, 504, 599)
_RETRY_AFTER = (
    *("0", "1", "-1", "soon", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT", "", "\xa01", "nan", "inf"),
    *("1e9", "0x10", "1, 2", "\xb2", "Fri, 99 Foo 2026 25:61:61 GMT", "9" * 5_000),
    "Thu, 01 Jan 1970 00:00:00 GMT\r\nRetry-After: 1",
)


@cache
def _exploding() -> bytes:
    """An answer whose body is a hundred megabytes of blanks."""
    bomb = gzip.compress(b" " * (100 << 20), 1, mtime=0)
    head = b"HTTP/1.1 503 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    return head % len(bomb) + bomb


@dataclass(frozen=True)
class Routed:
    """One body that was routed, decompressed, with its frame id."""

    frame_id: str
    body: bytes
    # Whether the answer was that of a failure which the sender must take for one.
    answered_badly: bool


class Receiver:
    """Answers at 127.0.0.1:`port` until it is closed, well when it is not `raging`."""

    def __init__(
        self, seed: int, token: str, tls: ssl.SSLContext | None, *, hostile: bool = False
    ) -> None:
        self._dice = random.Random(f"receiver {seed}")
        self._token = token
        self._tls = tls
        # Whether it means ill, too: its answers never end, and it may close at any moment.
        self._hostile = hostile
        self.raging = True
        self.answers: dict[str, int] = {}
        # In order; and what was found wrong with requests, in words.
        self.routed: list[Routed] = []
        self.wrong: list[str] = []
        # Guards all of these.
        self._lock = threading.Lock()
        self._routed_ids: set[str] = set()
        # Where redirects lead to; nobody may follow one.
        self._elsewhere = socket.create_server(("127.0.0.1", 0))
        self._elsewhere.setblocking(False)
        # A request may come here long after the sender has given it up, and tried again.
        self._refused_ids: set[str] = set()
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def calm(self) -> None:
        """From now on every good request is answered with 204."""
        self.raging = False

    def close(self) -> None:
        """End all connections and threads."""
        self._over.set()
        self._threads[0].join(100)
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(100)
        self._listener.close()
        with suppress(OSError):
            self._elsewhere.accept()[0].close()
            self.wrong.append("a redirect was followed")
        self._elsewhere.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(10)
            with self._lock:
                self._sockets.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls is not None:
                # The descriptor is the new socket's from here on.
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._sockets.append(connection)
            with connection.makefile("rb") as stream:
                while self._take(stream, connection):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._sockets = [s for s in self._sockets if s is not plain and s is not connection]
            connection.close()
            plain.close()

    def _take(self, stream, connection: socket.socket) -> bool:
        """Read one request and answer it; whether there may be another."""
        if self._hostile and self._chance(0.1):
            with self._lock:
                length = self._dice.choice((0, 1, 100, 400, 2_000))
            stream.read1(length)
            return False
        if not stream.readline().startswith(b"POST /logs HTTP/1.1"):
            return False
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "-1"))
        if length < 0 or self._chance(0.03):
            # It was cut on the way, or is cut here, before the body.
            return False
        if self._hostile and self._chance(0.05):
            # It answers before it has read the request, all of which it may then read or not.
            with self._lock:
                status, reads_on = self._dice.choice(_STATUSES), self._dice.random() < 0.5
            connection.sendall(_status(status))
            return reads_on and len(stream.read(length)) == length
        body = stream.read(length)
        if len(body) < length:
            return False
        return self._answer(headers, body, connection)

    def _chance(self, probability: float) -> bool:
        with self._lock:
            return self.raging and self._dice.random() < probability

    def _answer(self, headers: dict[str, str], sent: bytes, connection: socket.socket) -> bool:
        body = gzip.decompress(sent) if headers.get("content-encoding") == "gzip" else sent
        frame_id = headers["logplex-frame-id"]
        with self._lock:
            if headers["logplex-msg-count"] != str(len(texts_and_frames(body))):
                self.wrong.append("the count of messages is wrong")
            if self._tls is None and "cookie" in headers:
                self.wrong.append("a cookie came back")
            if refusal := self._refusal(frame_id, sent, body):
                how, what = "refused", refusal
            elif self.raging and self._dice.random() < 0.5:
                how, what = self._bad_answer()
            else:
                how = self._dice.choice(list(_HEADS)) if self.raging else "ok"
                what = _HEADS[how]
            self.answers[how] = self.answers.get(how, 0) + 1
            if how.startswith(("ok", "routed")):
                badly = how in ("routed, but 5xx", "routed, but garbage")
                self.routed.append(Routed(frame_id, body, badly))
                self._routed_ids.add(frame_id)
            trickles = self._dice.random() < 0.05 and self.raging
        if how.endswith("reset"):
            # TLS has a word of its own for the end, so this is done below it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        if how.endswith("no answer"):
            while self.raging and not self._over.wait(0.02):
                pass
            return False
        if how.startswith("hostile"):
            self._go_on(connection, *_ENDLESS[how.removeprefix("hostile, endless ")])
            return False
        if trickles:
            for byte in what[:40]:
                connection.sendall(bytes([byte]))
                self._over.wait(0.02)
            what = what[40:]
        connection.sendall(what)
        if "half of the connection" in how:
            self._close_half(connection)
            return False
        return (
            how.startswith(("ok", "refused", "status")) and "last" not in how and "1.0" not in how
        )

    def _go_on(self, connection: socket.socket, head: bytes, piece: bytes) -> None:
        """Send more and more of an answer, until it is not wanted, or the storm is over."""
        connection.sendall(head)
        with self._lock:
            # Some at full speed, and some a byte now and then.
            pieces, pause = self._dice.choice(((piece, 0.001), (piece[:1], 0.02)))
        while self.raging and not self._over.wait(pause):
            connection.sendall(pieces)

    def _close_half(self, connection: socket.socket) -> None:
        """Say no more, and read on, until the other half is closed, too, or the storm is over."""
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.05)
        while self.raging and not self._over.is_set():
            with suppress(TimeoutError):
                if not connection.recv(65_536):
                    return

    def _refusal(self, frame_id: str, sent: bytes, body: bytes) -> bytes:
        if frame_id in self._routed_ids:
            return b""
        if len(sent) > MAX_BODY:
            return _status(413)
        if POISON in body:
            return _status(self._dice.choice((400, 413, 422)))
        if frame_id in self._refused_ids or (self.raging and self._dice.random() < 0.05):
            self._refused_ids.add(frame_id)
            return _status(400)
        return b""

    @property
    def _trap(self) -> str:
        return f"http://127.0.0.1:{self._elsewhere.getsockname()[1]}/logs"

    def _bad_answer(self) -> tuple[str, bytes]:
        dice = self._dice
        if self._hostile and dice.random() < 0.5:
            return f"hostile, endless {dice.choice(list(_ENDLESS))}", b""
        kinds: list[Callable[[], tuple[str, bytes]]] = [
            lambda: ("status", _status(dice.choice(_STATUSES))),
            lambda: ("status", _status(503, f"Retry-After: {dice.choice(_RETRY_AFTER)}")),
            lambda: ("status", _status(302, "Location: http://169.254.169.254/latest/meta-data/")),
            lambda: ("status", _status(dice.choice((302, 307, 308)), "Location: /logs")),
            lambda: ("status", _status(dice.choice((301, 303, 308)), f"Location: {self._trap}")),
            lambda: ("status", _status(503, "Set-Cookie: customer=2; Path=/")),
            lambda: ("half of the connection is closed", b""),
            lambda: ("garbage", dice.choice(_GARBAGE)),
            lambda: ("garbage", _exploding()),
            lambda: ("half an answer", _status(503)[: dice.randrange(30)]),
            lambda: ("reset", b""),
            lambda: ("no answer", b""),
            lambda: ("routed, but 5xx", _status(dice.choice((500, 502, 504)))),
            lambda: ("routed, but garbage", dice.choice(_GARBAGE)),
            lambda: ("routed, but half an answer", NO_CONTENT[: dice.randrange(12)]),
            lambda: ("routed, reset", b""),
            lambda: ("routed, no answer", b""),
        ]
        return dice.choice(kinds)()


def _status(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "Content-Length: 0", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def texts_and_frames(body: bytes) -> list[tuple[str, bytes]]:
    """The text and the whole packet of each frame; ValueError where there is no length."""
    found = []
    position = 0
    while position < len(body):
        space = body.index(b" ", position)
        end = space + 1 + int(body[position:space])
        packet = body[space + 1 : end]
        found.append((packet.split(b" - - ", 1)[1].removesuffix(b"\n").decode(), packet))
        position = end
    return found
