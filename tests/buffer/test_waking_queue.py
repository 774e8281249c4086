"""For which reasons a worker is woken, and how long the queue may grow before there is another."""

import math
import sys
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler._buffer.bounded_queue import BoundedQueue, BufferLimits
from logplex_handler._buffer.ledger import Ledger
from logplex_handler._buffer.waking_queue import (
    BATCH,
    DROPS,
    FIRST,
    LARGE,
    ROOM,
    next_look,
    wake_reasons,
)
from logplex_handler._wire.entry import LIGHT

MAX = 100 * LIGHT
LIMITS = BufferLimits(MAX, "drop_oldest", batch_frames=10, batch_bytes=40 * LIGHT)
WITH_DISK = BufferLimits(MAX, "drop_oldest", batch_frames=10, batch_bytes=40 * LIGHT, has_disk=True)


def holding(
    entries=0,
    *,
    limits=LIMITS,
    weighed=0,
    weighed_entries=None,
    in_transit=0,
    usual=LIGHT,
    frames=None,
    allowed=MAX,
    lingers=True,
    is_memory_scarce=False,
    has_unreported_drops=False,
):
    """A queue of so many entries, the first of which were weighed, and hold `weighed` bytes."""
    pool = SimpleNamespace(is_scarce=is_memory_scarce)
    queue = BoundedQueue(limits, lambda entry: entry, pool, threading.RLock())
    if has_unreported_drops:
        queue.ledger = Ledger()
        queue.ledger.has_unreported = True
    queue.entries.extend([()] * entries)
    queue.weighed = (entries if weighed else 0) if weighed_entries is None else weighed_entries
    queue.weighed_bytes = weighed
    queue.weighed_frames = queue.weighed + (0 if frames is None else frames - entries)
    queue.usual_bytes = usual
    queue.allowed = allowed
    queue.in_transit_bytes = in_transit
    queue.since = 1.0 if entries and lingers else math.inf
    return queue


@pytest.mark.parametrize(
    ("now", "more", "expected"),
    [
        pytest.param(holding(), {}, 0, id="nothing waits"),
        pytest.param(holding(1), {}, FIRST, id="an entry waits"),
        pytest.param(holding(1, lingers=False), {}, 0, id="it is no reason to send"),
        pytest.param(holding(9), {}, FIRST, id="almost a batch"),
        pytest.param(holding(10), {}, FIRST | BATCH, id="a batch by packets"),
        pytest.param(holding(3, frames=10), {}, FIRST | BATCH, id="of few entries"),
        pytest.param(
            holding(2, weighed=40 * LIGHT - 1), {}, FIRST, id="almost one by bytes"
        ),
        pytest.param(
            holding(2, weighed=40 * LIGHT),
            {},
            FIRST | BATCH | LARGE,
            id="a batch by bytes, which is large",
        ),
        pytest.param(
            holding(1), {"is_room_wanted": True}, FIRST | BATCH, id="room is wanted"
        ),
        pytest.param(
            holding(), {"is_room_wanted": True}, 0, id="sending would make no room"
        ),
        pytest.param(holding(74), {}, FIRST | BATCH, id="almost a large batch"),
        pytest.param(
            holding(75), {}, FIRST | BATCH | LARGE, id="three quarters of room"
        ),
        pytest.param(
            holding(10, is_memory_scarce=True),
            {},
            FIRST | BATCH | LARGE,
            id="a batch where memory is scarce",
        ),
        pytest.param(
            holding(9, is_memory_scarce=True), {}, FIRST, id="scarce memory alone"
        ),
        pytest.param(
            holding(1, weighed=10 * LIGHT, in_transit=80 * LIGHT), {}, FIRST, id="half"
        ),
        pytest.param(
            holding(1, weighed=10 * LIGHT + 1, in_transit=80 * LIGHT),
            {},
            FIRST | ROOM,
            id="more than half of what is not in transit",
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT), {}, FIRST, id="light ones not guessed"
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT, limits=WITH_DISK),
            {},
            FIRST | ROOM,
            id="with a disk they are",
        ),
        pytest.param(
            holding(9, in_transit=90 * LIGHT, usual=LIGHT // 2, limits=WITH_DISK),
            {},
            FIRST,
            id="by what is usual",
        ),
        pytest.param(holding(has_unreported_drops=True), {}, DROPS, id="drops"),
    ],
)  # fmt: skip
def test_the_reasons_to_wake_a_worker(now, more, expected):
    """Each of them alone, and those that come together."""
    assert wake_reasons(now, **more) == expected


