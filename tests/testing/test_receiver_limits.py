"""Oversized or unreadable requests take bounded memory and time."""

from __future__ import annotations

import gzip
import socket
import sys
import time
import tracemalloc
from decimal import Decimal

import pytest

from logplex_handler.testing import LogplexReceiver, Metric, _behaviour
from logplex_handler.testing._behaviour import Tokens
from logplex_handler.testing._http_connection import (
    HttpConnection,
    HttpRequest,
    UnreadableRequest,
)
from logplex_handler.testing._journal import Journal
from logplex_handler.testing._verdict import judge
from logplex_handler.testing.conventions import MetricUnits, text_violations
from logplex_handler.testing.wire_parser import MAX_FRAMES
from tests.receiver.page import body
from tests.receiver.posts import post


def test_a_body_that_grows_when_it_is_decompressed_is_not_read_to_its_end():
    """A megabyte of gzip may be a gigabyte of zeros."""
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=1)
    headers = {"Content-Length": str(len(bomb)), "Content-Encoding": "gzip"}
    tracemalloc.start()
    verdict = judge(
        HttpRequest("POST", "/logs", "HTTP/1.1", headers, bomb), [].__contains__, strict=True
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 180 * 1024 * 1024
    assert verdict.frames == []
    assert any("when it is decompressed" in violation for violation in verdict.violations)


@pytest.mark.parametrize(
    "endless", [b"f" * 4096, b"0\r\n" + b"x: y\r\n" * 700], ids=["line", "end"]
)
def test_a_chunk_without_end_is_refused(endless):
    """The line before a chunk, and the trailer after the last one."""
    head = b"POST /logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with LogplexReceiver() as logplex:
        port = int(logplex.url.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), 100) as client:
            client.sendall(head + endless)
            rest = endless.removeprefix(b"0\r\n")
            with pytest.raises(OSError, match=r"."):  # noqa: PT012 (which one fails is left open)
                while True:
                    client.sendall(rest)
                    time.sleep(0.001)
        assert logplex.requests[-1].status == 400


def test_a_conversation_without_a_request_ends():
    """Endless blank lines before a request."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\r\n" * 10_000 + b"x" * 70_000)
        with pytest.raises(UnreadableRequest, match="too long"):
            HttpConnection(ours, 1.0).read()


def test_frames_of_a_byte_each_are_not_read_without_end():
    """Eight million bytes of them would be gigabytes of lines."""
    with LogplexReceiver() as receiver:
        count = 2_000_000
        answer = post(receiver.url, b"1 a" * count, count, token=receiver.token)
        assert answer.status_code == 400
        assert receiver.lines == ()
        assert receiver.requests[0].frames == MAX_FRAMES
        assert f"more than {MAX_FRAMES:,} frames" in " ".join(receiver.violations)


def test_a_text_full_of_beginnings_of_metrics_is_read_once():
    """From each of them to the end again, it would take minutes."""
    assert list(text_violations('msg="a ' + "count#" * 200_000 + '"')) == []


def test_a_line_in_which_everything_is_wrong_is_told_in_part():
    """A thousand explanations of one line would hide all others."""
    with LogplexReceiver() as receiver:
        post(receiver.url, body("free " + "count#a=x " * 900), 1, token=receiver.token)
        told = receiver.lines[0].violations
    assert len(told) == 21
    assert told[-1].rule == "frame.more"


def test_what_is_remembered_of_a_hostile_sender_is_bounded(monkeypatch):
    """Neither tokens nor frame ids nor names of kilobytes are kept, however many come."""
    monkeypatch.setattr(_behaviour, "_MAX_TOKENS", 3)
    tokens, journal, units = Tokens(None, any_token=True), Journal(lambda *_: None), MetricUnits()
    texts = [f"{number}{'x' * 4_000}" for number in range(5)]
    before = [*map(sys.getrefcount, texts)]
    for text in texts:
        assert tokens.accepts(text)
        assert journal.frame_id_use(text, text, [b"a"]) == "first"
        assert journal.frame_id_use(text, text, [b"a"]) == "retry"
        assert journal.frame_id_use(text, text, [b"b"]) == "reused"
        long = [Metric("count", text, Decimal(1), "ms"), Metric("count", text, Decimal(1), "s")]
        assert list(units.violations(long)) == []
    tokens.rotate()
    del text, long
    assert [*map(sys.getrefcount, texts)] == before
    # The last three were remembered, and are no longer accepted.
    assert [tokens.accepts(text) for text in texts] == [True, True, False, False, False]


def test_an_empty_token_is_none():
    """Not even where any is let in."""
    with LogplexReceiver(any_token=True) as receiver:
        assert post(receiver.url, body("a=1"), 1, token="").status_code == 401
        assert post(receiver.url, body("a=1"), 1, token="x").status_code == 204
    with pytest.raises(ValueError, match="printable"):
        LogplexReceiver(tokens=["t.one", ""])
