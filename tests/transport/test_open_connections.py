"""Later requests on an open connection leave out requests and urllib3, and must not differ."""

import os
import socket
import threading
from types import SimpleNamespace

import pytest
import requests
import responses
import urllib3

from logplex_handler._transport.connection import BoundedHTTPConnection, _open_sockets
from logplex_handler._transport.transport import Transport
from logplex_handler.streams import Destination
from tests.logs import wait_until
from tests.patience import PATIENCE
from tests.servers import accept, answer, hang, hang_up, reset, serving
from tests.transport.test_transport import options

OTHER = "t.ffffffff-89ab-cdef-0123-456789abcdef"


def posted(transport, url, *, body=b"3 foo", frame_id="an-id", **given):
    return transport.post(Destination.from_url(url), body, frames=1, frame_id=frame_id, **given)


@pytest.fixture
def through_urllib3(monkeypatch):
    """The requests that went the long way. Replaced below what the transport looks at."""
    made = []
    make = urllib3.HTTPConnectionPool._make_request

    def counting_requests(self, *args, **kwargs):
        made.append(args)
        return make(self, *args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "_make_request", counting_requests)
    return made


@pytest.mark.parametrize("compress", [False, True])
def test_a_later_request_is_the_same_to_the_last_header(compress, through_urllib3):
    """But for what differs between requests."""
    with serving(accept) as server:
        transport = Transport(options(compress=compress, headers={"User-Agent": "a/0", "X-B": "c"}))
        assert posted(transport, server.url).status == 204
        assert posted(transport, server.url).status == 204
        transport.close()
    assert len(through_urllib3) == 1
    first, second = server.received
    assert first == second
    assert server.connections == 1


def test_each_request_carries_its_own_credentials_number_and_id():
    with serving(accept) as server:
        transport = Transport(options())
        for user, token in (("token", OTHER), ("token", "t.x"), ("münchen", "t.y")):
            destination = Destination(f"http://127.0.0.1:{server.port}/logs", user, token)
            answered = transport.post(destination, b"x" * len(token), frames=7, frame_id=token)
            assert (answered.status, answered.bytes_sent) == (204, len(token))
        transport.close()
    credentials = [urllib3.util.make_headers(basic_auth=f"token:{t}") for t in (OTHER, "t.x")]
    assert [request.headers["authorization"] for request in server.received[:2]] == [
        one["authorization"] for one in credentials
    ]
    assert [request.headers["logplex-frame-id"] for request in server.received] == [
        OTHER,
        "t.x",
        "t.y",
    ]
    assert {request.headers["logplex-msg-count"] for request in server.received} == {"7"}
    assert [len(request.body) for request in server.received] == [len(OTHER), 3, 3]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("misbehaves", "name"),
    [(hang, "ReadTimeout"), (reset, "ProtocolError"), (hang_up, "ProtocolError")],
)
def test_a_failure_has_the_same_name_and_meaning_on_a_new_and_on_an_open_connection(
    misbehaves, name, through_urllib3
):
    # One that hangs is given up soon. It may come to the server later than it is.
    soon = {"seconds": 1.0} if misbehaves is hang else {}
    with serving(misbehaves, accept, misbehaves, accept) as server:
        transport = Transport(options())
        fresh = posted(transport, server.url, **soon)
        assert wait_until(lambda: len(server.received) == 1)
        assert posted(transport, server.url).status == 204
        kept = posted(transport, server.url, **soon)
        assert wait_until(lambda: len(server.received) == 3)
        assert posted(transport, server.url).status == 204
        transport.close()
    assert (fresh.failure, fresh.maybe_delivered, fresh.stale_connection) == (name, True, False)
    assert (kept.failure, kept.maybe_delivered) == (name, True)
    assert kept.stale_connection == (misbehaves is not hang)
    # The connection that failed is not used again.
    assert [request.connection for request in server.received] == [1, 2, 2, 3]
    assert len(through_urllib3) == 3


def test_an_answer_that_trickles_is_given_up_on_an_open_connection_too():
    def trickle(connection):
        for byte in b"HTTP/1.1 204 No Content\r\nX: " + b"y" * 1000:
            connection.sendall(bytes([byte]))
            if server.stopped.wait(0.1):
                return

    with serving(accept, trickle) as server:
        transport = Transport(options())
        assert posted(transport, server.url).status == 204
        transport._options = options(timeout=1)
        assert posted(transport, server.url).failure == "ReadTimeout"
        transport.close()


