"""The receiver answers as the real Logplex did: requests that were sent to both."""

from __future__ import annotations

import gzip
import socket
import zlib
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from tests.testing.wire import ALL, LINES, WIRE, address, basic, frame, sized

TWO = frame("foo") + frame("bar")
KEPT, CLOSED = True, False


@dataclass(frozen=True)
class Row:
    """A request, the status of its answer, the texts that are routed, and what becomes of it."""

    status: int
    texts: list[str] = field(default_factory=list)
    connection: bool = KEPT
    body: bytes = LINES
    line: str = "POST /logs HTTP/1.1"
    # Headers that differ from those of a good request; None leaves one out.
    changes: dict[str, str | None] = field(default_factory=dict)
    # Headers that stand behind the others, as they are sent.
    more: str = ""


def _coded(coder, newline):
    """Some lines, compressed so that a byte 0x0A is among the bytes, or none is."""
    for number in range(1_000):
        coded = coder(frame("x" * number + str(number * 7919)))
        if (b"\n" in coded) == newline:
            return coded
    raise AssertionError(newline)


def _gzip(body):
    return gzip.compress(body, mtime=0)


CODED = {
    f"{name or 'undeclared'}, {'with' if newline else 'without'} 0x0A": Row(
        400 if newline else 204,
        body=_coded(coder, newline),
        changes={"Content-Encoding": name},
    )
    for name, coder in {
        None: _gzip,
        "deflate": zlib.compress,
        "x-gzip": _gzip,
        "gzip, gzip": lambda body: _gzip(_gzip(body)),
        "GZIP": _gzip,
    }.items()
    for newline in (False, True)
}
NOT_GZIP = {
    "plain": LINES,
    "cut": _gzip(LINES)[:-9],
    "junk behind it": _gzip(LINES) + b"junk",
    "zlib": zlib.compress(LINES),
}
BESIDE = {
    **CODED,
    **{
        f"gzip that is {name}": Row(400, body=body, changes={"Content-Encoding": "gzip"})
        for name, body in NOT_GZIP.items()
    },
    "br with a plain body": Row(204, ALL, changes={"Content-Encoding": "br"}),
    "count +2": Row(204, ["foo", "bar"], body=TWO, changes={"Logplex-Msg-Count": "+2"}),
    "count with a space": Row(400, body=TWO, changes={"Logplex-Msg-Count": "2 "}),
    "counts 2 and 3": Row(204, ["foo", "bar"], body=TWO,
                          changes={"Logplex-Msg-Count": "2"}, more="Logplex-Msg-Count: 3\r\n"),
    "x-logplex-1": Row(204, ALL, changes={"Content-Type": "application/x-logplex-1"}),
    "type with a space": Row(415, changes={"Content-Type": "application/logplex-1 "}),
    "Basic and two spaces": Row(204, ALL, changes={"Authorization": "two spaces"}),
    **{
        method: Row(405, line=f"{method} /logs HTTP/1.1")
        for method in ("GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH")
    },
    **{
        path: Row(204, ALL, line=f"POST {path} HTTP/1.1")
        for path in ("/logs/", "/logs#a", "/%6cogs", "/logs?a=b", "http://logplex/logs")
    },
    **{
        path: Row(404, line=f"POST {path} HTTP/1.1")
        for path in ("/", "/log", "//logs", "/logs//", "/logs/a", "/logs%2f", "*", "http://logs")
    },
    "/healthcheck": Row(200, line="POST /healthcheck HTTP/1.1"),
    **{
        f"Accept: {accept}": Row(406, changes={"Accept": accept})
        for accept in ("application/json", "text/html", "application/logplex-1")
    },
    **{
        f"Accept: {accept}": Row(204, ALL, changes={"Accept": accept})
        for accept in ("*/*", "text/plain", "text/html, text/*;q=0.5")
    },
    "no Host": Row(400, connection=CLOSED, changes={"Host": None}),
    "no Host in HTTP/1.0": Row(204, ALL, CLOSED, line="POST /logs HTTP/1.0",
                               changes={"Host": None}),
    "a header of 4,096 bytes": Row(204, ALL, changes={"X-Long": "x" * 4096}),
    "a header of 5,000 bytes": Row(400, connection=CLOSED, changes={"X-Long": "x" * 5000}),
    "a line of 5,000 bytes": Row(414, connection=CLOSED,
                                 line=f"POST /logs?{'x' * 5000} HTTP/1.1"),
    "length x": Row(500, connection=CLOSED, changes={"Content-Length": "x"}),
    "length -1": Row(500, connection=CLOSED, changes={"Content-Length": "-1"}),
    "HTTP/2.0": Row(505, connection=CLOSED, line="POST /logs HTTP/2.0"),
    "over 8,000,000 bytes": Row(500, connection=CLOSED, body=sized(10_000) * 800),
}  # fmt: skip
# The rows of the first table, of which only bad credentials close the connection.
FIRST = {
    name: Row(status, texts, status != 500, body,
              changes={key.replace("_", "-"): value for key, value in changes.items()})
    for name, (body, changes, status, texts) in WIRE.items()
}  # fmt: skip


