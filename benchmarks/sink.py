"""A receiver in its own process that counts records, and costs less than the handlers it measures.

Prints its URL. For each line of standard input, prints the counts since the last line; ends with
its input. It recognizes a record by `order NUMBER`, which all formats contain: packets, JSON,
msgpack and protobuf. Of packets, it also counts those without, since each is a line.
"""

from __future__ import annotations

import io
import json
import re
import socket
import sys
import threading
import time
import zlib
from contextlib import suppress

MODES = ("fast", "slow", "hang", "dead")
SLOW = 2.0  # seconds

_NUMBERED = re.compile(rb"order (\d*)")
# In a line, a logger's name may end with the word.
_NUMBERED_LINE = re.compile(rb"order (\d+)")
# The parts of a long line after the first one.
_LATER_PART = re.compile(rb" part=(?!1/)\d+/\d+ ")
_LOGPLEX = b"HTTP/1.1 204 No Content\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Tally:
    """The records that arrived, and how often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        # Whether each record arrived, by number.
        self._seen = bytearray(100_000)
        self._found = self._unnumbered = self._requests = 0
        self._cpu = time.process_time()

    def add(self, body: bytes, *, is_lines: bool = False) -> None:
        found = _numbers_of_lines(body) if is_lines else _NUMBERED.findall(body)
        with self._lock:
            seen = self._seen
            for number in found:
                if not number:
                    self._unnumbered += 1
                    continue
                i = int(number)
                if i >= len(seen):
                    seen.extend(bytes(i + 1))
                seen[i] = 1
            self._found += len(found)
            self._requests += 1

    def take(self) -> dict[str, float]:
        """Return the counts since the last call."""
        with self._lock:
            distinct = self._seen.count(1)
            counted = {
                "distinct": distinct,
                "unnumbered": self._unnumbered,
                "repeated": self._found - self._unnumbered - distinct,
                "requests": self._requests,
                "sink_cpu": time.process_time() - self._cpu,
            }
            self._begin()
        return counted


def _numbers_of_lines(body: bytes) -> list[bytes]:
    """Return the number of each record, or empty for a record without one."""
    lines = body.split(b"\n")[:-1]
    if _LATER_PART.search(body):
        lines = [line for line in lines if not _LATER_PART.search(line)]
    return [found[1] if (found := _NUMBERED_LINE.search(line)) else b"" for line in lines]


def _headers(stream: io.BufferedIOBase) -> dict[bytes, bytes] | None:
    if not stream.readline():
        return None
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers


def _body(stream: io.BufferedIOBase, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding", b"").lower() != b"chunked":
        body = stream.read(int(headers.get(b"content-length", 0)))
    else:
        pieces = []
        while size := int(stream.readline().split(b";")[0], 16):
            pieces.append(stream.read(size))
            stream.readline()
        stream.readline()
        body = b"".join(pieces)
    if headers.get(b"content-encoding") in (b"gzip", b"deflate"):
        body = zlib.decompress(body, 47)
    return body


def _serve(connection: socket.socket, tally: Tally, wait: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = io.BufferedReader(socket.SocketIO(connection, "r"), 1 << 18)
    with connection, stream, suppress(OSError):
        while headers := _headers(stream):
            if headers.get(b"expect", b"").lower() == b"100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            is_logplex = headers.get(b"content-type") == b"application/logplex-1"
            tally.add(_body(stream, headers), is_lines=is_logplex)
            time.sleep(wait)
            connection.sendall(_LOGPLEX if is_logplex else _JSON)


def _accept(listener: socket.socket, tally: Tally, mode: str) -> None:
    silent = []
    while True:
        connection, _ = listener.accept()
        if mode == "hang":
            silent.append(connection)
            continue
        wait = SLOW if mode == "slow" else 0.0
        threading.Thread(target=_serve, args=(connection, tally, wait), daemon=True).start()


def main() -> None:
    mode = sys.argv[1]
    tally = Tally()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    if mode != "dead":
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener, tally, mode), daemon=True).start()
    # A bound port without a listener refuses connections, and no other process can take it.
    print(f"http://token:t.benchmark@127.0.0.1:{listener.getsockname()[1]}/logs", flush=True)
    for _ in sys.stdin:
        print(json.dumps(tally.take()), flush=True)


if __name__ == "__main__":
    main()
