"""The bounded queue of a stream: what enters, gives way and leaves, and what a flush waits for."""

import math
import threading
import time
from collections import deque

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._wire.entry import LIGHT
from tests.buffer.shared import accumulator, counts, entry, names, weigh


def test_entries_leave_in_the_order_they_came():
    """First in, first out, also for what is given back."""
    queue = accumulator()
    for name in "abcde":
        queue.put(entry(name))
    taken = queue.take(3)
    queue.keep(10, back=taken[1:])
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
    waiting.join(5)
    assert not waiting.is_alive()
    queue.put(entry("b"))
    waiting = threading.Thread(target=queue.wait_for_room, args=(10, 20))
    waiting.start()
    queue.reject_from_now("closed")
    waiting.join(5)
    assert not waiting.is_alive()


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
    queue.report_drops()
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


def test_abandoned_entries_are_dropped_and_nothing_counts_twice():
    """What a late answer says of them is not heard any more."""
    queue = accumulator()
    for name in "abcd":
        queue.put(entry(name))
    taken = queue.take(2)
    assert queue.abandon("shutdown") == 4
    assert queue.abandon("shutdown") == 0
    queue.settle(delivered=2)
    queue.keep(0, back=taken)
    assert counts(queue) == (4, 0, 0, {"shutdown": 4})


def test_drops_are_to_be_reported_except_for_rejected_records():
    """Those are only counted."""
    queue = accumulator(max_bytes=20)
    for name in "abc":
        queue.put(entry(name))
    queue.drop("format_error")
    assert queue.ledger.has_unreported
    assert queue.report_drops() == {"buffer_full": 1, "format_error": 1}
    assert not queue.ledger.has_unreported
    queue.reject_from_now("closed")
    assert not queue.put(entry("d"))
    queue.count_rejected()
    assert not queue.ledger.has_unreported
    assert queue.ledger.total_reportable() == 2
    assert counts(queue)[3] == {"buffer_full": 1, "format_error": 1, "closed": 2}


def test_waiting_for_a_mark_ends_when_what_was_queued_before_has_left():
    """Entries that came later do not matter, however they leave."""
    queue = accumulator(on_full="drop_newest", max_bytes=30)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.flushes.begin()
    for name in "cdefg":
        queue.put(entry(name))
    assert not queue.flushes.is_over(mark)
    queue.take(2)
    queue.settle(delivered=1)
    assert not queue.flushes.is_over(mark)
    assert queue.backlog().flushing
    queue.settle(dropped=1)
    assert queue.flushes.is_over(mark)
    assert not queue.backlog().flushing


def test_later_entries_that_give_way_do_not_end_the_wait_for_earlier_ones():
    """What counts is whether those before the mark have left, not how many have."""
    queue = accumulator(max_bytes=50)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.flushes.begin()
    queue.take(2)
    for name in "cdefghij":
        queue.put(entry(name))
    assert counts(queue)[3] == {"buffer_full": 5}
    assert not queue.flushes.is_over(mark)
    queue.settle(delivered=2)
    assert queue.flushes.is_over(mark)


def test_what_gives_way_behind_those_being_sent_does_not_end_the_wait_for_them():
    """Not even if they are put back, and so are the first of those that wait."""
    queue = accumulator(max_bytes=30)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.flushes.begin()
    taken = queue.take(2)
    for name in "cdef":
        queue.put(entry(name))
    queue.keep(10, back=taken[1:])
    queue.settle(delivered=1)
    assert not queue.flushes.is_over(mark)
    assert queue.backlog().flushing
    queue.take(1)
    queue.settle(delivered=1)
    assert queue.flushes.is_over(mark)
    assert not queue.backlog().flushing
    assert counts(queue) == (6, 2, 1, {"buffer_full": 3})


def test_a_light_entry_that_comes_too_late_is_not_waited_for():
    """All is given up, and so is it, whenever somebody looks."""
    queue = accumulator()
    queue.reject_from_now("closed")
    queue.abandon("shutdown")
    queue._queue.entries.append(entry("late"))
    mark = queue.flushes.begin()
    assert queue.flushes.is_over(mark)
    assert not queue.backlog().flushing
    assert counts(queue) == (1, 0, 0, {"closed": 1})


