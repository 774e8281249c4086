"""A receiver that is sent what nobody should send: its memory and its time have bounds."""

from __future__ import annotations

import base64
import gzip
import json
import socket

import pytest
import requests

from logplex_handler.receiver._feed import Arrived, Feed, Seen
from logplex_handler.receiver._record import Recorder, read
from logplex_handler.receiver._store import Store
from logplex_handler.testing import LogplexReceiver
from logplex_handler.testing._conventions import text_violations
from logplex_handler.testing._parse import MAX_FRAMES
from tests.logs import wait_until
from tests.receiver.page import body, shown

TOKEN = "t.a-token-of-production"


def post(url, data, count, token=TOKEN, **headers):
    given = {"Content-Type": "application/logplex-1", "Logplex-Msg-Count": str(count)}
    return requests.post(
        url.replace("token:", "x:", 1),
        data=data,
        headers=given | {name.replace("_", "-"): value for name, value in headers.items()},
        auth=("token", token),
        timeout=20,
    )


@pytest.fixture
def recorded(tmp_path):
    """A receiver that lets this token in, and what it has recorded."""
    recorder = Recorder(tmp_path / "record")
    with LogplexReceiver(tokens=[TOKEN], on_arrival=Feed([recorder])) as receiver:
        yield receiver, lambda: [one.body for one in read(tmp_path / "record")]
    recorder.close()


def with_token(text="a=1"):
    """A good frame whose appname is the token."""
    packet = body(text).partition(b" ")[2].replace(b" app ", f" {TOKEN} ".encode())
    return b"%d %b" % (len(packet), packet)


def test_a_token_that_was_compressed_is_in_no_record(recorded):
    """It is written over inside; the octet counts stay right."""
    receiver, bodies = recorded
    post(receiver.url, gzip.compress(with_token()), 1, Content_Encoding="gzip")
    post(receiver.url, gzip.compress(body("no token")), 1, Content_Encoding="gzip")
    hidden, other = (gzip.decompress(one) for one in bodies())
    assert hidden == with_token().replace(TOKEN.encode(), b"x" * len(TOKEN))
    assert other == body("no token")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/logs", {}, 401),
        ("/other", {}, 404),
        ("/logs", {"Content_Type": "text/plain"}, 415),
        ("/logs", {"Content_Encoding": "gzip"}, 500),
        ("/logs", {"Logplex_Msg_Count": "7"}, 400),
    ],
)
def test_a_token_of_a_request_that_was_refused_is_in_no_record(recorded, path, headers, status):
    """It may be a good one that was sent to the wrong place."""
    receiver, bodies = recorded
    if status == 401:
        receiver.tokens = ("t.another-that-is-let-in",)
    url = receiver.url.replace("/logs", path)
    assert post(url, with_token(), 1, **headers).status_code == status
    (recorded_body,) = bodies()
    assert TOKEN.encode() not in recorded_body
    assert b"a=1" in recorded_body


def test_a_number_that_no_float_holds_does_not_stop_the_page():
    """What the page reads is JSON, which has no infinity."""
    with shown() as one:
        one.send(f"sample#x={'9' * 400}", "sample#x=4")
        _, items = one.store.since(0)
        assert json.loads(json.dumps(items, allow_nan=False))[1]["m"][0][2] == 4.0
        assert items[0]["w"] == 1


def test_frames_of_a_byte_each_are_not_read_without_end():
    """Eight million bytes of them would be gigabytes of lines."""
    with LogplexReceiver() as receiver:
        count = 2_000_000
        answer = post(receiver.url, b"1 a" * count, count, token=receiver.token)
        assert answer.status_code == 400
        assert receiver.lines == ()
        assert receiver.requests[0].frames == MAX_FRAMES
        assert f"more than {MAX_FRAMES:,} frames" in " ".join(receiver.violations)


def test_names_of_many_streams_are_told_apart():
    """None takes longer than the first: all of these would take minutes if each looked at all."""
    feed = Feed([])
    for number in range(100_000):
        assert feed._name("t.one", f"h{number}") == f"h{number}"
    assert feed._name("t.two", "h1") == "h1", "so many names are kept"
    assert feed._name("t.one", "h1") == "h1"


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


def test_the_page_keeps_so_many_bytes_at_most():
    """Of lines as long as packets can be there are fewer."""
    with LogplexReceiver() as receiver:
        post(receiver.url, b"".join(body("x" * 9_000) for _ in range(100)), 100, receiver.token)
        lines = tuple(Seen(line, "shop", ()) for line in receiver.lines)
        request = receiver.requests[0]
    store = Store(100_000, max_bytes=1_000_000)
    for _ in range(20):
        store.add(Arrived(request, "shop", lines, ()))
    first, items = store.since(0)
    assert 50 <= len(items) <= 112
    assert first + len(items) == 20 * 101


def test_the_page_keeps_no_bodies():
    """Requests without a line are kept as long as lines, and may have eight million bytes."""
    with shown() as one:
        one.post(b"10000000 " + b"x" * 1_000_000, 1)
        _, (item,) = one.store.since(0)
        assert item["q"]["bytes"] == 1_000_009
        assert len(json.dumps(item)) < 2_000


def test_more_pages_than_anybody_opens_are_refused(monkeypatch):
    """Each has all lines written for it; the place of one that is closed is free again."""
    monkeypatch.setattr("logplex_handler.receiver._page._MOST_PAGES", 2)
    with shown() as one:
        one.send("a=1")
        host = f"127.0.0.1:{one.page.port}"

        def opened():
            page = socket.create_connection(("127.0.0.1", one.page.port), timeout=5)
            page.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return page, page.recv(100).split(b"\r\n")[0]

        pages = [opened(), opened()]
        assert [status for _, status in pages] == [b"HTTP/1.1 200 OK"] * 2
        page, status = opened()
        page.close()
        assert status == b"HTTP/1.1 503 Service Unavailable"
        pages[0][0].close()

        statuses = []

        def is_let_in():
            page, status = opened()
            page.close()
            statuses.append(status)
            return b"HTTP/1.1 200 OK" in statuses

        assert wait_until(is_let_in)
        pages[1][0].close()


def test_credentials_that_cannot_be_read_are_no_trouble(recorded):
    """Whatever stands in the header."""
    receiver, _ = recorded
    for value in ("", "Basic", "Basic \xff", "Basic " + base64.b64encode(b"\xff").decode(), "x y"):
        head = f"POST /logs HTTP/1.1\r\nAuthorization: {value}\r\nContent-Length: 1\r\n"
        port = int(receiver.url.split(":")[-1].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sender:
            sender.sendall(head.encode("latin-1") + b"Connection: close\r\n\r\nx")
            assert sender.recv(100)[9:12] in (b"401", b"500")


def test_an_empty_token_is_none():
    """Not even where any is let in."""
    with LogplexReceiver(any_token=True) as receiver:
        assert post(receiver.url, body("a=1"), 1, token="").status_code == 401
        assert post(receiver.url, body("a=1"), 1, token="x").status_code == 204
    with pytest.raises(ValueError, match="printable"):
        LogplexReceiver(tokens=["t.one", ""])


def test_a_page_may_say_that_it_saw_anything():
    """It begins anew then."""
    with shown() as one:
        one.send("a=1")
        for number in ("\xb2", "9" * 5_000, "-1", ""):
            seen = f"{one.store.run}:{number}".encode("latin-1")
            with requests.get(
                f"{one.page.url}api/events",
                headers={"Last-Event-ID": seen},
                stream=True,
                timeout=5,
            ) as answer:
                assert answer.status_code == 200
                assert any(b"a=1" in line for line in answer.iter_lines())
