"""The server's side of one HTTP/1.1 connection, with Logplex's limits and timeouts.

This module reads requests from a socket and writes answers. Other modules decide what to answer.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic

from requests.structures import CaseInsensitiveDict

MAX_BODY_BYTES = 8_000_000
"""The largest body that Logplex accepts, in bytes as sent."""

MAX_HEAD_BYTES = 65_536
"""The largest size of a request line with its headers, in bytes."""

# The most bytes of the request line, and of one header's value, that Logplex accepts.
_MAX_LINE_BYTES = 4_096

# The time-out of a body, as a multiple of the idle time-out: Logplex closes an idle connection
# after 5 s, and gives up on a stalled body after 15 s.
_BODY_TIMEOUT_FACTOR = 3

# The first byte of a TLS connection, which no request begins with.
_TLS_HANDSHAKE = b"\x16"
_TLS = "the client speaks TLS, as to an https:// URL, but this port speaks plain HTTP"

# Needed because `int` also accepts signs, `0x` and underscores. A chunk size of more digits is too
# large in any case.
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Its `body` is joined from chunks, but still has its content encoding."""

    method: str
    target: str
    version: str
    # The headers may contain credentials.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        option = self.headers.get("Connection", "").strip().lower()
        return option == "close" or (self.version == "HTTP/1.0" and option != "keep-alive")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer. `HttpConnection.send` adds the headers that HTTP itself needs."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] | None = None

    def header(self, name: str) -> str:
        return CaseInsensitiveDict(self.headers or {}).get(name, "")


