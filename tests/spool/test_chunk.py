"""Chunks: entries and frames as bytes, and back."""

from __future__ import annotations

import json

import pytest

from logplex_handler._spool import spool as spools
from logplex_handler._spool.chunk import packed, records_in, unpacked
from logplex_handler._spool.spool import Spool, SpoolOptions
from logplex_handler._wire.frames import (
    Run,
    flattened,
    goes_on,
    linked,
    resumed,
    settle,
)


def framed(text, header=b"<190>1 2026-01-01T00:00:00.000000+00:00 host app web.1 - - "):
    return b"%d %b" % (len(header + text), header + text)


A, B, C, D, E, F, G = [framed(b"%c\n" % letter) for letter in b"abcdefg"]


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (b"x", None), (b"99 short", None), (b"-5 abc", None), (A + B, "[1]"), (A, "{"), (A, "5"),
        (A, '["x"]'), (A.decode(), None), (A + B, None), (A + B, "[1, 1]"), (b"5 abc\nd", None),
        (b"1 \n", None), (framed(b"a"), None), (framed(b"a\nb\n"), None), (framed(b"\xff\n"), None),
        (framed(b"a\n", b""), None), (framed(b"x" * 10_240 + b"\n"), None),
        (A[:-1], None), (A + B, "[-1, 1]"), (A + B, "[-1]"),
    ],
)  # fmt: skip
def test_a_chunk_that_is_none_is_an_error_of_one_kind(body, sizes):
    """Whatever stands in the file; each frame must be a packet."""
    with pytest.raises((ValueError, TypeError)):
        unpacked(body, sizes, 1)


def test_a_chunk_comes_back_as_it_was():
    """With the records that its frames belong to."""
    frames = [A, *linked([B, C]), framed("é é\n".encode()), *linked([F, G])]
    body, sizes, records = packed(frames)
    again = unpacked(body, sizes, records)
    assert again == frames
    assert records == records_in(again) == 4
    assert json.loads(sizes or "") == [1, 2, 1, 2]


def test_a_record_that_is_cut_counts_with_its_last_frames():
    """Those of the first chunk are no record of their own; what became of them is not forgotten."""
    frames = linked([A, B, C, D])
    first, second = [E, *frames[:1]], [*frames[1:3]]
    assert goes_on(first, second)
    assert goes_on(second, frames[3:])
    assert not goes_on(frames[3:], [E])
    assert not goes_on([E], frames)
    chunks = [packed(first, is_cut=True), packed(second, is_cut=True), packed([D, F])]
    assert [sizes for _, sizes, _ in chunks] == ["[1, -1]", "[-2]", None]
    for is_delivered in (True, False):
        first, second, third = (unpacked(*chunk) for chunk in chunks)
        assert settle(first, delivered=is_delivered) == (is_delivered, not is_delivered)
        second = resumed(second, first[-1].record)
        assert second == [B, C]
        assert settle(second, delivered=True) == (0, 0)
        third = resumed(third, second[-1].record)
        assert settle(third, delivered=True) == (1 + is_delivered, not is_delivered)
        assert third == [D, F]


def test_a_chunk_with_runs_comes_back_frame_by_frame():
    """Beside records of several frames, and without them."""
    runs = [Run([A, B]), C]
    body, sizes, records = packed(runs)
    assert ([*flattened(unpacked(body, sizes, records))], records) == ([A, B, C], 3)
    assert sizes is None
    body, sizes, records = packed([*runs, *linked([D, E])])
    assert [*flattened(unpacked(body, sizes, records))] == [A, B, C, D, E]
    assert (records, json.loads(sizes or "")) == (4, [1, 1, 1, 2])
    assert packed([*runs, Run.of_one([D, E])]) == (body, sizes, records)


@pytest.mark.parametrize("length", [0, 9, 10, 99, 100, 938, 939, 9999, 10_000])
def test_frames_come_apart_whatever_their_lengths(length):
    """And damage to one is noticed."""
    line = framed(b"x" * length + b"\n")
    for made in ([line, line], [line, framed(b"\n"), line]):
        body = b"".join(made)
        assert [*flattened(unpacked(body, None, len(made)))] == made
        for wrong in (body[:-1], body[1:], body + b"\n", b"1" + body):
            with pytest.raises(ValueError, match="frame"):
                unpacked(wrong, None, len(made))


def test_what_does_not_fit_is_not_unpacked(tmp_path, monkeypatch):
    """The first chunk is read whatever its size, and the next ones that fit with it."""
    unpacked_ids = []
    chunk_of = spools.chunk_of
    monkeypatch.setattr(
        spools, "chunk_of", lambda id, *row: (unpacked_ids.append(id), chunk_of(id, *row))[1]
    )
    spool = Spool(SpoolOptions(str(tmp_path / "spool"), 2**20, 1))
    ids = [spool.write(None, None, [frame] * 10) for frame in (A, B, C, D)]
    for max_bytes, number in ((1, 1), (20 * len(A), 2), (20 * len(A) - 1, 1), (10**6, 4)):
        unpacked_ids.clear()
        assert [chunk.id for chunk in spool.read(None, max_bytes)] == ids[:number]
        assert unpacked_ids == ids[:number]
    assert [chunk.id for chunk in spool.read(None, 20 * len(A), exclude=[ids[1]])] == ids[::2]
    spool.join(ids[:3], "0" * 32)
    # Those that were sent together stay together.
    assert [chunk.id for chunk in spool.read(None, 1)] == ids[:3]
    spool.close()
