"""Chunks as they are stored: packed, unpacked, damaged; and the parts of a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler._relay.chunk import (
    Chunk,
    DamagedChunk,
    is_producer_name,
    is_relay_stream,
    shard_of,
    stream_key,
    stream_of,
)
from logplex_handler._relay.parts import Part, parts_of
from logplex_handler._relay.reading import parts_in, parts_text
from logplex_handler._relay.values import Lease, Taken
from logplex_handler._wire.frames import OwnFrame, PieceFrame, Run, flattened, linked, settle
from tests.relay.chunks import Producer, frame, texts

_STREAMS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.integers(-(2**63), 2**63 - 1),
)


@given(
    stream=_STREAMS,
    lines=st.lists(st.text("aä€\t", max_size=9), min_size=1, max_size=5),
    pieces=st.lists(st.just("piece"), max_size=3),
    sequence=st.integers(0, 2**63),
    has_token=st.booleans(),
)
def test_a_chunk_is_unpacked_as_it_was_packed(stream, lines, pieces, sequence, has_token):
    frames = [Run([frame(line) for line in lines]), *linked([frame(one) for one in pieces])]
    chunk = Chunk.of(stream, frames, producer="host.1234", sequence=sequence, has_token=has_token)
    unpacked = Chunk.unpack(stream, b"12345678" + chunk.head() + chunk.body, 8)
    assert unpacked == chunk
    assert unpacked.records == len(lines) + bool(pieces)
    assert unpacked.frame_count == len(lines) + len(pieces)
    assert flattened(unpacked.frames) == flattened(frames)
    assert settle(unpacked.frames, delivered=True) == (unpacked.records, 0)


def test_a_chunk_of_which_any_byte_has_changed_is_damaged():
    chunk = Producer().chunk("stream", "one line", pieces=["a", "b"])
    packed = chunk.head() + chunk.body
    for place in range(len(packed)):
        with pytest.raises(DamagedChunk):
            Chunk.unpack(
                "stream", packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
            )
        with pytest.raises(DamagedChunk):
            Chunk.unpack("stream", packed[:place])


def test_frames_that_do_not_add_up_are_damaged():
    chunk = Chunk("stream", "p", 1, 2, 2, False, frame("only one"))
    with pytest.raises(DamagedChunk, match="add up"):
        _ = chunk.frames


@given(_STREAMS)
def test_a_stream_is_known_by_its_key(stream):
    found = stream_of(stream_key(stream))
    assert (type(found), found) == (type(stream), stream)


@pytest.mark.parametrize("key", [b"", b"x", b"i", b"inine", b"s\xff"])
def test_a_key_of_no_stream_is_damaged(key):
    with pytest.raises(DamagedChunk):
        stream_of(key)


def test_a_shard_is_the_same_in_every_process_and_version():
    keys = [stream_key(stream) for stream in ("customer-1", "1", 1, "ä")]
    assert [shard_of(key, 64) for key in keys] == [21, 48, 43, 39]


@pytest.mark.parametrize(
    ("stream", "is_one"),
    [("a", True), (1, True), (-(2**63), True), (2**63, False), (None, False), (True, False),
     (1.0, False), ("\ud800", False), ("a" * 1000, True), ("a" * 1001, False)],
)  # fmt: skip
def test_streams_that_can_be_stored(stream, is_one):
    assert is_relay_stream(stream) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("host.12", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("ä", False)],
)
def test_names_of_producers(name, is_one):
    assert is_producer_name(name) is is_one


def _taken(chunk, parts=()):
    return Taken(Lease(0, "t", "s", 0.0), "stream", "f0", (chunk,), parts, records=chunk.records)


def test_parts_name_the_frames_that_are_left_of_a_batch():
    chunk = Producer().chunk("stream", "a", "b", "b", "c", pieces=["d", "e"])
    frames = flattened(chunk.frames)
    left = [("f1", [frames[1]]), ("f2", [OwnFrame(frame("own")), frames[2], *frames[3:5]]),
            ("f3", [OwnFrame(frame("own"))])]  # fmt: skip
    parts = parts_of(left, frames)
    assert parts == (Part("f1", ((1, 2),)), Part("f2", ((2, 5),)))
    requests = _taken(chunk, parts).requests
    assert [(id, texts(some)) for id, some in requests] == [("f1", ["b"]), ("f2", ["b", "c", "d"])]


def test_the_frames_of_one_record_share_it_over_parts_and_only_those_that_are_left():
    chunk = Producer().chunk("stream", "a", pieces=["b", "c", "d"])
    parts = (Part("f1", ((0, 1), (3, 4))), Part("f2", ((2, 3),)))
    (_, first), (_, second) = _taken(chunk, parts).requests
    assert isinstance(first[1], PieceFrame)
    assert settle(first, delivered=True) == (1, 0)
    assert settle(second, delivered=True) == (1, 0)


def test_parts_are_written_and_read():
    parts = (Part("f1", ((0, 2), (5, 6))), Part("f2", ((2, 5),)))
    assert parts_in(parts_text(parts, 6).encode(), 6) == parts
    assert parts_text((), 6) == ""
    assert parts_in(b"", 6) == ()


@pytest.mark.parametrize("text", [b"x", b"1", b"[5]", b'[6,["a"]]', b'[6,["a",[["x",1]]]]', b"{}"])
def test_parts_that_do_not_fit_their_batch_become_a_whole_one_with_a_new_id(text):
    (part,) = parts_in(text, 6)
    assert part.ranges == ((0, 6),)
    assert parts_in(text, 6) != (part,)
