"""For which reasons a worker is woken, and how long the queue may grow before there is another."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler._buffer.due import BATCH, DROPS, FIRST, LARGE, ROOM, due, next_look
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.snapshot import Snapshot
from logplex_handler._wire.entry import LIGHT

MAX = 100 * LIGHT
LIMITS = BufferLimits(MAX, "drop_oldest", batch_frames=10, batch_bytes=40 * LIGHT)
WITH_DISK = BufferLimits(MAX, "drop_oldest", batch_frames=10, batch_bytes=40 * LIGHT, has_disk=True)


def holding(entries=0, *, weighed=0, in_transit=0, usual=LIGHT, frames=None, **more):
    """A snapshot of so many entries, the first of which were weighed, and hold `weighed` bytes."""
    is_weighed = entries if weighed else 0
    return Snapshot(
        entries=entries,
        frames=entries if frames is None else frames,
        weighed=is_weighed,
        weighed_bytes=weighed,
        usual_bytes=usual,
        in_transit_bytes=in_transit,
        allowed_bytes=MAX,
        **{"lingers": entries > 0, **more},
    )


@pytest.mark.parametrize(
    ("now", "limits", "more", "expected"),
    [
        pytest.param(holding(), LIMITS, {}, 0, id="nothing waits"),
        pytest.param(holding(1), LIMITS, {}, FIRST, id="an entry waits"),
        pytest.param(holding(1, lingers=False), LIMITS, {}, 0, id="it is no reason to send"),
        pytest.param(holding(9), LIMITS, {}, FIRST, id="almost a batch"),
        pytest.param(holding(10), LIMITS, {}, FIRST | BATCH, id="a batch by packets"),
        pytest.param(holding(3, frames=10), LIMITS, {}, FIRST | BATCH, id="of few entries"),
        pytest.param(
            holding(2, weighed=40 * LIGHT - 1), LIMITS, {}, FIRST, id="almost one by bytes"
        ),
        pytest.param(
            holding(2, weighed=40 * LIGHT),
            LIMITS,
            {},
            FIRST | BATCH | LARGE,
            id="a batch by bytes, which is large",
        ),
        pytest.param(
            holding(1), LIMITS, {"is_room_wanted": True}, FIRST | BATCH, id="room is wanted"
        ),
        pytest.param(
            holding(), LIMITS, {"is_room_wanted": True}, 0, id="sending would make no room"
        ),
        pytest.param(holding(74), LIMITS, {}, FIRST | BATCH, id="almost a large batch"),
        pytest.param(
            holding(75), LIMITS, {}, FIRST | BATCH | LARGE, id="three quarters of room"
        ),
        pytest.param(
            holding(10, is_memory_scarce=True),
            LIMITS,
            {},
            FIRST | BATCH | LARGE,
            id="a batch where memory is scarce",
        ),
        pytest.param(
            holding(9, is_memory_scarce=True), LIMITS, {}, FIRST, id="scarce memory alone"
        ),
        pytest.param(
            holding(1, weighed=10 * LIGHT, in_transit=80 * LIGHT), LIMITS, {}, FIRST, id="half"
        ),
        pytest.param(
            holding(1, weighed=10 * LIGHT + 1, in_transit=80 * LIGHT),
            LIMITS,
            {},
            FIRST | ROOM,
            id="more than half of what is not in transit",
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT), LIMITS, {}, FIRST, id="light ones not guessed"
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT),
            WITH_DISK,
            {},
            FIRST | ROOM,
            id="with a disk they are",
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT, usual=LIGHT // 2),
            WITH_DISK,
            {},
            FIRST,
            id="by what is usual",
        ),
        pytest.param(holding(has_unreported_drops=True), LIMITS, {}, DROPS, id="drops"),
    ],
)  # fmt: skip
def test_the_reasons_to_wake_a_worker(now, limits, more, expected):
    """Each of them alone, and those that come together."""
    assert due(now, limits, **more) == expected


@pytest.mark.parametrize(
    ("now", "limits", "reported", "expected"),
    [
        pytest.param(holding(), LIMITS, 0, 0, id="the first entry"),
        pytest.param(holding(3), LIMITS, 0, 0, id="nobody was woken for the first"),
        pytest.param(holding(3, lingers=False), LIMITS, FIRST, 0, id="none is a reason yet"),
        pytest.param(holding(1), LIMITS, FIRST, 10, id="a batch"),
        pytest.param(holding(1, frames=5), LIMITS, FIRST, 6, id="a batch of larger entries"),
        pytest.param(holding(2, weighed=38 * LIGHT), LIMITS, FIRST, 4, id="a batch by bytes"),
        pytest.param(holding(10), LIMITS, FIRST | BATCH, 75, id="a large batch"),
        pytest.param(
            holding(80), LIMITS, FIRST | BATCH | LARGE, 101, id="the end of room"
        ),
        pytest.param(
            holding(10, in_transit=70 * LIGHT),
            LIMITS,
            FIRST | BATCH | LARGE,
            31,
            id="the end of room beside what is in transit",
        ),
        pytest.param(holding(1), WITH_DISK, FIRST, 10, id="a batch, with a disk"),
        pytest.param(
            holding(10), WITH_DISK, FIRST | BATCH, 51, id="half of the room, with a disk"
        ),
    ],
)  # fmt: skip
def test_when_to_look_again(now, limits, reported, expected):
    """At the first length for which a worker may have to be woken, or entries weighed."""
    throttle = {"congested_at": sys.maxsize, "may_throttle": False}
    assert next_look(now, limits, reported, **throttle) == expected


def test_a_congested_queue_is_looked_at_in_any_case():
    """However much room there is."""
    reported = FIRST | BATCH
    assert next_look(holding(20), LIMITS, reported, congested_at=30, may_throttle=True) == 30


def test_while_half_of_the_room_is_taken_there_are_many_looks():
    """With a disk, callers are throttled at each of them, before the rest is taken."""
    now = holding(60, usual=100)
    reported = FIRST | BATCH | LARGE | ROOM
    throttle = {"congested_at": sys.maxsize}
    seldom = next_look(now, WITH_DISK, reported, may_throttle=False, **throttle)
    often = next_look(now, WITH_DISK, reported, may_throttle=True, **throttle)
    assert seldom == 101
    assert 61 < often < 80


sizes = st.integers(0, 2 * LIGHT)
snapshots = st.builds(
    lambda weighed, light, usual, in_transit, **more: Snapshot(
        entries=len(weighed) + light,
        frames=sum(frames for _, frames in weighed) + light,
        weighed=len(weighed),
        weighed_bytes=sum(size for size, _ in weighed),
        usual_bytes=usual,
        in_transit_bytes=in_transit,
        lingers=len(weighed) + light > 0,
        **more,
    ),
    weighed=st.lists(st.tuples(sizes, st.integers(1, 3)), max_size=60),
    light=st.integers(0, 60),
    usual=st.integers(1, LIGHT),
    in_transit=st.integers(0, MAX // 2),
    allowed_bytes=st.integers(0, MAX),
    is_memory_scarce=st.booleans(),
    has_unreported_drops=st.booleans(),
)


@given(snapshots, st.sampled_from([LIMITS, WITH_DISK]), st.integers(0, 31))
def test_no_reason_comes_before_the_look_that_was_predicted(now, limits, reported):
    """However many light entries are appended until then; nor do they need more than is allowed."""
    # What holds when a prediction is made: all reasons are reported, and a large batch is a batch.
    reported |= due(now, limits)
    if reported & LARGE:
        reported |= BATCH
    look_at = next_look(now, limits, reported, congested_at=sys.maxsize, may_throttle=True)
    for entries in range(now.entries + 1, min(look_at, now.entries + 300)):
        more = entries - now.entries
        later = now._replace(entries=entries, frames=now.frames + more, lingers=True)
        assert not due(later, limits) & ~reported
        weighed = later._replace(weighed=entries, weighed_bytes=later.most_bytes)
        assert later.most_bytes + later.in_transit_bytes <= later.allowed_bytes
        # Even if each of them holds as much as a light entry may.
        assert not due(weighed, limits) & BATCH & ~reported