def test_what_a_flush_waits_for_is_known_for_as_long_as_it_waits():
    """However many there were while nothing leaves."""
    queue = accumulator()
    queue.put(entry("a"))
    before = len(queue._queue._marks)
    marks = [queue.flushes.begin() for _ in range(3)]
    queue.flushes.begin_and_end()
    assert len(queue._queue._marks) == before + 3
    for mark in marks:
        queue.flushes.end(mark)
    assert len(queue._queue._marks) == before


def test_entries_refused_before_a_mark_do_not_prolong_the_wait_for_it():
    """What waits is weighed when room gets scarce, which may be after a flush has begun."""
    queue = accumulator(max_bytes=10 * LIGHT, on_full="drop_newest")
    for name in "abcd":
        queue.append(entry(name, size=LIGHT // 2))
    marks = [queue.flushes.begin()]
    queue.append(entry("e", size=LIGHT // 2))
    marks.append(queue.flushes.begin())
    taken = queue.take(1)
    # As frames it holds more than it did before.
    queue.keep(9 * LIGHT + LIGHT // 2)
    assert counts(queue)[2:] == (2, {"buffer_full": 3})
    for name in taken + queue.take(5):
        assert [queue.flushes.is_over(mark) for mark in marks] == [False, False], name
        assert queue.backlog().flushing
        queue.settle(delivered=1)
    assert [queue.flushes.is_over(mark) for mark in marks] == [True, True]
    assert not queue.backlog().flushing


def test_what_is_given_back_is_as_old_as_it_was():
    """It does not wait for another interval."""
    queue = accumulator()
    queue.put(entry("a"))
    queue.put(entry("b"))
    since = queue.backlog().since
    queue.keep(10, back=queue.take(2)[1:])
    assert queue.backlog().since == since


def test_a_record_logged_in_the_middle_of_an_operation_finds_it_done_or_not_begun():
    """As by a garbage collection or a signal between any two steps: the counts stay right."""
    queue = accumulator(max_bytes=30)

    nested = []

    class Interrupted(deque):
        def popleft(self):
            taken = super().popleft()
            if len(nested) < 2:
                nested.append(taken)
                queue.put(entry("nested", size=25))
            return taken

    queue._queue.entries = queue._entries = Interrupted()
    queue._append = queue._entries.append
    for name in "abc":
        queue.put(entry(name))
    taken = queue.take(3)
    accepted, _, pending, dropped = counts(queue)
    assert accepted == 3 + len(nested)
    assert pending == len(taken) + len(queue._queue.entries)
    assert dropped["buffer_full"] == accepted - pending


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
    stop = threading.Event()

    def put():
        for number in range(3000):
            queue.put(entry(number))

    def take():
        while not stop.is_set():
            taken = queue.take(7)
            queue.keep(50, back=taken[5:])
            if taken[:5]:
                queue.settle(delivered=len(taken[1:5]), dropped=1)

    putting = [threading.Thread(target=put) for _ in range(3)]
    taking = threading.Thread(target=take)
    for thread in [*putting, taking]:
        thread.start()
    while any(thread.is_alive() for thread in putting):
        counts(queue)
    stop.set()
    taking.join()
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


def test_what_is_put_back_before_an_entry_that_never_wakes_keeps_a_clock():
    """It is a reason to send, and must not wait for another one."""
    queue = accumulator()
    queue.put(entry("a"))
    taken = queue.take(1)
    queue.put(entry("never wakes"), never_wakes=True)
    queue.keep(0, back=taken)
    assert queue.backlog().since < math.inf
    assert names(queue.take(9)) == ["a", "never wakes"]


def test_heavy_entries_are_a_congestion_when_they_hold_half_of_the_room():
    """Until some are taken; and only for as long as throttling may be of use."""
    queue = accumulator(max_bytes=100)
    for name in "abcde":
        queue.put(entry(name))
        assert not queue.is_congested
    assert queue.put(entry("f"))
    assert queue.is_congested
    queue.take(2)
    queue.keep(20)
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
    queue.keep(20, back=taken[2:])
    queue.put(entry("i", size=20))
    assert counts(queue) == (9, 0, 9, {})
    queue.settle(delivered=2)
    assert names(queue.take(9)) == list("cdefghi")


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
