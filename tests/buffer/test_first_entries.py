"""First entries of queues that had some before: their callers leave all they can to a worker."""

from __future__ import annotations

import math

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.first_entries import FEW, MORE, first_entries
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._wire.entry import LIGHT

MANY = 100 * LIGHT
# What is left of it for entries with a reservation.
UNKEPT = MANY - MANY // 16
LIMITS = BufferLimits(MANY, "drop_oldest", 10, 10**6)
# The most of them that are no full batch.
MOST = LIMITS.batch_frames - 1
MANY_A_BATCH = BufferLimits(MANY, "drop_oldest", 100, 10**6)


class News:
    """Notes what it is told of."""

    def __init__(self, next_look: float) -> None:
        self.streams: dict[object, float] = {}
        self.next_look = next_look

    def put(self, stream: object, look_by: float) -> None:
        self.streams[stream] = look_by


class Owner:
    def after_reclaim(self) -> None:
        pass


def queue(news, *, has_had_some=True, limits=LIMITS):
    """A queue with an owner, its pool of memory, and the owner."""
    first = first_entries(limits, news, 10.0)
    pool, owner = MemoryPool(MANY, may_reclaim=True, first_entries=first), Owner()
    accumulator = Accumulator(limits, lambda entry: (100, 1), pool, owner)
    if has_had_some:
        assert accumulator.append(("before",))
        accumulator.take(1)
        accumulator.settle(delivered=1)
    return accumulator, pool, owner


def test_the_worker_is_told_and_the_caller_need_not_wake_one():
    news = News(next_look=0.0)
    accumulator, pool, owner = queue(news)
    assert not accumulator.append(("entry",))
    assert news.streams == {owner: accumulator.since + 10.0}
    assert pool._left == UNKEPT
    # The worker looks.
    assert accumulator.backlog().records == 1
    assert pool._left < UNKEPT