@pytest.mark.parametrize(
    ("head", "body", "is_kept"),
    [
        ("HTTP/1.1 429 Slow\nRetry-After: 7\nContent-Length: 5", "later", True),
        ("HTTP/1.1 429 S\nretry-after:7\nTransfer-Encoding: chunked", "2\nab\n0\n\n", True),
        ("HTTP/1.1 429 Slow\nRetry-After: 7\nConnection: close\nContent-Length: 0", "", False),
        ("HTTP/1.0 429 Slow\nRetry-After: 7\nContent-Length: 0", "", False),
        ("HTTP/1.1 429 Slow\nRetry-After: 7\nContent-Length: 99999", "x" * 99_999, False),
        ("HTTP/1.1 103\n\nHTTP/1.1 429 Slow\nRetry-After: 7\nContent-Length: 0", "", True),
        ("HTTP/1.1 429 S\nRetry-After: 7\nTransfer-Encoding: chunked", "zz\nab\n0\n\n", False),
        ("HTTP/1.1 429 S\nRetry-After: 7\nTransfer-Encoding: chunked", "-2\nab\n0\n\n", False),
    ],
    ids=["body", "chunks", "close", "http-1.0", "long", "hint", "no-chunks", "negative-chunk"],
)
def test_an_answer_is_read_so_that_the_next_one_is_not_mistaken(head, body, is_kept):
    """Its body is read, or its connection is closed."""
    reply = f"{head}\n\n{body}".replace("\n", "\r\n").encode()
    with serving(accept, lambda connection: connection.sendall(reply), accept) as server:
        transport = Transport(options())
        assert posted(transport, server.url).status == 204
        answered = posted(transport, server.url)
        assert (answered.status, answered.retry_after) == (429, 7.0)
        assert posted(transport, server.url).status == 204
        transport.close()
    assert server.connections == (1 if is_kept else 2)


@pytest.mark.parametrize(
    "body", ["Transfer-Encoding: chunked\n\n-2\nab", "Content-Length: 1, 2\n\na"]
)
def test_a_first_answer_whose_size_makes_no_sense_came_all_the_same(body):
    reply = f"HTTP/1.1 429 Slow\n{body}".replace("\n", "\r\n").encode()
    with serving(lambda connection: connection.sendall(reply), accept) as server:
        transport = Transport(options())
        answered = posted(transport, server.url)
        assert (answered.was_tried, answered.maybe_delivered) == (True, answered.status is None)
        assert posted(transport, server.url).status == 204
        transport.close()


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        ("HTTP/1.1 204 No Content", True),
        ("HTTP/1.1 204", True),
        ("HTTP/1.1 204 No Content\nConnection: keep-alive\nContent-Length: 0", True),
        ("HTTP/1.1 204 No Content\nConnection: close", False),
        ("HTTP/1.1 204 No Content\nServer: x\nconnection:Close\nDate: today", False),
        ("HTTP/1.0 204 No Content", False),
        ("HTTP/1.1 103 Hint\nLink: </x>\n\nHTTP/1.1 204 No Content", True),
    ],
)
def test_an_answer_without_a_body_keeps_the_connection_unless_it_says_close(head, is_kept):
    reply = f"{head}\n\n".replace("\n", "\r\n").encode()
    with serving(lambda connection: connection.sendall(reply)) as server:
        transport = Transport(options())
        for _ in range(3):
            assert posted(transport, server.url).status == 204
        transport.close()
    assert server.connections == (1 if is_kept else 3)


def test_an_answer_may_come_in_pieces():
    """However little of it the first read gets."""
    reply = b"HTTP/1.1 204 No Content\r\nServer: x\r\nConnection: keep-alive\r\n\r\n"
    for size in range(1, len(reply)):

        class Reluctant(socket.socket):
            def recv(self, _, size=size):
                return super().recv(size)

        ours, theirs = socket.socketpair()
        connection = BoundedHTTPConnection("logplex.test")
        with theirs, Reluctant(fileno=ours.detach()) as connection.sock:
            theirs.sendall(reply)
            assert connection.read_answer() == (204, None)
            assert connection.sock is not None


