"""The lines that the page keeps: bounded in bytes, named by stream."""

from __future__ import annotations

import json
import sys

from logplex_handler.receiver.feed import Feed, ReceivedLine, ReceivedRequest
from logplex_handler.receiver.store import Store
from logplex_handler.testing import LogplexReceiver
from tests.receiver.page import body, shown
from tests.receiver.posts import post


def test_names_of_many_streams_are_told_apart():
    """None takes longer than the first: all of these would take minutes if each looked at all."""
    feed = Feed([])
    for number in range(100_000):
        assert feed._name("t.one", f"h{number}") == f"h{number}"
    assert feed._name("t.two", "h1") == "h1", "so many names are kept"
    assert feed._name("t.one", "h1") == "h1"


def test_no_text_of_a_token_is_kept_for_the_name():
    """A token may have kilobytes, and there may be many."""
    feed, token = Feed([]), "".join(["t."] * 1_000)
    before = sys.getrefcount(token)
    assert feed._name(token, "host") == feed._name(token, "host") == "host"
    assert sys.getrefcount(token) == before


def test_the_page_keeps_so_many_bytes_at_most():
    """Of lines as long as packets can be there are fewer."""
    with LogplexReceiver() as receiver:
        post(receiver.url, b"".join(body("x" * 9_000) for _ in range(100)), 100, receiver.token)
        lines = tuple(ReceivedLine(line, "shop", ()) for line in receiver.lines)
        request = receiver.requests[0]
    store = Store(100_000, max_bytes=1_000_000)
    for _ in range(20):
        store.add(ReceivedRequest(request, "shop", lines, ()))
    kept = store.end.number - store.dropped.number
    assert 50 <= kept <= 112
    assert sum(len(batch.lines) + 1 for batch in store.kept()) == kept
    assert store.end == (20 * 101, 20 * 100, 20)


def kept_of(text, headers=None, **limits):
    """How many of twenty requests with such a line are kept, and how many of these with a body."""
    with LogplexReceiver() as receiver:
        post(receiver.url, body(text), 1, receiver.token, **(headers or {}))
        (request,) = receiver.requests
        lines = tuple(ReceivedLine(line, "shop", *line.checked()) for line in receiver.lines)
    store = Store(100_000, **limits)
    for _ in range(20):
        store.add(ReceivedRequest(request, "shop", lines, ()))
    numbers = [batch.request for batch in store.kept()]
    return len(numbers), len([number for number in numbers if store.request(number)[1]])


def test_metrics_and_frame_ids_take_memory_too():
    """Each metric of nine bytes takes three hundred, and a frame id may have kilobytes."""
    assert kept_of("x" * 1_000, max_bytes=40_000) == (20, 20)
    assert kept_of(" ".join(["count#a=1"] * 100), max_bytes=40_000)[0] < 10
    long_id = {"Logplex_Frame_Id": "f" * 4_000}
    assert kept_of("x", long_id, max_bytes=40_000)[0] < 10


def test_headers_take_memory_too():
    """A request may have 65,536 bytes of them, and a body of a few."""
    assert kept_of("x", max_body_bytes=200_000) == (20, 20)
    headers = {f"X_{number}": "x" * 4_000 for number in range(15)}
    kept, with_body = kept_of("x", headers, max_body_bytes=200_000)
    assert kept == 20
    assert with_body < 4


def test_the_page_keeps_no_bodies():
    """Requests without a line are kept as long as lines, and may have eight million bytes."""
    with shown() as one:
        one.post(b"10000000 " + b"x" * 1_000_000, 1)
        (item,) = one.items()
        assert item["q"]["bytes"] == 1_000_009
        assert len(json.dumps(item)) < 2_000


LONG = ('level=info part=1/2 msg="a b"', 'level=info part=2/2 msg="c d" n=1')


def test_the_parts_of_a_long_line_are_one_line_with_its_parts():
    """The page shows the whole line, and each packet among its details."""
    with shown() as one:
        one.send(LONG[0])
        one.send("level=info msg=between")
        one.send(LONG[1])
        items = one.items()
        lines = [item for item in items if "x" in item]
        assert [line["x"] for line in lines] == [
            "level=info msg=between",
            'level=info msg="a bc d" n=1',
        ]
        assert [line.get("k") for line in lines] == [None, 2]
        known = one.store.details(lines[1]["n"])
        assert known["pairs"] == [["level", "info"], ["msg", "a bc d"], ["n", "1"]]
        assert known["parts"] == [*LONG]


def test_parts_that_wait_in_vain_are_shown_as_they_are():
    """Once none came for some seconds."""
    now = [0.0]
    received = []
    feed = Feed([received.append], clock=lambda: now[0])
    with LogplexReceiver(on_arrival=feed) as receiver:
        post(receiver.url, body(LONG[0]), 1, receiver.token)
        feed.give_up_parts()
        now[0] += 4
        feed.give_up_parts()
        # Another line is no part.
        post(receiver.url, body("msg=a"), 1, receiver.token)
        assert [len(request.lines) for request in received] == [0, 1]
        now[0] += 2
        feed.give_up_parts()
        (line,) = received[-1].lines
        assert (line.line.text, received[-1].request) == (LONG[0], None)
        post(receiver.url, body(LONG[1]), 1, receiver.token)
        (line,) = received[-1].lines
        assert line.line.text == LONG[1]


def test_the_last_lines_are_those_of_the_last_requests():
    """None is from before a clearing."""
    with shown() as one:
        one.send("a=1")
        one.store.clear()
        for number in range(2):
            one.send(*[f"n={number}"] * 1_500)
        assert json.loads(f"[{one.store.latest(2_000)}]") == one.lines()[-2_000:]