class UnreadableRequest(Exception):
    """A request that cannot be read to its end, with the answer to send before closing.

    `rule` is the rule's key in the table of explanations.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        rule: str = "http.unreadable",
    ) -> None:
        super().__init__(reason)
        self.answer = HttpAnswer(status, reason.encode())
        self.request = HttpRequest("", "", "", headers, body)
        self.rule = rule


class _TooLarge(UnreadableRequest):
    def __init__(self, headers: Mapping[str, str]) -> None:
        reason = f"the body is over {MAX_BODY_BYTES} bytes"
        super().__init__(500, reason, headers, rule="http.too-large")


class HttpConnection:
    """Reads requests from one connected socket and writes answers; the caller closes the socket."""

    def __init__(self, connection: socket.socket, idle_timeout: float) -> None:
        """Wait `idle_timeout` seconds for a request, and then as long for its headers."""
        self._socket = connection
        self._idle_timeout = idle_timeout
        self._body_timeout = idle_timeout * _BODY_TIMEOUT_FACTOR
        self._buffer = bytearray()

    def read(self) -> HttpRequest | None:
        """Read the next request, or return None if the client has finished.

        Raises UnreadableRequest if only a part of a request came, or if it cannot be parsed.
        """
        head = self._read_head()
        if head is None:
            return None
        method, target, version, headers = _parse_head(head)
        if headers.get("Expect", "").strip().lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = self._read_body(headers)
        except TimeoutError:
            raise UnreadableRequest(400, "the body stalled", headers, bytes(self._buffer)) from None
        except EOFError:
            return None
        return HttpRequest(method, target, version, headers, body)

    def send(self, answer: HttpAnswer, *, close: bool) -> None:
        """Send one answer; with `close`, its headers say that the connection ends here."""
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Unknown"
        headers = dict(answer.headers or {})
        if not answer.header("Connection"):
            headers["Connection"] = "close" if close else "keep-alive"
        # 204 and 304 never have a body, so a Content-Length would only confuse the client.
        body = b"" if answer.status in (204, 304) else answer.body
        if answer.status not in (204, 304):
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {answer.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.settimeout(self._body_timeout)
        self._socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def wait_for_close(self) -> None:
        """Answer nothing until the client closes the connection."""
        self._socket.settimeout(None)
        while self._socket.recv(262_144):
            pass

    def _read_head(self) -> bytes | None:
        deadline = monotonic() + self._idle_timeout
        has_begun = bool(self._buffer)
        searched = 0
        while True:
            # HTTP allows a blank line before a request, and some clients send one after a body.
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            end = self._buffer.find(b"\r\n\r\n", searched)
            # A client may send single bytes.
            searched = max(0, len(self._buffer) - 3)
            if (end if end >= 0 else len(self._buffer)) > MAX_HEAD_BYTES:
                raise UnreadableRequest(400, "the headers are too long", {})
            if end >= 0:
                return self._take(end + 4)[:end]
            try:
                self._receive(max(deadline - monotonic(), 0.001))
            except TimeoutError:
                if not self._buffer:
                    return None
                raise UnreadableRequest(408, "only a part of the headers came", {}) from None
            except EOFError:
                return None
            if self._buffer.startswith(_TLS_HANDSHAKE):
                raise UnreadableRequest(400, _TLS, {}, rule="http.tls")
            if not has_begun:
                has_begun, deadline = True, monotonic() + self._idle_timeout

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
            return self._read_chunks(headers)
        length = headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdigit()):
            reason = "Content-Length is not a number"
            raise UnreadableRequest(500, reason, headers, rule="http.length")
        # int() is slow or fails on very long numbers.
        if len(length) > 18 or int(length) > MAX_BODY_BYTES:
            raise _TooLarge(headers)
        return self._take(int(length))

    def _read_chunks(self, headers: Mapping[str, str]) -> bytes:
        body = bytearray()
        while True:
            digits = self._read_line().partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(digits):
                raise UnreadableRequest(400, "a chunk has no length", headers, bytes(body))
            size = int(digits, 16)
            if len(body) + size > MAX_BODY_BYTES:
                raise _TooLarge(headers)
            if size == 0:
                break
            body += self._take(size)
            if self._take(2) != b"\r\n":
                raise UnreadableRequest(400, "a chunk is longer than it says", headers, bytes(body))
        # Trailing headers may follow, with the same limit as the headers at the beginning.
        left = MAX_HEAD_BYTES
        while line := self._read_line():
            left -= len(line)
            if left < 0:
                raise UnreadableRequest(400, "the headers behind the chunks are too long", headers)
        return bytes(body)

    def _read_line(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise UnreadableRequest(400, "a line between chunks is too long", {})
            searched = max(0, len(self._buffer) - 1)
            self._receive(self._body_timeout)
        return self._take(end + 2)[:end]

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive(self._body_timeout)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self, timeout: float) -> None:
        self._socket.settimeout(timeout)
        data = self._socket.recv(262_144)
        if not data:
            raise EOFError
        self._buffer += data


def _parse_head(head: bytes) -> tuple[str, str, str, Mapping[str, str]]:
    first, *rest = head.decode("latin-1").split("\r\n")
    if len(first) > _MAX_LINE_BYTES:
        reason = f"the request line has more than {_MAX_LINE_BYTES:,} bytes"
        raise UnreadableRequest(414, reason, {}, rule="http.header-size")
    method, _, line = first.partition(" ")
    target, _, version = line.rpartition(" ")
    if not method or not target or " " in target:
        raise UnreadableRequest(400, "the request line is malformed", {})
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise UnreadableRequest(505, "the version is not HTTP/1.1", {}, rule="http.version")
    headers = CaseInsensitiveDict[str]()
    lengths: set[str] = set()
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise UnreadableRequest(400, "a header is malformed", headers)
        # Logplex reads the first of several equal headers, and strips no spaces after a value.
        value = value.lstrip(" \t")
        headers.setdefault(name, value)
        if len(value) > _MAX_LINE_BYTES:
            reason = f"the value of a header has more than {_MAX_LINE_BYTES:,} bytes"
            raise UnreadableRequest(400, reason, headers, rule="http.header-size")
        if name.lower() == "content-length":
            lengths.add(value.strip())
    if len(lengths) > 1:
        # Servers disagree on which of the two counts.
        raise UnreadableRequest(400, "Content-Length stands twice", headers)
    if version == "HTTP/1.1" and "Host" not in headers:
        raise UnreadableRequest(400, "the header Host is missing", headers, rule="http.host")
    return method, target, version, headers