def test_a_short_request_whose_answer_comes_at_once_says_nothing(monkeypatch):
    monkeypatch.setattr("logplex_handler._transport.connection._AT_ONCE", PATIENCE)
    waits = []
    with serving(accept) as server:
        transport = Transport(options(), lambda: waits.append(len(server.received)))
        assert posted(transport, server.url).status == 204
        # The session may be of the application, and the connection is opened.
        assert {*waits} == {0}
        waits.clear()
        for _ in range(3):
            assert posted(transport, server.url).status == 204
        assert waits == []
        transport.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_request_says_that_its_answer_does_not_come_at_once(tls, monkeypatch, authority):
    """The receiver answers only then. After such an answer, the next is not expected at once."""
    waits = threading.Event()

    def answer_late(connection):
        assert waits.wait(PATIENCE)
        waits.clear()
        accept(connection)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority[0])
    with serving(accept, answer_late, tls=authority[1] if tls else None) as server:
        transport = Transport(options(), waits.set)
        assert posted(transport, server.url).status == 204
        waits.clear()
        assert posted(transport, server.url).status == 204
        monkeypatch.setattr("logplex_handler._transport.connection._AT_ONCE", PATIENCE)
        assert posted(transport, server.url).status == 204
        transport.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    ("at_once", "late"),
    [
        (b"H", b"TTP/1.1 204 No Content\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", b"ok\r\n0\r\n\r\n"),
    ],
)
def test_a_request_says_that_the_rest_of_its_answer_does_not_come_at_once(
    monkeypatch, at_once, late
):
    """A part that has come is no answer; it says nothing if the answer is over."""
    monkeypatch.setattr("logplex_handler._transport.connection._AT_ONCE", PATIENCE)
    waits, said = threading.Event(), []

    def answer_in_two_parts(connection):
        waits.clear()
        connection.sendall(at_once)
        if late:
            said.append(waits.wait(PATIENCE))
            connection.sendall(late)

    with serving(accept, answer_in_two_parts) as server:
        transport = Transport(options(), waits.set)
        for _ in range(3):
            assert posted(transport, server.url).status in {200, 204}
        transport.close()
    assert said == [True] * (2 if late else 0)
    assert late or not waits.is_set()


def test_after_a_late_answer_the_next_one_is_waited_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr("logplex_handler._transport.connection._AT_ONCE", 0.0)
    monkeypatch.setattr(
        "logplex_handler._transport.connection._is_readable", lambda sock: bool(asked.append(sock))
    )
    with serving(accept) as server:
        transport = Transport(options())
        for _ in range(4):
            assert posted(transport, server.url).status == 204
        transport.close()
    assert server.connections == len(asked) == 1


def test_an_answer_counts_as_late_where_that_cannot_be_known(monkeypatch):
    """`select` takes no file with a number above a thousand."""

    def select(*_):
        raise ValueError("filedescriptor out of range in select()")

    monkeypatch.setattr(
        "logplex_handler._transport.connection.select", SimpleNamespace(select=select)
    )
    waits = []
    with serving(accept) as server:
        transport = Transport(options(), lambda: waits.append(1))
        for _ in range(3):
            waits.clear()
            assert posted(transport, server.url).status == 204
            assert waits
        transport.close()
    assert server.connections == 1


def test_a_long_request_says_so_before_it_is_sent(monkeypatch):
    monkeypatch.setattr("logplex_handler._transport.connection._AT_ONCE", PATIENCE)
    waits = []
    with serving(accept) as server:
        transport = Transport(options(), lambda: waits.append(len(server.received)))
        assert posted(transport, server.url).status == 204
        waits.clear()
        assert posted(transport, server.url, body=b"x" * 100_000).status == 204
        assert waits == [1]
        transport.close()


def test_a_session_of_the_application_says_so_before_each_request():
    waits = []
    with serving(accept) as server:
        factory = requests.Session
        transport = Transport(options(session_factory=factory), lambda: waits.append(1))
        for _ in range(2):
            waits.clear()
            assert posted(transport, server.url).status == 204
            assert waits
        transport.close()


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError])
def test_an_answer_that_came_before_the_whole_body_was_sent_counts(error):
    """The receiver refuses what is too large, and reads no further."""

    class Breaking(BoundedHTTPConnection):
        def send(self, data):
            super().send(data)
            raise error

    with serving(accept, answer(413)) as server:
        transport = Transport(options())
        assert posted(transport, server.url).status == 204
        pool = transport._session.get_adapter(server.url).last_pool
        pool.pool.queue[-1].__class__ = Breaking
        assert posted(transport, server.url).status == 413
        transport.close()


@pytest.mark.parametrize("large", [False, True])
def test_a_request_with_a_body_of_any_size_arrives_whole(large):
    body = b"x" * (3_000_000 if large else 10)
    with serving(accept) as server:
        transport = Transport(options())
        for _ in range(3):
            assert posted(transport, server.url, body=body).status == 204
        transport.close()
    assert [request.body == body for request in server.received] == [True] * 3
    assert server.connections == 1


