"""Oversized or unreadable requests take bounded memory and time."""

from __future__ import annotations

import gzip
import io
import socket
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from unittest import mock

import pytest

from logplex_handler.receiver.feed import Feed
from logplex_handler.receiver.printer import Printer
from logplex_handler.receiver.style import Style
from logplex_handler.receiver.terminal import Filter, Terminal
from logplex_handler.testing import LogplexReceiver, Metric, _behaviour, _receiver
from logplex_handler.testing._behaviour import Tokens
from logplex_handler.testing._http_connection import (
    HttpConnection,
    HttpRequest,
    UnreadableRequest,
)
from logplex_handler.testing._journal import Journal
from logplex_handler.testing._verdict import judge
from logplex_handler.testing.conventions import MetricUnits, text_violations
from logplex_handler.testing.request_body import decompress
from logplex_handler.testing.wire_parser import MAX_FRAMES
from tests.logs import wait_until
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


def test_a_body_of_many_compressed_members_is_read():
    """What is left behind each is not copied to its end, and zeros may be between them."""
    member, empty = gzip.compress(b"1 a", mtime=0), gzip.compress(b"", mtime=0)
    assert decompress(b"") == b""
    assert decompress(member + b"\0" * 3_000 + member) == b"1 a1 a"
    assert decompress((empty * 100 + member) * 100) == b"1 a" * 100
    for wrong in (member + b"x", member[:-1], member + empty[:5], b"x", member[:-5] + b"xxxxx"):
        assert decompress(wrong) is None

    class Copied(bytes):
        total = 0

        def __getitem__(self, place):
            found = super().__getitem__(place)
            Copied.total += len(found)
            return found

    decompress(Copied(empty * 10_000))
    assert Copied.total < 1_200 * 10_000


def test_few_requests_are_judged_at_the_same_time():
    """Each may need much memory. The others wait, and are answered."""
    come, inside, crowds = [], [], []

    class Judging(threading.BoundedSemaphore):
        def __enter__(self):
            come.append(None)
            return super().__enter__()

    def judged(*arguments, **options):
        inside.append(None)
        # The first ones wait until all others would be judged, too.
        crowds.append(len(inside) if wait_until(lambda: len(come) == 12) else None)
        inside.pop()
        return judge(*arguments, **options)

    with (
        mock.patch.object(_receiver, "judge", judged),
        LogplexReceiver() as receiver,
        ThreadPoolExecutor(12) as senders,
    ):
        receiver._judging = Judging(_receiver._MAX_AT_ONCE)
        send = partial(post, receiver.url, body("a=1"), 1, token=receiver.token)
        answers = [senders.submit(send) for _ in range(12)]
        assert {answer.result(100).status_code for answer in answers} == {204}
    assert len(crowds) == 12
    assert max(crowds) <= 4


def test_a_client_that_sends_single_bytes_has_each_searched_once():
    """From the beginning again, 64 kB of headers would take seconds."""

    class Searched(bytearray):
        bytes = 0

        def find(self, sought, start=0):
            Searched.bytes += len(self) - start
            return super().find(sought, start)

    ours, theirs = socket.socketpair()
    sent = b"POST /logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX: "
    sent += b"x" * 2_000 + b"\r\n\r\n" + b"1;" + b"y" * 2_000 + b"\r\nz\r\n0\r\n\r\n"
    single = iter([sent[place : place + 1] for place in range(len(sent))])

    class Slow:
        settimeout = ours.settimeout

        def recv(self, _size):
            return next(single)

    with ours, theirs:
        connection = HttpConnection(Slow(), 100.0)  # type: ignore[arg-type]
        connection._buffer = Searched()
        request = connection.read()
    assert request is not None
    assert request.body == b"z"
    assert Searched.bytes < 6 * len(sent)


def test_a_line_with_many_units_is_told_in_part():
    """And a unit of megabytes is not told whole."""
    shown = []
    feed = Feed([lambda received: shown.extend(received.lines)])
    with LogplexReceiver(on_arrival=feed) as receiver:
        texts = ["count#a=1s " * 900, "count#a=1m " * 800, f"count#a=1{'x' * 9_000}"]
        for text in texts:
            post(receiver.url, body(text.strip()), 1, token=receiver.token)
    assert [len(line.violations) for line in shown] == [0, 21, 1]
    assert shown[1].violations[-1].rule == "frame.more"
    assert len(shown[2].violations[0]) < 200


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


def test_names_of_kilobytes_are_not_kept():
    """A malformed packet may have a hostname, an app and a process of thousands of characters."""
    shown = []
    output = io.StringIO()
    terminal = Terminal(Style(output), Filter(), printer=Printer(lambda: output))
    feed = Feed([lambda received: shown.extend(received.lines), terminal])
    with LogplexReceiver(on_arrival=feed) as receiver:
        for number in range(3):
            long = f"{number}{'x' * 3_000}".encode()
            packet = b"<190>1 time " + b" ".join([long, long, long]) + b" - - text\n"
            post(receiver.url, b"%d %b" % (len(packet), packet), 1, token=receiver.token)
    assert [len(line.stream) for line in shown] == [255] * 3
    assert terminal._heads == {}
    assert len(max(feed._names.values(), key=len)) == 255


def test_violations_of_a_request_are_explained_in_part():
    """Of 200,000 frames without a header, it would take a second for each kB of gzip."""
    output = io.StringIO()
    terminal = Terminal(Style(output), Filter(), printer=Printer(lambda: output))
    with LogplexReceiver(on_arrival=Feed([terminal])) as receiver:
        post(receiver.url, b"1 x" * 1_500, 1_500, token=receiver.token)
    lines = output.getvalue().splitlines()
    assert sum("priority must be" in line for line in lines) == 1_000
    assert "1,500 violations in these lines" in lines[-1]
    # With two of the request.
    assert terminal.violations == 1_502
