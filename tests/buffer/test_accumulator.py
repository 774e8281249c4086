"""The bounded queue of a stream: which entries enter, give way and leave."""

import math
import threading
import time
import weakref

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from tests.buffer.shared import (
    InterruptedLock,
    accumulator,
    counts,
    entry,
    names,
    put_and_take,
    weigh,
)


def test_entries_leave_in_the_order_they_came():
    """First in, first out, also for what is given back."""
    queue = accumulator()
    for name in "abcde":
        queue.put(entry(name))
    taken = queue.take(3)
    queue.resize_taken(10, returned=taken[1:])
    assert names(taken) == ["a", "b", "c"]
    assert names(queue.take(9)) == ["b", "c", "d", "e"]


def test_the_oldest_give_way_to_the_newest():
    """`drop_oldest` drops as many as the new entry needs."""
    queue = accumulator(max_bytes=30)
    for name in "abc":
        queue.put(entry(name))
    queue.put(entry("d", size=15))
    assert counts(queue) == (4, 0, 2, {"buffer_full": 2})
    assert names(queue.take(9)) == ["c", "d"]


def test_the_newest_give_way_with_drop_newest():
    """What is queued stays."""
    queue = accumulator(max_bytes=30, on_full="drop_newest")
    for name in "abcd":
        queue.put(entry(name))
    assert counts(queue) == (4, 0, 3, {"buffer_full": 1})
    assert names(queue.take(9)) == ["a", "b", "c"]


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest", "block"])
def test_an_entry_larger_than_the_buffer_drops_nothing_but_itself(on_full):
    """It could never fit, so nothing makes way for it and nobody waits."""
    queue = accumulator(max_bytes=30, on_full=on_full)
    queue.put(entry("a"))
    assert queue.put(entry("b", size=31), may_wait=True) is not None
    assert counts(queue) == (2, 0, 1, {"buffer_full": 1})
    assert names(queue.take(9)) == ["a"]


def test_nothing_gives_way_to_an_entry_that_would_not_fit_all_the_same():
    """What is being sent cannot give way; the queue is not emptied in vain."""
    queue = accumulator(max_bytes=30)
    queue.put(entry("a", size=20))
    queue.take(1)
    queue.put(entry("b"))
    queue.put(entry("c", size=15))
    assert counts(queue) == (3, 0, 2, {"buffer_full": 1})
    assert names(queue.take(9)) == ["b"]


def test_what_is_being_sent_counts_towards_the_bound():
    """MemoryPool is free again when a batch is settled, not when it is taken."""
    queue = accumulator(max_bytes=30)
    for name in "abc":
        queue.put(entry(name))
    queue.take(3)
    queue.put(entry("d"))
    assert counts(queue) == (4, 0, 3, {"buffer_full": 1})
    queue.settle(delivered=2)
    queue.put(entry("e"))
    assert counts(queue) == (5, 2, 1, {"buffer_full": 2})
    queue.settle(delivered=1)
    queue.put(entry("f"))
    assert counts(queue) == (6, 3, 1, {"buffer_full": 2})


def test_a_caller_that_may_wait_learns_that_there_is_no_room():
    """Nothing is counted, and what is queued is due, so that there will be room."""
    queue = accumulator(max_bytes=30, on_full="block", batch_bytes=1000, batch_frames=1000)
    queue.put(entry("a", size=20))
    assert not queue.backlog().full_batch
    assert queue.put(entry("b", size=20), may_wait=True) is None
    assert counts(queue) == (1, 0, 1, {})
    assert queue.backlog().full_batch


def test_a_caller_that_waits_for_room_goes_on_when_a_batch_is_settled():
    """Or when the accumulator is closed."""
    queue = accumulator(max_bytes=10, on_full="block")
    queue.put(entry("a"))
    waiting = threading.Thread(target=queue.wait_for_room, args=(10, 20))
    waiting.start()
    queue.take(1)
    time.sleep(0.05)
    assert waiting.is_alive()
    queue.settle(delivered=1)
    waiting.join(100)
    assert not waiting.is_alive()
    queue.put(entry("b"))
    waiting = threading.Thread(target=queue.wait_for_room, args=(10, 20))
    waiting.start()
    queue.reject_from_now("closed")
    waiting.join(100)
    assert not waiting.is_alive()