def sent(row, token):
    """The bytes of a row's request."""
    headers = {
        "Host": "logplex",
        "Authorization": basic(f"token:{token}"),
        "Content-Type": "application/logplex-1",
        "Content-Length": str(len(row.body)),
        **row.changes,
    }
    if headers["Authorization"] == "two spaces":
        headers["Authorization"] = basic(f"token:{token}").replace(" ", "  ")
    head = "".join(f"{key}: {value}\r\n" for key, value in headers.items() if value is not None)
    return f"{row.line}\r\n{head}{row.more}\r\n".encode() + row.body


def answers(logplex, requests):
    """Send requests on one connection, the next after an answer; the statuses until it ends."""
    found = []
    with socket.create_connection(address(logplex), timeout=100) as client:
        reader = client.makefile("rb")
        for request in requests:
            # The receiver may answer, and close, before it has read the whole body.
            with suppress(ConnectionError):
                client.sendall(request)
            try:
                status = reader.readline()
            except ConnectionError:
                break
            if not status:
                break
            headers = dict(line.decode().lower().rstrip().split(": ", 1)
                           for line in iter(reader.readline, b"\r\n"))  # fmt: skip
            reader.read(int(headers.get("content-length", 0)))
            found.append((int(status.split()[1]), headers["connection"] != "close"))
    return found


@pytest.mark.parametrize("name", [*FIRST, *BESIDE])
def test_the_answer_is_that_of_logplex(logplex, name):
    """Its status, what is routed, and whether the connection can be used again."""
    row = (FIRST | BESIDE)[name]
    again = Row(204)
    found = answers(logplex, [sent(one, logplex.token) for one in (row, again)])
    if row.status == 500 and len(row.body) > 8_000_000:
        # The client may see only the reset.
        assert logplex.requests[0].status == 500
        assert logplex.lines == ()
        return
    assert found[0] == (row.status, row.connection)
    assert logplex.requests[0].status == row.status
    ignored = name == "neither length nor chunked"
    if row.connection and not ignored:
        assert found[1] == (204, KEPT)
        assert [line.text for line in logplex.lines] == [*row.texts, *ALL]
    else:
        assert [line.text for line in logplex.lines] == row.texts


EXPLAINED = {
    "GET": ("http.method", "405"),
    "Accept: application/json": ("http.accept", "text/plain"),
    "no Host": ("http.host", "Host"),
    "a header of 5,000 bytes": ("http.header-size", "4,096"),
    "a line of 5,000 bytes": ("http.header-size", "4,096"),
    "HTTP/2.0": ("http.version", "HTTP/1.1"),
    "length x": ("http.length", "Content-Length"),
    "undeclared, without 0x0A": ("http.gzip-unnamed", "Content-Encoding"),
    "undeclared, with 0x0A": ("http.gzip-unnamed", "400"),
    "GZIP, without 0x0A": ("http.encoding", "lower case"),
    "deflate, with 0x0A": ("http.encoding", "400"),
    "br with a plain body": ("http.encoding", "as it is"),
    "gzip that is cut": ("http.gzip", "400"),
    "count with a space": ("http.count", "a space"),
    "count empty": ("http.count", "not a whole number"),
    "count too small": ("http.count", "2, but the body has 3 frames"),
    "type with a space": ("http.type", "a space"),
    "charset": ("http.type", "parameter"),
    "other case": ("http.type", "upper and lower case"),
    "no type": ("http.type", "missing"),
    "/log": ("http.path", "/logs"),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_refusal_is_explained_in_words(logplex, name):
    """What was found, what comes of it and what to do, without the token."""
    rule, words = EXPLAINED[name]
    answers(logplex, [sent((FIRST | BESIDE)[name], logplex.token)])
    found = {violation.rule: violation for violation in logplex.violations}
    assert rule in found
    assert words in found[rule].explained
    assert logplex.token not in found[rule].explained


def test_a_health_check_is_no_mistake(logplex):
    """Load balancers send them without any of the headers."""
    answers(logplex, [b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert logplex.violations == ()


@pytest.mark.parametrize("line", ["GET /logs HTTP/1.1", "POST /favicon.ico HTTP/1.1"])
def test_a_request_that_is_no_batch_is_one_mistake(logplex, line):
    """A browser's has no credentials and no frame id either, which would only confuse."""
    answers(logplex, [f"{line}\r\nHost: x\r\n\r\n".encode()])
    assert len(logplex.violations) == 1
