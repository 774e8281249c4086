"""When an entry wakes a worker, and how long a clock runs."""

import math

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._buffer.waking_queue import BATCH
from logplex_handler._wire.entry import LIGHT
from tests.buffer.shared import accumulator, entry, names, weigh


def test_an_entry_that_never_wakes_is_no_reason_to_send():
    """It neither wakes a worker nor starts the clock, but the next one does."""
    queue = accumulator()
    assert not queue.put(entry("a"), never_wakes=True)
    assert queue.backlog().since == math.inf
    assert queue.put(entry("b"))
    assert queue.backlog().since < math.inf
    assert names(queue.take(9)) == ["a", "b"]


@pytest.mark.parametrize("put", ["put", "append"])
def test_a_worker_is_woken_for_the_first_entry_a_full_batch_and_a_large_one(put):
    """A large one is ten times as many packets. For no other entry."""
    queue = accumulator(max_bytes=10**6, batch_frames=2, batch_bytes=10**6)
    woken = [getattr(queue, put)(entry(name)) for name in range(25)]
    assert [number for number, is_woken in enumerate(woken, 1) if is_woken] == [1, 2, 20]
    assert queue.backlog().pressing
    queue.take(7)
    assert queue.backlog().full_batch
    assert not queue.backlog().pressing
    woken = [getattr(queue, put)(entry(name)) for name in "abc"]
    assert woken == [False, True, False]


def test_a_caller_that_waits_for_room_makes_a_batch_due_at_once():
    """What waits is not left to a worker that looks at it later."""
    queue = accumulator(max_bytes=3 * 10, on_full="block", batch_frames=9)
    for name in "abc":
        queue.put(entry(name), may_wait=True)
    assert queue.put(entry("own"), may_wait=True, never_wakes=True) is None
    assert not queue.woken_for & BATCH
    assert queue.put(entry("d"), may_wait=True) is None
    assert queue.woken_for & BATCH
    assert queue.backlog().pressing


def test_a_large_batch_leaves_before_there_is_no_room():
    """It is what three quarters of the room are sure to hold, if that is less."""
    queue = accumulator(max_bytes=100 * LIGHT, batch_frames=20, batch_bytes=10**6)
    woken = [queue.append(entry(name)) for name in range(80)]
    assert [number for number, is_woken in enumerate(woken, 1) if is_woken] == [1, 20, 75]
    assert queue.backlog().pressing


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest"])
def test_where_shared_memory_gets_scarce_a_full_batch_waits_for_no_large_one(on_full):
    """Those of several streams would use it up, though each of them is small."""
    memory = MemoryPool(100_000, may_reclaim=on_full == "drop_oldest")
    limits = BufferLimits(100_000, on_full, batch_frames=2, batch_bytes=50_000)
    one, other = Accumulator(limits, weigh, memory), Accumulator(limits, weigh, memory)
    woken = [one.put(entry(name, size=10_000)) for name in "abc"]
    assert woken == [True, True, True]
    assert one.backlog().pressing
    assert [other.put(entry(name, size=3000)) for name in "ab"] == [True, True]
    assert other.backlog().pressing
    one.settle(delivered=len(one.take(9)))
    assert not other.backlog().pressing
    assert not one.backlog().pressing


def test_a_worker_is_woken_four_times_a_small_batch_at_most():
    """For the first entry, a full batch, half of the room, and a drop: not for each entry, once
    callers are not throttled any more."""
    queue = accumulator(max_bytes=60, batch_frames=3, batch_bytes=100)
    queue.begin_throttle(math.inf)
    woken = [queue.put(entry(name)) for name in "abcdefgh"]
    assert woken == [True, False, True, True, False, False, True, False]
    queue.take(9)
    assert [queue.put(entry(name)) for name in "ij"] == [False, False]
    queue.claim_drops()
    queue.settle(delivered=6)
    assert queue.put(entry("k"))


def test_a_batch_is_full_by_packets_or_by_bytes():
    """Whichever is reached first."""
    queue = accumulator(batch_frames=3, batch_bytes=50)
    queue.put(entry("a", size=49, frames=2))
    assert not queue.backlog().full_batch
    queue.put(entry("b", size=1, frames=0))
    assert queue.backlog().full_batch
    queue.take(1)
    assert not queue.backlog().full_batch
    queue.put(entry("c", size=1, frames=3))
    assert queue.backlog().full_batch


def test_what_is_given_back_is_as_old_as_it_was():
    """It does not wait for another interval."""
    queue = accumulator()
    queue.put(entry("a"))
    queue.put(entry("b"))
    since = queue.backlog().since
    queue.resize_taken(10, returned=queue.take(2)[1:])
    assert queue.backlog().since == since


def test_what_is_put_back_before_an_entry_that_never_wakes_keeps_a_clock():
    """It is a reason to send, and must not wait for another one."""
    queue = accumulator()
    queue.put(entry("a"))
    taken = queue.take(1)
    queue.put(entry("never wakes"), never_wakes=True)
    queue.resize_taken(0, returned=taken)
    assert queue.backlog().since < math.inf
    assert names(queue.take(9)) == ["a", "never wakes"]


def test_never_waking_entries_that_were_dropped_keep_no_clock_from_starting():
    """The next record is not one of them."""
    queue = accumulator(max_bytes=30)
    for name in "abc":
        queue.put(entry(name), never_wakes=True)
    queue.put(entry("large", size=30))
    queue.take(9)
    queue.settle(delivered=1)
    assert queue.put(entry("d"))
    assert queue.backlog().since < math.inf


def with_the_same_locks():
    """Two accumulators of a pool, for batches of a hundred records."""
    pool = MemoryPool(10**6, may_reclaim=True)
    limits = BufferLimits(10**6, "drop_oldest", 100, 10**6)
    one, *others = [Accumulator(limits, lambda entry: (10, 1), pool) for _ in range(100)]
    return one, next(queue for queue in others if queue.lock is one.lock)


def test_what_comes_while_an_operation_is_interrupted_is_due_in_time():
    """Another queue's operation, too: those of a pool share locks."""
    one, other = with_the_same_locks()
    with one.lock, one._under_way:
        # A signal handler logs, and flushes meanwhile, so that a worker looks.
        assert other.append(("entry",))
        assert other.backlog().records == 1
        assert other.backlog().since < math.inf


def test_what_comes_after_an_operation_was_interrupted_wakes_a_worker():
    """Even if the queue was emptied meanwhile, so that it looks less often than it must."""
    one, other = with_the_same_locks()
    assert other.append(("entry",))
    with one.lock, one._under_way:
        # A signal handler flushes meanwhile, so that a worker delivers.
        assert len(other.take(10)) == 1
        other.resize_taken(10)
        other.settle(delivered=1)
    assert other.append(("entry",))
