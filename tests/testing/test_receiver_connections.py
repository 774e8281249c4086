"""The receiver speaks HTTP as Logplex does: connections, limits, chunks, time-outs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.logs import wait_until
from tests.pace import stopwatch
from tests.testing.wire import LINES, WIRE, address, basic, connect, frame, post, raw, send, sized

POST = b"POST /logs HTTP/1.1\r\nHost: x\r\n"
IN_CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"


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


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/"), ("POST", "/log")])
def test_only_logs_is_known(logplex, method, path):
    """All other paths get a 404."""
    with connect(logplex) as connection:
        connection.request(method, path, headers={"Authorization": basic(f"token:{logplex.token}")})
        assert connection.getresponse().status == 404


def test_a_body_over_8_000_000_bytes_routes_nothing(logplex):
    """The sender sees a 500 or only the reset."""
    body = sized(10000) * 801
    with suppress(ConnectionError):
        assert post(logplex, body) == 500
    assert wait_until(lambda: logplex.requests)
    assert logplex.requests[0].status == 500
    assert logplex.lines == ()


def test_chunks_of_over_8_000_000_bytes_are_refused(logplex):
    """The limit holds for chunked bodies as well, before the whole body has come."""
    assert raw(logplex, IN_CHUNKS + b"7a1201\r\n").startswith(b"HTTP/1.1 500 ")
    assert logplex.requests[0].status == 500


def test_a_blank_line_before_a_request_is_skipped(logplex):
    """HTTP asks servers to be so kind."""
    assert raw(logplex, b"\r\nGET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_a_status_without_a_name_can_be_planned(logplex):
    """Proxies answer with statuses of their own, for example 520."""
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


def answered(logplex, data):
    """What a receiver answers to bytes that are all there when it begins to read."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        with ours:
            logplex._serve(ours, 1)
        return theirs.recv(65_536)


def test_half_a_header_is_answered_with_408():
    """The patience with headers is that with an idle connection."""
    logplex = LogplexReceiver(idle_timeout=0.1)
    assert answered(logplex, b"POST /logs HTTP/1.1\r\nHost: x\r\n").startswith(b"HTTP/1.1 408 ")
    assert logplex.requests[0].status == 408


def test_a_body_that_stalls_is_answered_with_400():
    """The patience with a body is three times that with headers, and nothing is routed."""
    logplex = LogplexReceiver(idle_timeout=0.5)
    head = f"{POST.decode()}Authorization: {basic('token:' + logplex.token)}\r\n"
    head += "Content-Type: application/logplex-1\r\nContent-Length: 1000\r\n\r\n"
    started = time.monotonic()
    with stopwatch() as watch:
        answer = answered(logplex, head.encode() + LINES)
        assert watch.seconds < 3
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - started >= 3 * 0.5
    assert logplex.lines == ()


def test_a_connection_cut_inside_the_body_routes_nothing(logplex):
    """Half a batch is not routed, and no answer is sent."""
    raw(logplex, POST + b"Content-Length: 1000\r\n\r\n" + LINES, then_close=True)
    assert not logplex.wait_for(1, timeout=0.1)
    assert logplex.requests == ()


def test_a_connection_cut_before_the_answer_has_routed_everything(logplex):
    """That is why a retry can duplicate lines."""
    head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('token:' + logplex.token)}\r\n"
    head += f"Content-Type: application/logplex-1\r\nContent-Length: {len(LINES)}\r\n\r\n"
    raw(logplex, head.encode() + LINES, then_close=True)
    assert logplex.wait_for(3)


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        POST + b"nocolon\r\n\r\n",
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
    """The connection is closed, since the next request's beginning is unknown."""
    answer = raw(logplex, head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer


def test_expect_100_continue_is_answered_before_the_body(logplex):
    """curl, for example, waits for it before it sends a large body."""
    head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('token:' + logplex.token)}\r\n"
    head += f"Content-Length: {len(LINES)}\r\nExpect: 100-continue\r\nConnection: close\r\n"
    head += "Content-Type: application/logplex-1\r\n\r\n"
    with socket.create_connection(address(logplex), timeout=100) as sock:
        sock.sendall(head.encode())
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(LINES)
        assert sock.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert len(logplex.lines) == 3


@pytest.mark.parametrize("host", ["\udcff", "a" * 64, "a..b"])
def test_what_cannot_be_a_host_is_an_oserror(host):
    """As a host that is not this machine's is; `receive` says it in a line."""
    with pytest.raises(OSError, match="not the name of a host"):
        LogplexReceiver(host=host).start()