def test_abandoned_entries_are_dropped_and_nothing_counts_twice():
    """What a late answer says of them is not heard any more."""
    queue = accumulator()
    for name in "abcd":
        queue.put(entry(name))
    taken = queue.take(2)
    assert queue.abandon("shutdown") == 4
    assert queue.abandon("shutdown") == 0
    queue.settle(delivered=2)
    queue.resize_taken(0, returned=taken)
    assert counts(queue) == (4, 0, 0, {"shutdown": 4})


def test_drops_are_to_be_reported_except_for_rejected_records():
    """Those are only counted."""
    queue = accumulator(max_bytes=20)
    for name in "abc":
        queue.put(entry(name))
    queue.drop("format_error")
    assert queue.ledger.has_unreported
    assert queue.claim_drops() == {"buffer_full": 1, "format_error": 1}
    assert not queue.ledger.has_unreported
    queue.reject_from_now("closed")
    assert not queue.put(entry("d"))
    queue.count_rejected()
    assert not queue.ledger.has_unreported
    assert queue.ledger.total_reportable() == 2
    assert counts(queue)[3] == {"buffer_full": 1, "format_error": 1, "closed": 2}


def test_a_record_logged_in_the_middle_of_an_operation_finds_it_done_or_not_begun():
    """As by a garbage collection or a signal between any two steps: the counts stay right."""
    queue = accumulator(max_bytes=30)

    nested = []

    class Interrupted(list):
        def __delitem__(self, where):
            super().__delitem__(where)
            while len(nested) < 2:
                nested.append(where)
                queue.put(entry("nested", size=25))

    queue.entries = Interrupted()
    for name in "abc":
        queue.put(entry(name))
    taken = queue.take(3)
    accepted, _, pending, dropped = counts(queue)
    assert accepted == 3 + len(nested)
    assert pending == len(taken) + len(queue.entries)
    assert dropped["buffer_full"] == accepted - pending


def test_dropped_entries_let_go_of_their_values_and_later_of_their_places():
    """Removing each by itself would move all others each time."""

    class Value:
        """Something that can be referred to weakly."""

        def __init__(self, number):
            self.number = number

    queue = accumulator(max_bytes=1000)
    values = weakref.WeakSet()
    most_places = 0
    for number in range(500):
        value = Value(number)
        values.add(value)
        queue.put(entry(value))
        del value
        assert len(values) <= 101
        most_places = max(most_places, len(queue.entries))
    assert 100 < most_places <= 115
    assert counts(queue) == (500, 0, 100, {"buffer_full": 400})
    assert [value.number for value in names(queue.take(500))] == list(range(400, 500))
    assert not values
    assert not queue.entries


def test_a_record_logged_while_the_others_are_abandoned_is_counted_as_they_are():
    """Also right after the places of dropped ones were removed."""
    queue = accumulator(max_bytes=1000)
    for name in range(105):
        queue.put(entry(name))
    queue.reject_from_now("after_close")
    nested = []

    class Interrupted(list):
        def __delitem__(self, where):
            super().__delitem__(where)
            if not nested:
                nested.append(where)
                queue.append(entry("nested"))
                queue.look()

    assert queue.gone
    queue.entries = Interrupted(queue.entries)
    queue.abandon("stream_gone")
    accepted, _, pending, dropped = counts(queue)
    assert nested
    assert (accepted, pending, sum(dropped.values())) == (106, 0, 106)


@pytest.mark.parametrize("is_removed", [False, True])
def test_ctrl_c_while_entries_are_taken_leaves_them_all_in_the_queue(is_removed):
    """Whether it strikes before or after they are removed from it."""
    queue = accumulator(max_bytes=1000)

    class Interrupted(list):
        def __delitem__(self, where):
            if is_removed:
                super().__delitem__(where)
            raise KeyboardInterrupt

    for name in range(10):
        queue.put(entry(name))
    queue.entries = Interrupted(queue.entries)
    with pytest.raises(KeyboardInterrupt):
        queue.take(4)
    queue.entries = [*queue.entries]
    assert counts(queue) == (10, 0, 10, {})
    assert names(queue.take(99)) == list(range(10))