def test_the_caller_of_one_more_than_a_few_reserves_memory_for_more_and_looks_at_none():
    news = News(next_look=0.0)
    accumulator, pool, owner = queue(news)
    accumulator.weigh = None
    reserved = []
    for _ in range(MOST):
        assert not accumulator.append(("entry",))
        reserved.append(accumulator.allowed // LIGHT)
    assert reserved == [*[0] * FEW, *[min(MOST, FEW + 1 + MORE)] * (MOST - FEW)]
    assert UNKEPT - pool._left == accumulator.allowed >= accumulator.most_bytes
    assert [*news.streams] == [owner]


def test_what_comes_after_that_has_memory_reserved_too():
    accumulator, pool, _ = queue(News(next_look=0.0), limits=MANY_A_BATCH)
    accumulator.weigh = None
    for _ in range(3 * MORE):
        assert not accumulator.append(("entry",))
        assert len(accumulator.entries) <= max(FEW, accumulator.allowed // LIGHT)
    assert accumulator.allowed == UNKEPT - pool._left


@pytest.mark.parametrize(("size", "number"), [(LIGHT, FEW), (LIGHT // 2, 4), (LIGHT // 4, 8)])
def test_if_few_bytes_are_left_as_many_wait_as_fit_into_the_memory_of_a_few(size, number):
    """A quarter of all bytes is for others."""
    news = News(next_look=0.0)
    accumulator, pool, owner = queue(news)
    weighed = []

    def weigh(entry):
        weighed.append(entry)
        return size, 1

    accumulator.weigh = weigh
    few_left = pool._left = MANY // 4 + FEW * LIGHT
    left = []
    for name in range(number + 1):
        assert not accumulator.append((name,))
        left.append(pool._left)
    assert [one == few_left for one in left] == [True] * number + [False]
    assert [*news.streams] == [owner]
    # Each once, except for those that did not fit.
    assert len(weighed) <= number + 3


def test_entries_with_memory_are_weighed_once_few_bytes_are_left():
    accumulator, pool, _ = queue(News(next_look=0.0), limits=MANY_A_BATCH)
    for _ in range(FEW + 1):
        accumulator.append(("entry",))
    reserved, pool._left = accumulator.allowed, MANY // 4
    for _ in range(MORE):
        assert not accumulator.append(("entry",))
    assert (accumulator.weighed, accumulator.allowed) == (0, reserved)
    for _ in range(MORE):
        assert not accumulator.append(("entry",))
        assert accumulator.most_bytes <= accumulator.allowed == reserved
    assert accumulator.weighed >= FEW + 1 + MORE


@pytest.mark.parametrize("is_left", [True, False])
def test_memory_is_reserved_for_weighed_first_entries_or_the_oldest_are_dropped(is_left):
    accumulator, pool, _ = queue(News(next_look=0.0))
    accumulator.weigh = lambda entry: (LIGHT // 2, 1)
    pool._left = MANY // 4
    for _ in range(4):
        accumulator.append(("entry",))
    assert (accumulator.weighed, accumulator.allowed) == (4, 0)
    if not is_left:
        pool._left = 3 * LIGHT // 2
    # The worker looks.
    assert accumulator.backlog().records == (4 if is_left else 3)
    assert accumulator.allowed >= accumulator.weighed_bytes > 0
    assert accumulator.counts()[3] == ({} if is_left else {"buffer_full": 1})


def test_an_entry_after_the_end_of_its_stream_reserves_no_memory():
    accumulator, pool, _ = queue(News(next_look=0.0))
    accumulator.abandon("stream_gone")
    accumulator.append(("late",))
    assert (accumulator.allowed, pool._left, pool._holders) == (0, UNKEPT, {})
    assert accumulator.counts()[2] == 0


def test_a_full_batch_of_small_first_entries_wakes_a_worker():
    accumulator, _, _ = queue(News(next_look=0.0))
    accumulator.weigh = lambda entry: (1, 1)
    woken = [accumulator.append(("entry",)) for _ in range(LIMITS.batch_frames)]
    assert woken == [False] * (LIMITS.batch_frames - 1) + [True]


def test_a_drop_beside_first_entries_wakes_a_worker():
    accumulator, _, _ = queue(News(next_look=0.0))
    assert not accumulator.append(("entry",))
    assert accumulator.drop("format_error")


def test_the_caller_wakes_a_worker_if_none_sleeps():
    news = News(next_look=math.inf)
    accumulator, _, owner = queue(news)
    assert accumulator.append(("entry",))
    assert [*news.streams] == [owner]


def test_the_very_first_entry_wakes_a_worker_because_the_url_is_not_known():
    news = News(next_look=0.0)
    accumulator, pool, _ = queue(news, has_had_some=False)
    assert accumulator.append(("entry",))
    assert not news.streams
    assert pool._left < UNKEPT


def test_callers_reserve_memory_if_too_many_owners_wait_for_a_worker():
    news = News(next_look=0.0)
    accumulator, pool, owner = queue(news)
    most = MANY // 16 // (FEW * LIGHT)
    news.streams = dict.fromkeys(range(most), 0.0)
    pool.first_entries.waiting = news.streams
    assert accumulator.append(("entry",))
    assert owner not in news.streams
    assert pool._left < UNKEPT


def test_heavy_entries_are_weighed_by_their_caller():
    news = News(next_look=0.0)
    accumulator, _, owner = queue(news)
    accumulator.weigh = lambda entry: (LIGHT + 1, 1)
    assert accumulator.put(("entry",))
    assert owner not in news.streams
    assert accumulator.allowed > LIGHT


@pytest.mark.parametrize(
    "limits",
    [
        BufferLimits(MANY, "drop_newest", 10, 10**6),
        BufferLimits(MANY, "block", 10, 10**6),
        BufferLimits(MANY, "drop_oldest", 10, 10**6, has_disk=True),
        BufferLimits(MANY, "drop_oldest", FEW, 10**6),
        BufferLimits(MANY, "drop_oldest", 10, FEW * LIGHT),
        BufferLimits(4 * FEW * LIGHT, "drop_oldest", 10, 10**6),
    ],
)
def test_a_few_entries_that_may_be_a_full_batch_are_looked_at_by_their_callers(limits):
    assert first_entries(limits, News(0.0), 10.0) is None
