"""Answers of the scripts become values, and outcomes become arguments.

Anything may be in an answer: other programs may write to the engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
from collections.abc import Sequence
from typing import Any

from logplex_handler._relay.chunk import Chunk, DamagedChunk, stream_key, stream_of
from logplex_handler._relay.parts import Part
from logplex_handler._relay.values import Fate, Lease, Outcome, ShardBooks, Taken

# In front of each chunk, the time when it came.
_CAME = struct.Struct(">d")
_DROPPED = "dropped:"
# The form of frame ids. Other content must not become a header.
_FRAME_ID = re.compile("[!-~]{1,64}")
_WHOLE = re.compile(rb"-?[0-9]{1,19}")
# The errors of content that is something else.
_OF_DAMAGE = (ValueError, TypeError, AttributeError, OverflowError, RecursionError)


def owner_of(token: bytes | None) -> str | None:
    """The shipper that a lease's token names; None if there is no lease."""
    return token.decode("utf-8", "replace").rpartition(" ")[0] if token else None


def taken_of(lease: Lease, now: float, found: Sequence[Any]) -> Taken | Outcome:
    """What was taken of one stream; an outcome if all of it is lost."""
    key, frame_id, again, left, parts, drops, *items = found
    chunks = []
    is_damaged = False
    try:
        stream = stream_of(key)
    except DamagedChunk:
        # No shipper can send it anywhere.
        nothing = Taken(lease, "", frame_id.decode(), records=left, key=key)
        return Outcome(nothing, Fate.ENDED, dropped={"relay_lost": 0})
    for item in items:
        try:
            chunks.append(Chunk.unpack(stream, item, _CAME.size))
        except DamagedChunk:
            is_damaged = True
    since = _CAME.unpack_from(items[0])[0] if items and len(items[0]) >= _CAME.size else now
    taken = Taken(
        lease,
        stream,
        frame_id.decode(),
        tuple(chunks),
        parts_in(parts, sum([chunk.frame_count for chunk in chunks])),
        records=left,
        again=again == 1,
        since=since,
        waited=max(0.0, now - since),
        unreported=json.loads(drops),
        key=key,
    )
    return Outcome(taken) if is_damaged and not chunks else taken


def outcome_args(outcome: Outcome) -> tuple[Any, ...]:
    """The arguments of the script that settles."""
    taken = outcome.taken
    return (
        taken.key or stream_key(taken.stream),
        taken.frame_id,
        taken.records,
        outcome.fate.name,
        outcome.delivered,
        json.dumps(dict(outcome.dropped)),
        json.dumps(dict(outcome.reported)),
        parts_text(outcome.parts, sum([chunk.frame_count for chunk in taken.chunks])),
        outcome.again_in,
    )


def parts_text(parts: Sequence[Part], frames: int) -> str:
    if not parts:
        return ""
    return json.dumps([frames, *[[part.frame_id, part.ranges] for part in parts]])


def parts_in(text: bytes, frames: int) -> tuple[Part, ...]:
    """The parts of a batch with this many frames."""
    if not text:
        return ()
    with contextlib.suppress(*_OF_DAMAGE):
        number, *parts = json.loads(text)
        if number == frames and all(_FRAME_ID.fullmatch(frame_id) for frame_id, _ in parts):
            return tuple(
                Part(frame_id, tuple((int(start), int(stop)) for start, stop in ranges))
                for frame_id, ranges in parts
            )
    # A chunk is damaged since. What is left are other bytes, so they have another id.
    return (Part(os.urandom(16).hex(), ((0, frames),)),)


def books_of(shard: int, answer: Sequence[Any]) -> ShardBooks:
    token, lasts, streams, set_aside, lag, books = answer
    counts = {
        name.decode("utf-8", "replace"): int(number) if _WHOLE.fullmatch(number) else 0
        for name, number in zip(books[::2], books[1::2], strict=True)
    }
    dropped = {
        name.removeprefix(_DROPPED): number
        for name, number in counts.items()
        if name.startswith(_DROPPED) and number
    }
    return ShardBooks(
        shard,
        owner=owner_of(token),
        owned_for=max(0, lasts) / 1000,
        streams=streams,
        set_aside=set_aside,
        lag=max(0.0, float(lag)),
        dropped=dropped,
        **{name: counts.get(name, 0) for name in _COUNTS},
    )


_COUNTS = (
    "pushed", "waiting", "in_flight", "delivered", "repeated", "retaken", "bytes",
)  # fmt: skip
