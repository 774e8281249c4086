"""Chunks: entries and frames as bytes, and back."""

from __future__ import annotations

import json

import pytest

from logplex_handler._spool.chunk import packed, records_in, unpacked
from logplex_handler._wire.frames import Run, flattened, linked


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (b"x", None), (b"99 short", None), (b"-5 abc", None), (b"1 a1 b", "[1]"),
        (b"1 a", "{"), (b"1 a", "5"), (b"1 a", '["x"]'), ("1 a", None), (b"1 a1 b", None),
        (b"1 a1 b", "[1, 1]"),
    ],
)  # fmt: skip
def test_a_chunk_that_is_none_is_an_error_of_one_kind(body, sizes):
    """Whatever stands in the file."""
    with pytest.raises((ValueError, TypeError)):
        unpacked(body, sizes, 1)


def test_a_chunk_comes_back_as_it_was():
    """With the records that its frames belong to."""
    frames = [b"1 a", *linked([b"1 b", b"2 cd"]), b"3 e e", *linked([b"1 f", b"1 g"])]
    body, sizes, records = packed(frames)
    again = unpacked(body, sizes, records)
    assert again == frames
    assert records == records_in(again) == 4
    assert json.loads(sizes or "") == [1, 2, 1, 2]


def test_a_chunk_with_runs_comes_back_frame_by_frame():
    """Beside records of several frames, and without them."""
    runs = [Run([b"1 a", b"1 b"]), b"1 c"]
    body, sizes, records = packed(runs)
    assert ([*flattened(unpacked(body, sizes, records))], records) == ([b"1 a", b"1 b", b"1 c"], 3)
    assert sizes is None
    body, sizes, records = packed([*runs, *linked([b"1 d", b"1 e"])])
    assert [*flattened(unpacked(body, sizes, records))] == [b"1 a", b"1 b", b"1 c", b"1 d", b"1 e"]
    assert (records, json.loads(sizes or "")) == (4, [1, 1, 1, 2])


@pytest.mark.parametrize("length", [1, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 10_240])
def test_frames_that_end_with_a_line_come_apart_as_others_do(length):
    """Whatever their lengths; and damage to one is noticed."""
    line, text = b"x" * (length - 1) + b"\n", b"y" * length
    for frames in ([line, line], [text, text], [line, text, line], [line, b"\n\n", line]):
        made = [b"%d %b" % (len(frame), frame) for frame in frames]
        body = b"".join(made)
        assert [*flattened(unpacked(body, None, len(made)))] == made
        for wrong in (body[:-1], body[1:], body + b"\n", b"1" + body):
            with pytest.raises(ValueError, match=r"frame|records|subsection"):
                unpacked(wrong, None, len(made))
