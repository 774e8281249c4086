"""The receiver for tests: it answers as Logplex does and tells what a sender did wrong."""

from __future__ import annotations

import base64
import gzip
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
import zlib
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from logplex_handler.testing import LogplexReceiver

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
    return closing(http.client.HTTPConnection(host, port, timeout=6))


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
    with socket.create_connection(address(logplex), timeout=6) as sock:
        sock.sendall(data)
        if then_close:
            return b""
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.fixture
def logplex():
    with LogplexReceiver() as receiver:
        yield receiver


POST = b"POST /logs HTTP/1.1\r\n"
IN_CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
THREE = bare("foo", "bar", "baz")
LINES = frame("foo") + frame("bar") + frame("baz")
CHUNKED = b"5\r\n" + THREE[:5] + b"\r\n" + b"%x;x=y\r\n" % (len(THREE) - 5) + THREE[5:]
CHUNKED += b"\r\n0\r\nTrailer: x\r\n\r\n"
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
    "gzip": (gzip.compress(LINES), {"Content_Encoding": "gzip"} | COUNTED, 204, ALL),
    "gzip unnamed": (gzip.compress(LINES), UNCOUNTED, 204, []),
    "gzip in name only": (LINES, {"Content_Encoding": "gzip"}, 500, []),
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


@pytest.mark.parametrize(("body", "changes", "status", "texts"), WIRE.values(), ids=WIRE)
def test_the_answer_and_what_is_routed_are_those_of_logplex(logplex, body, changes, status, texts):
    """Every row of what real Logplex was seen to do."""
    assert post(logplex, body, **changes) == status
    assert [line.text for line in logplex.lines] == texts
    assert logplex.requests[0].status == status


FAULTY = [
    name for name in WIRE if name not in ("a good batch", "gzip", "unknown token", "10,240 bytes",
                                          "empty text")
]  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_every_departure_is_a_violation(logplex, name):
    """Whatever a row does wrong is told in words, without the token."""
    body, changes, _, _ = WIRE[name]
    post(logplex, body, **changes)
    assert logplex.violations
    assert logplex.token not in "".join(logplex.violations)


def test_a_good_batch_is_no_violation(logplex):
    """What the documents ask for passes without a word, over `requests` and its own auth."""
    with requests.Session() as session:
        response = session.post(
            logplex.url,
            data=LINES,
            headers={
                "Content-Type": "application/logplex-1",
                "Logplex-Msg-Count": "3",
                "Logplex-Frame-Id": "a",
            },
            timeout=5,
        )
    assert response.status_code == 204
    assert response.headers["Connection"] == "keep-alive"
    assert logplex.violations == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Logplex_Msg_Count": None}, "header Logplex-Msg-Count is missing"),
        ({"Logplex_Frame_Id": None}, "header Logplex-Frame-Id is missing"),
        ({"User_Agent": None}, "header User-Agent is missing"),
    ],
)
def test_a_missing_header_is_told_by_its_name(logplex, changes, words):
    """Logplex routes without these, so only the violation shows that they are missing."""
    assert post(logplex, frame("foo"), **{"Logplex_Msg_Count": "1"} | changes) == 204
    assert logplex.violations == (words,)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (bare("foo"), "frame 1: byte 62: text must end with the only newline"),
        (frame("foo", header=HEADER.replace("+00:00", "Z")), "frame 1: byte 7: time must have"),
        (frame("foo", header=HEADER.replace("web.1", "router")), "frame 1: l2met gives"),
    ],
)
def test_a_malformed_packet_is_told_by_frame_and_offset(logplex, body, words):
    """Logplex routes such packets, so they are lines and violations both."""
    post(logplex, body, Logplex_Msg_Count="1")
    assert len(logplex.lines) == 1
    assert logplex.violations[0].startswith(words)


def test_many_malformed_packets_are_told_in_few_words(logplex):
    """A failed test shows ten of them and the number of the rest."""
    post(logplex, bare(*["foo"] * 500), Logplex_Msg_Count="500")
    assert len(logplex.violations) == 11
    assert logplex.violations[-1] == "and 490 more frames like these"


def test_without_strict_only_lost_lines_are_violations():
    """A sender of another convention is let alone, one that loses lines is not."""
    with LogplexReceiver(strict=False) as logplex:
        post(logplex, bare("foo"), Logplex_Frame_Id=None)
        assert not logplex.violations
        post(logplex, frame("foo", end="", by=-1) + bare("bar"))
        assert logplex.violations == (
            "framing: byte 64: a frame must begin with its length in digits",
        )


