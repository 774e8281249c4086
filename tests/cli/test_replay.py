"""`receive --record` and `replay`: recorded requests can be sent again."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from types import SimpleNamespace

import pytest

from logplex_handler.cli import _replay, main
from logplex_handler.testing import LogplexReceiver
from tests.cli.receiving import receiving
from tests.commands import call, run
from tests.logs import logging_to
from tests.pace import stopwatch
from tests.receiver.page import body
from tests.servers import accept, hang_up, serving


def test_what_is_recorded_can_be_sent_again(tmp_path):
    """Good and bad requests, those that failed on purpose once only, and no token in the file."""
    record = tmp_path / "record"
    with receiving(tmp_path, "--record", str(record), "--fail", "503:0.4") as local:
        token = re.search(r":(t\.[^@]+)@", local.url)[1]
        with logging_to(local.url, token_as_appname=True) as (logger, handler):
            for number in range(5):
                logger.info("n=%d", number)
                assert handler.flush(100)
        while local.post(body("wrong count"), 2).status_code == 503:
            pass
        local.end()
    assert record.stat().st_mode & 0o777 == 0o600
    assert token not in record.read_text()
    assert "Authorization" not in record.read_text()
    with LogplexReceiver() as logplex:
        done = run("replay", str(record), url=logplex.url)
        assert done.returncode == 1
        assert b"6 requests sent again, 1 of them refused" in done.stdout
        assert b"400 Message count mismatch" in done.stdout
        assert [line.text for line in logplex.lines] == [f"n={number}" for number in range(5)]


def test_a_full_disk_ends_the_record_and_nothing_else(tmp_path):
    """It is reported once, and lines are still accepted and shown."""
    with receiving(tmp_path, "--record", "/dev/full") as local:
        for name in ("a", "b"):
            assert local.post(body(name), Logplex_Frame_Id=name).status_code == 204
        shown, said = local.end()
    assert len(shown.splitlines()) == 2
    assert said.count("the record ends here: No space left on device") == 1


def test_a_record_is_sent_again_at_the_pace_it_came(tmp_path):
    """Or as many times faster as asked for."""
    record = tmp_path / "record"
    one = {"status": 204, "headers": {"Content-Type": "application/logplex-1"}, "body": ""}
    record.write_text("".join(json.dumps({"time": t, **one}) + "\n" for t in (10.0, 12.0)))
    with LogplexReceiver(strict=False) as logplex, stopwatch() as watch:
        began = time.time()
        call("replay", str(record), "--speed", "4", url=logplex.url)
        _, second = logplex.requests
        # A busy machine may be late with the first one, and does not wait for the second then.
        assert second.time - began >= 0.5
        assert watch.seconds < 1.5


def test_a_wait_of_centuries_is_no_error(tmp_path, monkeypatch):
    """It lasts until Ctrl-C, as any other wait does."""
    one, waits = {"headers": {}, "body": ""}, []
    record = tmp_path / "record"
    record.write_text("".join(json.dumps({"time": t, **one}) + "\n" for t in (0.0, 2.5e11)))
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=waits.append)
    monkeypatch.setattr(_replay, "time", clock)
    with LogplexReceiver(strict=False) as logplex:
        monkeypatch.setenv("LOGPLEX_URL", logplex.url)
        main(["replay", str(record), "--speed", "1"])
    assert max(waits) == threading.TIMEOUT_MAX


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "no json",
        "[" * 100_000,
        "\udcff\udcfe",
        '{"time": 1, "headers": [], "body": "?"}',
        '{"time": 1e300, "headers": {}, "body": "aGk="}',
    ],
    ids=["empty", "text", "deep", "surrogates", "list", "time"],
)
def test_what_is_no_record_is_told_by_its_line(tmp_path, content):
    """Status 2, as for a file that is not there."""
    record = tmp_path / "record"
    record.write_text(f"{content}\n", errors="surrogateescape")
    done = call("replay", str(record), url="http://a:b@127.0.0.1:1")
    assert (done.returncode, done.stderr.decode()) == (
        2,
        "logplex-handler: line 1 is no recorded request\n",
    )
    done = call("replay", str(tmp_path / "none"), url="http://a:b@127.0.0.1:1")
    assert done.returncode == 2
    assert b"No such file" in done.stderr


def test_what_the_other_side_answers_does_not_reach_the_terminal_raw(tmp_path):
    """Of a record that is sent again."""
    record = tmp_path / "record"
    record.write_text(json.dumps({"time": 1.0, "headers": {}, "body": ""}) + "\n")
    with LogplexReceiver(strict=False) as logplex:
        plain = {"Content-Type": "text/plain; charset=ascii"}
        logplex.fail_next(400, headers=plain, body=b"\x1b]0;title\x07")
        done = call("replay", str(record), url=logplex.url)
    assert b"request 1: 400 \\u001b]0;title\\u0007" in done.stdout


def recording(tmp_path, *headers):
    """A file with one request for each of the headers."""
    record = tmp_path / "record"
    requests = [{"time": 1.0, "headers": one, "body": ""} for one in headers]
    record.write_text("".join(json.dumps(one) + "\n" for one in requests))
    return record


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"302 x\r\nLocation: http://%zz[/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"400 x\r\nContent-Type: a/b; charset=idna\r\nContent-Length: 2\r\n\r\n\xff.", "400 �."),
        (b"400 x\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"z" * 10**6), "400"),
        (b"400 x\r\nContent-Length: 1000000000\r\n\r\n" + b"y" * 100, f"400 {'y' * 100}"),
        (b"400 x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "400"),
        (b"101 x\r\n\r\n", "ProtocolError"),
        (b"what?\r\n\r\n", "ProtocolError"),
        (b"400 x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", "400"),
    ],
    ids=["location", "charset", "gzip", "long", "chunk", "interim", "no http", "cookie"],
)
def test_whatever_the_other_side_answers_the_next_request_is_sent(
    tmp_path, monkeypatch, answer, shown
):
    """Without a cookie."""
    monkeypatch.setattr(_replay, "_TIMEOUT", 100)

    def hostile(connection):
        # The second request must not meet a connection that is just being closed.
        head = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        connection.sendall(b"HTTP/1.1 " + head)
        hang_up(connection)

    with serving(hostile, accept) as server:
        done = call("replay", str(recording(tmp_path, {}, {})), url=server.url)
        first, second = server.received
    assert done.stdout.decode() == (
        f"request 1: {shown}\n2 requests sent again, 1 of them refused\n"
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert "cookie" not in second.headers
    assert first.headers["authorization"] == second.headers["authorization"]


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 400 x\r\n\r\n"], ids=["head", "text"])
def test_an_answer_that_trickles_is_given_up(tmp_path, monkeypatch, begun):
    """After four times the time-out, although each byte comes in time."""
    monkeypatch.setattr(_replay, "_TIMEOUT", 0.5)

    def trickle(connection):
        connection.sendall(begun)
        while not server.stopped.wait(0.2):
            connection.sendall(b"H")

    with serving(trickle) as server:
        done = call("replay", str(recording(tmp_path, {})), url=server.url)
    assert b"1 requests sent again, 1 of them refused" in done.stdout
    assert b"H" not in done.stdout


def test_a_request_that_cannot_be_sent_is_told_by_its_number(tmp_path):
    """The next one is sent."""
    with LogplexReceiver(strict=False) as logplex:
        record = recording(tmp_path, {"Logplex-Frame-Id": "\u20ac"}, {})
        done = call("replay", str(record), url=logplex.url)
        assert len(logplex.requests) == 1
    assert b"request 1: UnicodeEncodeError\n" in done.stdout
    assert (done.returncode, done.stderr) == (1, b"")
