"""Valid and invalid requests to a receiver, as bytes."""

from __future__ import annotations

import base64
import gzip
import http.client
import socket
import zlib
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

HEADER = "<190>1 2013-03-27T20:02:24.000000+00:00 host app web.1 - - "


def frame(text, *, header=HEADER, end="\n", by=0):
    """One frame whose length is wrong by `by`."""
    packet = text if isinstance(text, bytes) else (header + text + end).encode()
    return b"%d %s" % (len(packet) + by, packet)


def bare(*texts):
    """A body of packets without newlines, as the documents show them."""
    return b"".join(frame(text, end="") for text in texts)


def sized(length):
    """A frame with a packet of so many bytes."""
    return frame("x" * (length - len(HEADER) - 1))


LARGE = "x" * (10240 - len(HEADER) - 1)


def basic(credentials):
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def address(logplex):
    url = urlsplit(logplex.url)
    return url.hostname, url.port


def connect(logplex):
    host, port = address(logplex)
    return closing(http.client.HTTPConnection(host, port, timeout=100))


def send(connection, logplex, body, **changes):
    """Post a good request with some headers changed, or left out where the value is None."""
    headers = {
        "Authorization": basic(f"token:{logplex.token}"),
        "Content_Type": "application/logplex-1",
        "Content_Length": str(len(body)),
        "Logplex_Frame_Id": f"id-{zlib.crc32(body)}",
        "User_Agent": "tests",
    } | changes
    connection.putrequest("POST", "/logs", skip_accept_encoding=True)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(body)
    response = connection.getresponse()
    response.read()
    return response


def post(logplex, body, **changes):
    with connect(logplex) as connection:
        return send(connection, logplex, body, **changes).status


def raw(logplex, data, *, then_close=False):
    """Send bytes on a connection of their own and return all that comes until it is closed."""
    with socket.create_connection(address(logplex), timeout=100) as sock:
        sock.sendall(data)
        if then_close:
            return b""
        return b"".join(iter(lambda: sock.recv(65536), b""))


THREE = bare("foo", "bar", "baz")
LINES = frame("foo") + frame("bar") + frame("baz")
CHUNKED = b"5\r\n" + THREE[:5] + b"\r\n" + b"%x;x=y\r\n" % (len(THREE) - 5) + THREE[5:]
CHUNKED += b"\r\n0\r\nTrailer: x\r\n\r\n"
# Always the same bytes: with the time of day among them, one may be a newline, which decides what
# becomes of a body that does not name its coding.
GZIPPED = gzip.compress(LINES, mtime=0)
UNCOUNTED = {"Logplex_Msg_Count": None}
COUNTED = {"Logplex_Msg_Count": "3"}
ALL = ["foo", "bar", "baz"]
WIRE: dict[str, tuple[bytes, dict[str, Any], int, list[str]]] = {
    "a good batch": (LINES, COUNTED, 204, ALL),
    "a good batch, not counted": (LINES, UNCOUNTED, 204, ALL),
    "count too small": (LINES, {"Logplex_Msg_Count": "2"}, 400, []),
    "count too large": (LINES, {"Logplex_Msg_Count": "4"}, 400, []),
    "count empty": (LINES, {"Logplex_Msg_Count": ""}, 400, []),
    "count no integer": (LINES, {"Logplex_Msg_Count": "3.0"}, 400, []),
    "length too small": (frame("foo", end="", by=-1) + bare("bar"), UNCOUNTED, 204, ["fo"]),
    "length too small, counted": (frame("foo", end="", by=-1) + THREE, COUNTED, 400, []),
    "length too small, newlines": (frame("foo", by=-1) + frame("bar"), UNCOUNTED, 400, []),
    "length too large": (frame("foo", end="", by=1) + bare("bar"), UNCOUNTED, 204, ["foo6", "<1"]),
    "length too large at the end": (bare("foo") + frame("bar", by=1), UNCOUNTED, 204, ["foo"]),
    "10,240 bytes": (sized(10240), {"Logplex_Msg_Count": "1"}, 204, [LARGE]),
    "10,241 bytes": (bare("foo", "x" * 10241, "bar"), UNCOUNTED, 204, ["foo"]),
    "10,241 bytes, counted": (bare("foo", "x" * 10241, "bar"), COUNTED, 400, []),
    "10,241 bytes, newline after": (bare("foo", "x" * 10241) + b"1 \n", UNCOUNTED, 400, []),
    "bytes between frames": (bare("foo") + b" " + bare("bar"), UNCOUNTED, 204, ["foo"]),
    "newline after the last": (bare("foo") + b"\n", UNCOUNTED, 400, []),
    "zero length": (bare("foo") + b"0 " + bare("bar"), UNCOUNTED, 204, ["foo"]),
    "leading zero": (bare("foo") + b"0" + bare("bar"), UNCOUNTED, 204, ["foo"]),
    "newline inside": (frame("fo\no"), UNCOUNTED, 204, ["fo\no"]),
    "carriage return": (frame("fo\ro"), UNCOUNTED, 204, ["fo\ro"]),
    "NUL and ESC": (frame("\0\x1b"), UNCOUNTED, 204, ["\0\x1b"]),
    "not UTF-8": (frame(HEADER.encode() + b"\xff\n"), UNCOUNTED, 204, ["\ufffd"]),
    "byte order mark": (frame("\ufefffoo"), UNCOUNTED, 204, ["\ufefffoo"]),
    "empty text": (frame(""), UNCOUNTED, 204, [""]),
    "no structured data": (frame("foo", header=HEADER[:-2]), UNCOUNTED, 204, ["foo"]),
    "garbage": (frame(b"garbage"), UNCOUNTED, 204, ["garbage"]),
    "charset": (LINES, {"Content_Type": "application/logplex-1; charset=utf-8"}, 415, []),
    "other case": (LINES, {"Content_Type": "application/Logplex-1"}, 415, []),
    "no type": (LINES, {"Content_Type": None}, 415, []),
    "no credentials": (LINES, {"Authorization": None}, 401, []),
    "unknown token": (LINES, {"Authorization": basic("token:t.other")}, 401, []),
    "not base64": (LINES, {"Authorization": "Basic ???"}, 500, []),
    "gzip": (GZIPPED, {"Content_Encoding": "gzip"} | COUNTED, 204, ALL),
    "gzip unnamed": (GZIPPED, UNCOUNTED, 204, []),
    "gzip in name only": (LINES, {"Content_Encoding": "gzip"}, 400, []),
    "ends inside a length": (LINES + b"12", UNCOUNTED, 204, ALL),
    "deflate": (zlib.compress(LINES), {"Content_Encoding": "deflate"}, 204, []),
    "chunked": (
        CHUNKED,
        {"Content_Length": None, "Transfer_Encoding": "chunked"} | COUNTED,
        204,
        ALL,
    ),
    "neither length nor chunked": (LINES, {"Content_Length": None}, 204, []),
}