def test_tools_that_replace_requests_see_every_request():
    """`responses` is activated while a connection is open."""
    with serving(accept) as server:
        transport = Transport(options())
        for _ in range(2):
            assert posted(transport, server.url).status == 204
        with responses.RequestsMock() as mock:
            mock.post(f"http://127.0.0.1:{server.port}/logs", status=202)
            assert posted(transport, server.url).status == 202
            assert len(mock.calls) == 1
        assert posted(transport, server.url).status == 204
        transport.close()
    assert len(server.received) == 3


def test_tools_that_replace_urllib3_see_every_request(monkeypatch):
    """As tracers do."""
    seen = []
    urlopen = urllib3.HTTPConnectionPool.urlopen

    def traced(self, method, url, *args, **kwargs):
        seen.append(url)
        return urlopen(self, method, url, *args, **kwargs)

    with serving(accept) as server:
        transport = Transport(options())
        assert posted(transport, server.url).status == 204
        monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", traced)
        for _ in range(2):
            assert posted(transport, server.url).status == 204
        transport.close()
    assert seen == ["/logs", "/logs"]


def test_a_session_of_the_application_makes_every_request():
    """It may sign them, count them, or send them elsewhere."""
    made = []

    class Session(requests.Session):
        def send(self, request, **kwargs):
            made.append(request.headers["Logplex-Frame-Id"])
            return super().send(request, **kwargs)

    with serving(accept) as server:
        transport = Transport(options(session_factory=Session))
        for number in range(3):
            assert posted(transport, server.url, frame_id=str(number)).status == 204
        transport.close()
    assert made == ["0", "1", "2"]


def test_an_http_proxy_gets_every_request_with_the_whole_url(monkeypatch):
    with serving(accept) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        transport = Transport(options())
        destination = Destination("http://logplex.test/logs", "token", OTHER)
        for _ in range(3):
            sent = transport.post(destination, b"3 foo", frames=1, frame_id="an-id")
            assert sent.status == 204
        transport.close()
    assert [request.target for request in proxy.received] == ["http://logplex.test/logs"] * 3


def test_a_redirect_is_an_answer_and_its_target_gets_nothing():
    with serving(accept) as elsewhere:
        to = f"Location: http://127.0.0.1:{elsewhere.port}/"
        with serving(accept, answer(307, to)) as server:
            transport = Transport(options())
            assert [posted(transport, server.url).status for _ in range(3)] == [204, 307, 307]
            transport.close()
    assert not elsewhere.received


def test_a_cookie_of_an_answer_is_not_sent_to_the_next_customer():
    with serving(answer(204, "Set-Cookie: customer=1")) as server:
        transport = Transport(options())
        for _ in range(3):
            posted(transport, server.url)
        transport.close()
    assert ["cookie" in request.headers for request in server.received] == [False] * 3


def test_another_path_on_the_same_host_is_another_request():
    with serving(accept) as server:
        transport = Transport(options())
        for path in ("logs", "logs", "other", "other", "logs"):
            posted(transport, server.url.replace("logs", path))
        transport.close()
    targets = [request.target for request in server.received]
    assert targets == ["/logs", "/logs", "/other", "/other", "/logs"]


@pytest.mark.parametrize("frame_id", ["", "a\r\nX-Forged: 1", "a\n", "\r", "\u2028"])
def test_a_frame_id_never_forges_a_header(frame_id):
    """It may come from a damaged spool. What no header can hold is not sent."""
    with serving(accept) as server:
        transport = Transport(options())
        assert posted(transport, server.url).status == 204
        answered = posted(transport, server.url, frame_id=frame_id)
        transport.close()
    assert (answered.status == 204) == (frame_id == "")
    assert answered.status == 204 or not answered.maybe_delivered
    assert {request.headers.get("x-forged") for request in server.received} == {None}


@pytest.mark.parametrize("factory", [None, requests.Session], ids=["own session", "given session"])
def test_a_descriptor_that_the_program_has_closed_is_not_used(factory):
    """Its number may be that of another connection by then, which must not get the token."""
    with serving(accept) as server, socket.create_server(("127.0.0.1", 0)) as other:
        transport = Transport(options(session_factory=factory))
        assert posted(transport, server.url).status == 204
        sock = transport._session.get_adapter(server.url).last_pool.pool.queue[-1].sock
        assert sock in _open_sockets.sockets
        with (
            socket.create_connection(other.getsockname()) as connection,
            socket.socket(fileno=os.dup2(connection.fileno(), sock.fileno())) as mine,
        ):
            assert posted(transport, server.url).status == 204
            transport.close()
            mine.sendall(b"mine")
            accepted, _ = other.accept()
            with accepted:
                assert accepted.recv(100) == b"mine"
    assert [request.connection for request in server.received] == [1, 2]