@pytest.mark.parametrize("calls", range(1, 12))
def test_an_exception_in_the_middle_of_an_operation_leaves_a_queue_that_works(calls):
    """As of a signal's handler, or at the recursion limit, wherever it strikes."""
    left = [calls]

    def weigh_or_fail(one):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return weigh(one)

    queue = Accumulator(BufferLimits(60, "drop_oldest", 3, 1000), weigh_or_fail)
    failed = 0
    for name in "abcdefgh":
        try:
            queue.put(entry(name))
        except KeyboardInterrupt:
            failed += 1
            queue.put(entry("again"))
    assert failed == 1
    accepted, _, pending, dropped = counts(queue)
    # It may have been queued before the exception.
    assert accepted in (8, 9)
    assert pending == 6
    assert dropped["buffer_full"] == accepted - 6
    assert names(queue.take(9))[-2:] == ["g", "h"]
    queue.settle(delivered=6)
    assert queue.put(entry("i"))
    assert names(queue.take(9)) == ["i"]


def test_the_ledger_balances_at_any_moment():
    """Whatever many threads put while others take, settle and look."""
    queue = accumulator(max_bytes=500)

    def put():
        for number in range(3000):
            queue.put(entry(number))

    put_and_take(queue, put, threads=3, taken_bytes=50)
    accepted, delivered, _, dropped = counts(queue)
    assert accepted == 9000
    assert delivered
    assert dropped["refused"]


def test_a_record_that_fails_after_the_end_is_rejected_like_others():
    """There is nobody left to report it to."""
    queue = accumulator()
    queue.reject_from_now("closed")
    assert not queue.drop("format_error")
    assert counts(queue) == (1, 0, 0, {"closed": 1})
    assert queue.ledger.total_reportable() == 0


def test_heavy_entries_are_a_congestion_when_they_hold_half_of_the_room():
    """Until some are taken; and only for as long as throttling may be of use."""
    queue = accumulator(max_bytes=100)
    for name in "abcde":
        queue.put(entry(name))
        assert not queue.is_congested
    assert queue.put(entry("f"))
    assert queue.is_congested
    queue.take(2)
    queue.resize_taken(20)
    assert queue.is_nearly_empty
    queue.put(entry("g"))
    assert queue.is_congested
    queue.begin_throttle(math.inf)
    assert not queue.is_congested


def test_what_is_put_back_holds_memory_once():
    """Weighed entries count when they are queued, not when they were taken as well."""
    queue = accumulator(max_bytes=100, batch_bytes=1000, batch_frames=1000)
    for name in "abcdefgh":
        queue.put(entry(name))
    taken = queue.take(8)
    queue.resize_taken(20, returned=taken[2:])
    queue.put(entry("i", size=20))
    assert counts(queue) == (9, 0, 9, {})
    queue.settle(delivered=2)
    assert names(queue.take(9)) == list("cdefghi")


def test_a_stream_whose_record_is_logged_while_memory_is_allotted_gets_its_share():
    """As a garbage collection may log it."""
    pool = MemoryPool(10**9, may_reclaim=True)

    class Holder:
        in_transit_bytes = 0
        allowed_now = 0
        interruption = None

        @property
        def allowed(self):
            if self.interruption is not None:
                interruption, self.interruption = self.interruption, None
                interruption()
            return self.allowed_now

        @allowed.setter
        def allowed(self, number):
            self.allowed_now = number

    first, second, late = Holder(), Holder(), Holder()
    pool.reserve(first, 1)
    # The next time that the pool looks at all holders.
    first.interruption = lambda: pool.reserve(late, 1000)
    for _ in range(200):
        pool.reserve(second, second.allowed + 1)
    assert late.allowed >= 1000


def test_an_interruption_leaves_no_lock_held():
    """All workers would wait for it, again and again, for as long as the process runs."""
    pool = MemoryPool(100_000, may_reclaim=True)
    pool._lock = InterruptedLock()
    queue = Accumulator(BufferLimits(100_000, "drop_oldest", 3, 50), weigh, pool)
    with pytest.raises(KeyboardInterrupt):
        pool.reserve(queue, 1000)
    assert not pool._lock._is_owned()
    queue.lock = InterruptedLock()
    with pytest.raises(KeyboardInterrupt):
        queue.shrink(1.0)
    assert not queue.lock._is_owned()
