"""How the receiver routes and answers a request, and which violations it finds."""

from __future__ import annotations

import gzip

import pytest
import requests

from logplex_handler.testing import LogplexReceiver, request_body
from logplex_handler.testing.wire_parser import frames_from
from tests.testing.wire import HEADER, LINES, WIRE, bare, frame, post

FAULTY = [
    name for name in WIRE if name not in ("a good batch", "gzip", "unknown token", "10,240 bytes",
                                          "empty text")
]  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_every_departure_is_a_violation(logplex, name):
    """Each row's fault is described in words, without the token."""
    body, changes, _, _ = WIRE[name]
    post(logplex, body, **changes)
    assert logplex.violations
    assert logplex.token not in "".join(logplex.violations)


def test_a_good_batch_is_no_violation(logplex):
    """A request as documented passes, sent with `requests` and its own auth."""
    with requests.Session() as session:
        response = session.post(
            logplex.url,
            data=LINES,
            headers={
                "Content-Type": "application/logplex-1",
                "Logplex-Msg-Count": "3",
                "Logplex-Frame-Id": "a",
            },
            timeout=100,
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
    """Logplex routes these packets, so they are both lines and violations."""
    post(logplex, body, Logplex_Msg_Count="1")
    assert len(logplex.lines) == 1
    assert logplex.violations[0].startswith(words)


def test_many_malformed_packets_are_told_in_few_words(logplex):
    """A failed test shows ten of them and the number of the rest."""
    post(logplex, bare(*["foo"] * 500), Logplex_Msg_Count="500")
    assert len(logplex.violations) == 11
    assert logplex.violations[-1] == "and 490 more frames like these"


def test_a_body_of_malformed_messages_is_not_read_to_its_end(monkeypatch):
    """Nothing of it is routed, and a few kilobytes of gzip may hold sixty million of them."""
    read = []

    def counted(body, position):
        read.append(position)
        return frames_from(body, position)

    monkeypatch.setattr(request_body, "frames_from", counted)
    found, malformed, fault = request_body.find_frames(b"\n" * 100_000)
    assert (found, malformed, fault.rule) == ([], True, "frame.length")
    assert len(read) <= 1000


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
    """Time, app, process and text alone."""
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
    """All its other headers can be read, whatever the case of their names."""
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
