"""The receiver in a test: planned failures, waiting, tokens, start and close."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import warnings
from dataclasses import FrozenInstanceError, replace
from urllib.parse import urlsplit

import pytest

from logplex_handler.testing import Line, LogplexReceiver
from tests.pace import stopwatch
from tests.servers import free_port
from tests.testing.wire import LINES, address, bare, basic, connect, frame, post, send


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


def test_a_line_cannot_be_changed(logplex):
    """Tests share it."""
    with connect(logplex) as connection:
        send(connection, logplex, LINES, Logplex_Msg_Count="3")
    line = logplex.lines[0]
    assert type(line) is Line
    for change in (lambda: setattr(line, "number", 7), lambda: delattr(line, "number")):
        with pytest.raises(FrozenInstanceError):
            change()
    assert {line, replace(line)} == {line}


def test_wait_for_returns_as_soon_as_the_lines_are_there(logplex):
    """It waits for lines, not for time to pass."""
    timer = threading.Timer(0.05, post, (logplex, LINES))
    timer.start()
    with stopwatch() as watch:
        assert logplex.wait_for(3)
        assert watch.seconds < 4
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
    """Each line knows its token, and does not show it."""
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


def receiver_threads():
    return {one for one in threading.enumerate() if one.name.startswith("logplex-receiver")}


def test_close_leaves_no_thread_and_no_connection():
    """Open connections end, idle or inside a request, and the port is free again."""
    before = receiver_threads()
    # One that the system gives to nobody else afterwards.
    logplex = LogplexReceiver(port=free_port()).start()
    where = address(logplex)
    idle = socket.create_connection(where, timeout=100)
    busy = socket.create_connection(where, timeout=100)
    with idle, busy:
        busy.sendall(b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        post(logplex, LINES)
        assert len(receiver_threads() - before) >= 3
        logplex.close()
        assert idle.recv(1) == b""
        assert busy.recv(1) == b""
    assert receiver_threads() <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, timeout=100).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_changes_nothing_for_the_parent(logplex):
    """The child can read earlier lines and close; the parent's connections still work and end."""
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
    half = b"POST /logs HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 9\\r\\n\\r\\nx"
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
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
