"""A record of requests contains no token."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import zlib

import pytest

from logplex_handler.receiver.feed import Feed
from logplex_handler.receiver.recording import Recorder, read
from logplex_handler.testing import LogplexReceiver
from tests.receiver.page import body
from tests.receiver.posts import TOKEN, post


@pytest.fixture
def recorded(tmp_path):
    """A receiver that accepts this token, and a function that returns the recorded bodies."""
    recorder = Recorder(tmp_path / "record")
    with LogplexReceiver(tokens=[TOKEN], on_arrival=Feed([recorder])) as receiver:
        yield receiver, lambda: [one.body for one in read(tmp_path / "record")]
    recorder.close()


def with_token(text="a=1"):
    """A good frame whose appname is the token."""
    packet = body(text).partition(b" ")[2].replace(b" app ", f" {TOKEN} ".encode())
    return b"%d %b" % (len(packet), packet)


def readable(compressed):
    """What can be read of a compressed body up to the damage."""
    reader, text = zlib.decompressobj(47), b""
    with contextlib.suppress(zlib.error):
        for byte in compressed:
            text += reader.decompress(bytes([byte]))
    return text


def test_a_token_that_was_compressed_is_in_no_record(recorded):
    """It is written over inside; the octet counts stay right."""
    receiver, bodies = recorded
    post(receiver.url, gzip.compress(with_token()), 1, Content_Encoding="gzip")
    post(receiver.url, gzip.compress(body("no token")), 1, Content_Encoding="gzip")
    hidden, other = (gzip.decompress(one) for one in bodies())
    assert hidden == with_token().replace(TOKEN.encode(), b"x" * len(TOKEN))
    assert other == body("no token")


@pytest.mark.parametrize(
    ("encoding", "damaged"),
    [
        ("gzip", lambda text: gzip.compress(text)[:-4]),
        ("gzip", lambda text: gzip.compress(text)[:-1] + b"x"),
        ("identity", lambda text: gzip.compress(text)[:-4]),
        ("deflate", zlib.compress),
    ],
)
def test_a_token_in_a_compressed_body_that_cannot_be_read_is_in_no_record(
    recorded, encoding, damaged
):
    """Others read it up to the damage. What is recorded gets the same answer."""
    receiver, bodies = recorded
    sent = damaged(with_token())
    first = post(receiver.url, sent, 1, Content_Encoding=encoding)
    (recorded_body,) = bodies()
    assert TOKEN.encode() in readable(sent)
    assert TOKEN.encode() not in readable(recorded_body)
    again = post(receiver.url, recorded_body, 1, Content_Encoding=encoding)
    assert again.status_code == first.status_code


def broken_off(url, sent, encoding):
    """Send the beginning of a chunked body, and then what is no chunk."""
    credentials = base64.b64encode(f"token:{TOKEN}".encode()).decode()
    head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n"
    head += f"Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n{len(sent):x}\r\n"
    port = int(url.split(":")[-1].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sender:
        sender.sendall(head.encode() + sent + b"\r\nno length\r\n")
        assert sender.recv(100)[9:12] == b"400"


def test_a_token_in_a_compressed_body_that_breaks_off_is_in_no_record(recorded):
    """The part that came is recorded, and can be decompressed."""
    receiver, bodies = recorded
    sent = gzip.compress(with_token())[:-4]
    broken_off(receiver.url, sent, "gzip")
    (recorded_body,) = bodies()
    assert TOKEN.encode() in readable(sent)
    assert TOKEN.encode() not in readable(recorded_body)


def test_a_part_of_a_token_at_which_a_body_breaks_off_is_in_no_record(recorded):
    """All of it but one character is nearly the token."""
    receiver, bodies = recorded
    before = with_token().partition(TOKEN.encode())[0]
    for part in (TOKEN[:-1], TOKEN[:5]):
        broken_off(receiver.url, with_token() + before + part.encode(), "identity")
    masked = with_token().replace(TOKEN.encode(), b"x" * len(TOKEN)) + before
    assert bodies() == [masked + b"x" * (len(TOKEN) - 1), masked + b"x" * 5]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/logs", {}, 401),
        ("/other", {}, 404),
        ("/logs", {"Content_Type": "text/plain"}, 415),
        ("/logs", {"Content_Encoding": "gzip"}, 400),
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


def test_credentials_that_cannot_be_read_are_no_trouble(recorded):
    """Whatever stands in the header."""
    receiver, _ = recorded
    for value in ("", "Basic", "Basic \xff", "Basic " + base64.b64encode(b"\xff").decode(), "x y"):
        head = f"POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: {value}\r\nContent-Length: 1\r\n"
        port = int(receiver.url.split(":")[-1].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=100) as sender:
            sender.sendall(head.encode("latin-1") + b"Connection: close\r\n\r\nx")
            assert sender.recv(100)[9:12] in (b"401", b"500")