def test_a_frame_id_belongs_to_one_batch(logplex):
    """A retry may repeat it, another batch may not."""
    for _ in range(2):
        post(logplex, LINES, Logplex_Msg_Count="3", Logplex_Frame_Id="a")
    assert not logplex.violations
    post(logplex, frame("new"), Logplex_Msg_Count="1", Logplex_Frame_Id="a")
    assert logplex.violations == ("header Logplex-Frame-Id is that of another batch",)


def test_a_line_reads_as_heroku_logs_shows_it(logplex):
    """Time, app, process and text, and nothing else of the packet."""
    post(logplex, frame('source=us-east msg="a b"'))
    (line,) = logplex.lines
    assert str(line) == '2013-03-27T20:02:24.000000+00:00 app[web.1]: source=us-east msg="a b"'
    assert line.pairs == [("source", "us-east"), ("msg", "a b")]
    assert line.packet.hostname == "host"


def test_the_token_as_appname_is_shown_as_app(logplex):
    """The form of 2013 reads as that of 2024 and its token stays out of sight."""
    post(logplex, frame("foo", header=HEADER.replace(" app ", f" {logplex.token} ")))
    (line,) = logplex.lines
    assert str(line).endswith(" app[web.1]: foo")
    assert logplex.token not in repr(logplex.lines + logplex.requests)


@pytest.mark.parametrize("name", ["no structured data", "garbage"])
def test_a_packet_that_customers_do_not_see_is_no_shown_line(logplex, name):
    """Logplex routes it, and `heroku logs` prints nothing."""
    post(logplex, WIRE[name][0])
    (line,) = logplex.lines
    assert not line.shown
    assert str(line) == ""


def test_a_request_is_kept_without_its_credentials(logplex):
    """Everything else of it can be looked at, whatever the case of a header's name."""
    post(logplex, LINES, Logplex_Msg_Count="3", Logplex_Frame_Id="a", X_Mine="1")
    (request,) = logplex.requests
    assert (request.status, request.frame_id, request.connection) == (204, "a", 1)
    assert (request.msg_count, request.frames, request.body_bytes) == (3, 3, LINES)
    assert request.headers["x-mine"] == "1"
    assert "Authorization" not in request.headers
    assert [line.frame_id for line in logplex.lines] == ["a"] * 3


def test_the_body_of_a_request_is_kept_as_received(logplex):
    """A compressed body stays compressed, and its frames are counted all the same."""
    body = gzip.compress(LINES)
    post(logplex, body, Content_Encoding="gzip")
    assert logplex.requests[0].body_bytes == body
    assert logplex.requests[0].frames == 3


@pytest.mark.parametrize("name", ["count too small", "no credentials", "unknown token", "charset"])
def test_the_connection_stays_usable_after_a_refusal(logplex, name):
    """After 400, 401 and 415 the next batch goes through on the same connection."""
    body, changes, status, _ = WIRE[name]
    with connect(logplex) as connection:
        assert send(connection, logplex, body, **changes).status == status
        assert send(connection, logplex, LINES).status == 204
    assert [request.connection for request in logplex.requests] == [1, 1]


def test_credentials_that_are_not_base64_close_the_connection(logplex):
    """The 500 is the last that is said."""
    with connect(logplex) as connection:
        response = send(connection, logplex, LINES, Authorization="Basic ???")
        assert response.status == 500
        assert response.headers["Connection"] == "close"


@pytest.mark.parametrize(("method", "path"), [("GET", "/logs"), ("POST", "/"), ("POST", "/log")])
def test_only_posts_to_logs_are_known(logplex, method, path):
    """Everything else is a 404."""
    with connect(logplex) as connection:
        connection.request(method, path, headers={"Authorization": basic(f"token:{logplex.token}")})
        assert connection.getresponse().status == 404


def test_a_body_over_8_000_000_bytes_routes_nothing(logplex):
    """The sender sees a 500 or only the reset."""
    body = sized(10000) * 801
    with suppress(ConnectionError):
        assert post(logplex, body) == 500
    deadline = time.monotonic() + 5
    while not logplex.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    assert logplex.requests[0].status == 500
    assert logplex.lines == ()


def test_chunks_of_over_8_000_000_bytes_are_refused(logplex):
    """The limit holds for what comes in chunks as well, and is known before all of it came."""
    assert raw(logplex, IN_CHUNKS + b"7a1201\r\n").startswith(b"HTTP/1.1 500 ")
    assert logplex.requests[0].status == 500