@pytest.mark.parametrize(
    ("now", "woken_for", "expected"),
    [
        pytest.param(holding(), 0, 0, id="the first entry"),
        pytest.param(holding(3), 0, 0, id="nobody was woken for the first"),
        pytest.param(holding(3, lingers=False), FIRST, 0, id="none is a reason yet"),
        pytest.param(holding(1), FIRST, 10, id="a batch"),
        pytest.param(holding(1, frames=5), FIRST, 6, id="a batch of larger entries"),
        pytest.param(holding(2, weighed=38 * LIGHT), FIRST, 4, id="a batch by bytes"),
        pytest.param(holding(10), FIRST | BATCH, 75, id="a large batch"),
        pytest.param(
            holding(80), FIRST | BATCH | LARGE, 101, id="the end of room"
        ),
        pytest.param(
            holding(10, in_transit=70 * LIGHT),
            FIRST | BATCH | LARGE,
            31,
            id="the end of room beside what is in transit",
        ),
        pytest.param(holding(1, limits=WITH_DISK), FIRST, 10, id="a batch, with a disk"),
        pytest.param(
            holding(10, limits=WITH_DISK), FIRST | BATCH, 51, id="half of the room, with a disk"
        ),
    ],
)  # fmt: skip
def test_when_to_look_again(now, woken_for, expected):
    """At the first length for which a worker may have to be woken, or entries weighed."""
    throttle = {"congested_at": sys.maxsize, "may_throttle": False}
    assert next_look(now, woken_for, **throttle) == expected


def test_a_congested_queue_is_looked_at_in_any_case():
    """However much room there is."""
    woken_for = FIRST | BATCH
    assert next_look(holding(20), woken_for, congested_at=30, may_throttle=True) == 30


def test_while_half_of_the_room_is_taken_there_are_many_looks():
    """With a disk, callers are throttled at each of them, before the rest is taken."""
    now = holding(60, usual=100, limits=WITH_DISK)
    woken_for = FIRST | BATCH | LARGE | ROOM
    throttle = {"congested_at": sys.maxsize}
    seldom = next_look(now, woken_for, may_throttle=False, **throttle)
    often = next_look(now, woken_for, may_throttle=True, **throttle)
    assert seldom == 101
    assert 61 < often < 80


sizes = st.integers(0, 2 * LIGHT)
many_contents = st.builds(
    lambda weighed, light, **more: {
        "entries": len(weighed) + light,
        "frames": sum(frames for _, frames in weighed) + light,
        "weighed": sum(size for size, _ in weighed),
        "weighed_entries": len(weighed),
        **more,
    },
    weighed=st.lists(st.tuples(sizes, st.integers(1, 3)), max_size=60),
    light=st.integers(0, 60),
    usual=st.integers(1, LIGHT),
    in_transit=st.integers(0, MAX // 2),
    allowed=st.integers(0, MAX),
    is_memory_scarce=st.booleans(),
    has_unreported_drops=st.booleans(),
)


@given(many_contents, st.sampled_from([LIMITS, WITH_DISK]), st.integers(0, 31))
def test_no_reason_comes_before_the_look_that_was_predicted(fields, limits, woken_for):
    """However many light entries are appended until then; nor do they need more than is allowed."""
    fields = {**fields, "limits": limits}
    now = holding(**fields)
    # What holds when a prediction is made: a worker was woken for all reasons, and a large batch
    # is a batch.
    woken_for |= wake_reasons(now)
    if woken_for & LARGE:
        woken_for |= BATCH
    look_at = next_look(now, woken_for, congested_at=sys.maxsize, may_throttle=True)
    for entries in range(fields["entries"] + 1, min(look_at, fields["entries"] + 300)):
        frames = fields["frames"] + entries - fields["entries"]
        fields_later = {**fields, "entries": entries, "frames": frames}
        later = holding(**fields_later)
        assert not wake_reasons(later) & ~woken_for
        most_bytes = later.most_bytes
        assert most_bytes + later.in_transit_bytes <= later.allowed
        # Even if each of them holds as much as a light entry may.
        weighed = holding(**{**fields_later, "weighed": most_bytes, "weighed_entries": entries})
        assert not wake_reasons(weighed) & BATCH & ~woken_for
