"""Input that means harm: no exception, nothing forged, no time and no memory without bound."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import LogplexHandler
from logplex_handler._transport.answer import retry_after
from logplex_handler.testing import LogplexReceiver
from logplex_handler.testing._conversation import Conversation, Headers, HttpRequest, Refused
from logplex_handler.testing._pairs import parse_pairs
from logplex_handler.testing._parse import Malformed
from logplex_handler.testing._rules import as_shown, judge
from tests.fuzz.targets import TARGETS
from tests.logs import logging_to
from tests.servers import accept, serving

# Bytes that mean something to one of the targets, and any others.
_PIECES = [
    *[b"\r\n", b"\n", b" ", b"=", b'"', b"\\", b"%s", b"%(a)s", b"%", b"\xfe", b"\0", b"\x1b["],
    *[
        b"count#x=5",
        b"measure#x=1ms",
        b"source=evil",
        b"level=info",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
    ],
    *[b"POST /logs HTTP/1.1\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"],
    *[
        b"Authorization: Basic eA==\r\n",
        b"\r\n\r\n",
        b"ffffffff\r\n",
        b"-5",
        b"99999999999999999999",
    ],
    *[b"Logplex-Msg-Count: 1\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"62 <190>1 "],
    *[
        b"2013-03-27T20:02:24.000000+00:00 h app p - - ",
        b"https://",
        b"@",
        b":",
        b"[::1]",
        b"#",
        b"?",
    ],
    *[b"\x1f\x8b\x08\0", b"Fri, 31 Dec 9999 23:59:59 GMT"],
]
HOSTILE = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=20), max_size=20).map(b"".join)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_too_hostile(name):
    """What `tests/fuzz` looks for by coverage, with what hypothesis thinks of."""
    target = TARGETS[name]

    @settings(max_examples=300)
    @given(HOSTILE)
    def check(data):
        target(data)

    check()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1\r\nX-Two: 2"},
        {"X-One": "1\nX-Two: 2"},
        {"X-One": "1\r"},
        {"X-One\r\nX-Two": "2"},
        {"X-One": "1\x00"},
        {"X-One": "\u010d\u010a"},
        {"X-One: 1\r\nX-Two": "2"},
    ],
    ids=repr,
)
def test_no_header_option_can_hold_a_line_break(headers):
    """It would forge a header, or a whole request; the error names the option."""
    with pytest.raises(ValueError, match=r"^headers: "):
        LogplexHandler("http://token:t@127.0.0.1:1", headers=headers)
    with pytest.raises(ValueError, match=r"^user_agent: "):
        LogplexHandler("http://token:t@127.0.0.1:1", user_agent="x\r\nX-Two: 2")


@settings(max_examples=25)
@given(st.text(max_size=30), st.text(max_size=30))
def test_headers_that_are_taken_arrive_as_they_are(name, value):
    """On the wire there are those that were given, and the handler's own."""
    with serving(accept) as server:
        try:
            context = logging_to(server.url, headers={f"X-{name}": value}, flush_interval=0)
            with context as (logger, handler):
                logger.info("line")
                assert handler.flush()
        except ValueError:
            return
        (request,) = server.received
    own = {"host", "authorization", "content-type", "content-length", "user-agent", "accept"}
    own |= {"logplex-msg-count", "logplex-frame-id", "accept-encoding", "connection"}
    assert set(request.headers) - own == {f"x-{name}".lower()}


# Time: what is sixteen times as long takes about sixteen times as long.

_LONG = {
    "pairs": lambda n: parse_pairs('a="' + "\\" * n),
    "keys": lambda n: parse_pairs("a" * n),
    "escapes": lambda n: parse_pairs('a="' + "\\n" * n),
    "a packet": lambda n: as_shown(b"<1>1 " + b"a [" * n, "t"),
    "structured data": lambda n: as_shown(b"<1>1 a b c d e [" + b"]" * n, "t"),
    "spaces": lambda n: as_shown(b"<1>" + b" " * n, "t"),
    "Retry-After": lambda n: retry_after("," * n, 0),
    "Retry-After in digits": lambda n: retry_after("9" * n, 0),
    "a header option": lambda n: _refused(headers={"X": "a " * n + "\n"}),
    "a URL": lambda n: _refused(url="https://token:t@" + "a." * n),
    "a user": lambda n: _refused(url="https://" + "%41" * n + "\x00:t@host"),
}


def _refused(**options):
    try:
        LogplexHandler(**{"url": "http://token:t@127.0.0.1:1", **options})
    except ValueError:
        return


@pytest.mark.parametrize("name", _LONG)
def test_time_is_in_proportion_to_the_length(name):
    """Regular expressions included, for what they like least."""

    def seconds(n):
        fastest = float("inf")
        for _ in range(3):
            started = time.process_time()
            with suppress(Malformed):
                _LONG[name](n)
            fastest = min(fastest, time.process_time() - started)
        return fastest

    n = 1_000
    while seconds(n) < 0.001 and n < 200_000:
        n *= 2
    # What grows with the square would be at 256.
    assert seconds(16 * n) < 100 * max(seconds(n), 0.001)


# Memory.


def test_a_body_that_grows_when_it_is_decompressed_is_not_read_to_its_end():
    """A megabyte of gzip may be a gigabyte of zeros."""
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=9)
    headers = Headers({"Content-Length": str(len(bomb)), "Content-Encoding": "gzip"})
    tracemalloc.start()
    verdict = judge(HttpRequest("POST", "/logs", "HTTP/1.1", headers, bomb), [], strict=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 180 * 1024 * 1024
    assert verdict.frames == []
    assert any("when it is decompressed" in violation for violation in verdict.violations)


@pytest.mark.parametrize(
    "endless", [b"f" * 4096, b"0\r\n" + b"x: y\r\n" * 700], ids=["line", "end"]
)
def test_a_chunk_without_end_is_refused(endless):
    """The line before a chunk, and what follows the last one."""
    head = b"POST /logs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with LogplexReceiver() as logplex:
        port = int(logplex.url.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(head + endless)
            rest = endless.removeprefix(b"0\r\n")
            with pytest.raises(OSError, match=r"."):  # noqa: PT012 (which one fails is left open)
                for _ in range(1_000):
                    client.sendall(rest)
                    time.sleep(0.001)
        assert logplex.requests[-1].status == 400


def test_a_conversation_without_a_request_ends():
    """Nothing but what may come before one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\r\n" * 10_000 + b"x" * 70_000)
        with pytest.raises(Refused, match="too long"):
            Conversation(ours, 1.0).read()