def test_a_blank_line_before_a_request_is_skipped(logplex):
    """HTTP asks servers to be so kind."""
    assert raw(logplex, b"\r\nGET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_a_status_without_a_name_can_be_planned(logplex):
    """Proxies answer with numbers of their own, such as 520."""
    logplex.fail_next(520)
    assert post(logplex, LINES) == 520


def test_the_hundredth_answer_closes_the_connection(logplex):
    """A connection takes 100 requests and says so with the last answer."""
    with connect(logplex) as connection:
        answers = [send(connection, logplex, frame("foo")) for _ in range(100)]
    assert [answer.headers["Connection"] for answer in answers[98:]] == ["keep-alive", "close"]
    assert {request.connection for request in logplex.requests} == {1}


def test_an_idle_connection_is_closed_without_a_word():
    """The client finds out at its next request only."""
    with LogplexReceiver(idle_timeout=0.1) as logplex:
        assert raw(logplex, b"") == b""
        assert logplex.requests == ()


def test_half_a_header_is_answered_with_408():
    """The patience with headers is that with an idle connection."""
    with LogplexReceiver(idle_timeout=0.1) as logplex:
        answer = raw(logplex, b"POST /logs HTTP/1.1\r\nHost: x\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert logplex.requests[0].status == 408


def test_a_body_that_stalls_is_answered_with_400():
    """The patience with a body is three times that with headers, and nothing is routed."""
    with LogplexReceiver(idle_timeout=0.1) as logplex:
        started = time.monotonic()
        head = f"POST /logs HTTP/1.1\r\nAuthorization: {basic('token:' + logplex.token)}\r\n"
        head += "Content-Type: application/logplex-1\r\nContent-Length: 1000\r\n\r\n"
        answer = raw(logplex, head.encode() + LINES)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert 0.3 <= time.monotonic() - started < 3
        assert logplex.lines == ()


def test_a_connection_cut_inside_the_body_routes_nothing(logplex):
    """Half a batch is no batch, and there is nobody to answer."""
    raw(logplex, b"POST /logs HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + LINES, then_close=True)
    assert not logplex.wait_for(1, timeout=0.1)
    assert logplex.requests == ()


def test_a_connection_cut_before_the_answer_has_routed_everything(logplex):
    """That is why a retry can duplicate lines."""
    head = f"POST /logs HTTP/1.1\r\nAuthorization: {basic('token:' + logplex.token)}\r\n"
    head += f"Content-Type: application/logplex-1\r\nContent-Length: {len(LINES)}\r\n\r\n"
    raw(logplex, head.encode() + LINES, then_close=True)
    assert logplex.wait_for(3)


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        POST + b"nocolon\r\n\r\n",
        POST + b"Content-Length: ten\r\n\r\n",
        POST + b"x: " + b"y" * 70_000,
        IN_CHUNKS + b"xyz\r\n",
        IN_CHUNKS + b"1\r\nxyz\r\n",
        IN_CHUNKS + b"+1\r\nx\r\n0\r\n\r\n",
        IN_CHUNKS + b"0x1\r\nx\r\n0\r\n\r\n",
        IN_CHUNKS + b"0_1\r\nx\r\n0\r\n\r\n",
        POST + b"Content-Length: 1\r\ncontent-length: 0\r\n\r\nx",
    ],
)
def test_what_is_not_http_is_answered_with_400(logplex, head):
    """The connection is closed, since nobody knows where the next request begins."""
    answer = raw(logplex, head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer


def test_expect_100_continue_is_answered_before_the_body(logplex):
    """A client such as curl waits for that before it sends a large body."""
    head = f"POST /logs HTTP/1.1\r\nAuthorization: {basic('token:' + logplex.token)}\r\n"
    head += f"Content-Length: {len(LINES)}\r\nExpect: 100-continue\r\nConnection: close\r\n"
    head += "Content-Type: application/logplex-1\r\n\r\n"
    with socket.create_connection(address(logplex), timeout=5) as sock:
        sock.sendall(head.encode())
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(LINES)
        assert sock.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert len(logplex.lines) == 3


def test_a_planned_failure_is_answered_and_routes_nothing(logplex):
    """As many requests as planned get it, with its headers and body, and then all is well."""
    logplex.fail_next(429, times=2, headers={"Retry-After": "7"}, body=b"slow down")
    with connect(logplex) as connection:
        answers = [send(connection, logplex, LINES, Logplex_Msg_Count="3") for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 204]
    assert answers[0].headers["Retry-After"] == "7"
    assert [request.frames for request in logplex.requests] == [3, 3, 3]
    assert len(logplex.lines) == 3
    assert logplex.violations == ()


@pytest.mark.parametrize(("status", "times"), [(100, 1), (600, 1), (500, -1)])
def test_a_failure_that_cannot_be_is_refused(logplex, status, times):
    """The error names the option and the value."""
    with pytest.raises(ValueError, match=f"must .*{min(status, times) if times < 0 else status}"):
        logplex.fail_next(status, times=times)


def test_wait_for_returns_as_soon_as_the_lines_are_there(logplex):
    """It waits for lines, not for time to pass."""
    timer = threading.Timer(0.05, post, (logplex, LINES))
    timer.start()
    started = time.monotonic()
    assert logplex.wait_for(3)
    assert time.monotonic() - started < 4
    timer.join()


def test_wait_for_gives_up_after_its_timeout(logplex):
    """It says that the lines did not come."""
    assert not logplex.wait_for(1, timeout=0.05)


def test_clear_forgets_what_was_received(logplex):
    """Lines, requests and violations begin anew."""
    post(logplex, bare("foo"))
    assert logplex.violations
    logplex.clear()
    assert (logplex.lines, logplex.requests, logplex.violations) == ((), (), ())
    assert not logplex.wait_for(1, timeout=0)


def test_lines_of_sixteen_connections_all_arrive_in_their_order(logplex):
    """Each connection's lines keep their order, and none is lost."""

    def talk(name):
        with connect(logplex) as connection:
            for number in range(10):
                body = b"".join(frame(f"{name} {number * 50 + i}") for i in range(50))
                assert send(connection, logplex, body).status == 204

    talkers = [threading.Thread(target=talk, args=(name,)) for name in range(16)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    texts = [line.text.split() for line in logplex.lines]
    for name in range(16):
        assert [int(n) for who, n in texts if who == str(name)] == list(range(500))
    assert len({line.connection for line in logplex.lines}) == 16


def test_several_tokens_are_let_in_and_told_apart():
    """Each line knows the token it came with, and shows it to nobody."""
    with LogplexReceiver(tokens=["t.one", "t.two"]) as logplex:
        post(logplex, frame("a"))
        post(logplex, frame("b"), Authorization=basic("token:t.two"))
        assert [line.token for line in logplex.lines] == ["t.one", "t.two"]
        assert "t.two" not in repr(logplex.lines)
        assert urlsplit(logplex.url_for("t.two")).password == "t.two"


def test_tokens_can_be_rotated(logplex):
    """The old one is refused from then on."""
    old = basic(f"token:{logplex.token}")
    logplex.tokens = ("t.new",)
    assert post(logplex, LINES, Authorization=old) == 401
    assert post(logplex, LINES) == 204


@pytest.mark.parametrize("tokens", [[], ["tökén"]])
def test_tokens_that_cannot_be_are_refused(tokens):
    """The error does not show them."""
    with pytest.raises(ValueError, match="tokens must") as caught:
        LogplexReceiver(tokens=tokens)
    assert "tökén" not in str(caught.value)


def test_repr_masks_the_token(logplex):
    """A failed test's output does not give it away."""
    assert logplex.token not in repr(logplex)
    assert "token:***@127.0.0.1" in repr(logplex)


def test_there_is_no_address_before_start():
    """A receiver that was only made has opened nothing."""
    logplex = LogplexReceiver()
    assert "not started" in repr(logplex)
    with pytest.raises(RuntimeError, match="start"):
        _ = logplex.url
    logplex.close()


def test_start_and_close_may_be_called_twice():
    """Neither does anything the second time."""
    logplex = LogplexReceiver().start()
    assert logplex.start().url == logplex.url
    assert post(logplex, LINES) == 204
    logplex.close()
    logplex.close()
    assert len(logplex.lines) == 3


def test_close_leaves_no_thread_and_no_connection():
    """Open connections end, idle or inside a request, and the port is free again."""
    before = set(threading.enumerate())
    logplex = LogplexReceiver().start()
    where = address(logplex)
    idle = socket.create_connection(where, timeout=5)
    busy = socket.create_connection(where, timeout=5)
    with idle, busy:
        busy.sendall(b"POST /logs HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        post(logplex, LINES)
        logplex.close()
        assert idle.recv(1) == b""
        assert busy.recv(1) == b""
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, timeout=5).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_changes_nothing_for_the_parent(logplex):
    """The child can read what there was and close; the parent's connections still work and end."""
    with connect(logplex) as connection:
        send(connection, logplex, LINES)
        with warnings.catch_warnings():
            # Python 3.12 and later warn of every fork beside a thread.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                logplex.close()
                os._exit(0 if len(logplex.lines) == 3 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert send(connection, logplex, frame("more")).status == 204
    assert len(logplex.lines) == 4


def test_nothing_is_printed_even_where_stderr_is_closed():
    """Faulty requests, cut connections and the end of the program leave no word anywhere."""
    program = """
import socket, sys
from urllib.parse import urlsplit
from logplex_handler.testing import LogplexReceiver
sys.stderr.close()
with LogplexReceiver() as logplex:
    port = urlsplit(logplex.url).port
    half = b"POST /logs HTTP/1.1\\r\\nContent-Length: 9\\r\\n\\r\\nx"
    for data in (b"", b"nonsense\\r\\n\\r\\n", half):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(data)
    idle = socket.create_connection(("127.0.0.1", port))
idle.close()
left_open = LogplexReceiver().start()
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        cwd=root,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
