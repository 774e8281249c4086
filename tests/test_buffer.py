"""The bounded queue and its books."""

import threading
import time

import pytest

from logplex_handler._buffer import Buffer, BufferLimits


def buffer(max_bytes=100, on_full="drop_oldest", block_seconds=0.2, batch_frames=3, batch_bytes=50):
    return Buffer(BufferLimits(max_bytes, on_full, block_seconds, batch_frames, batch_bytes))


def entry(name, size=10, frames=1):
    return (size, frames, name)


def names(entries):
    return [name for _, _, name in entries]


def books(of):
    accepted, delivered, pending, dropped = of.books()
    assert accepted == delivered + pending + sum(dropped.values())
    return accepted, delivered, pending, dropped


def test_entries_leave_in_the_order_they_came():
    """First in, first out, also for what is given back."""
    queue = buffer()
    for name in "abcde":
        queue.put(entry(name))
    taken = queue.take(3)
    queue.give_back(taken[1:])
    assert names(taken) == ["a", "b", "c"]
    assert names(queue.take(9)) == ["b", "c", "d", "e"]


def test_the_oldest_give_way_to_the_newest():
    """`drop_oldest` drops as many as the new entry needs."""
    queue = buffer(max_bytes=30)
    for name in "abc":
        queue.put(entry(name))
    queue.put(entry("d", size=15))
    assert books(queue) == (4, 0, 2, {"buffer_full": 2})
    assert names(queue.take(9)) == ["c", "d"]


def test_the_newest_give_way_with_drop_newest():
    """What is queued stays."""
    queue = buffer(max_bytes=30, on_full="drop_newest")
    for name in "abcd":
        queue.put(entry(name))
    assert books(queue) == (4, 0, 3, {"buffer_full": 1})
    assert names(queue.take(9)) == ["a", "b", "c"]


@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest", "block"])
def test_an_entry_larger_than_the_buffer_drops_nothing_but_itself(on_full):
    """It could never fit, so nothing makes way for it and nobody waits."""
    queue = buffer(max_bytes=30, on_full=on_full, block_seconds=60)
    queue.put(entry("a"))
    queue.put(entry("b", size=31))
    assert books(queue) == (2, 0, 1, {"buffer_full": 1})
    assert names(queue.take(9)) == ["a"]


def test_what_is_being_sent_counts_towards_the_bound():
    """Memory is free again when a batch is settled, not when it is taken."""
    queue = buffer(max_bytes=30)
    for name in "abc":
        queue.put(entry(name))
    queue.take(3)
    queue.put(entry("d"))
    assert books(queue) == (4, 0, 3, {"buffer_full": 1})
    queue.settle(delivered=3, done=True)
    queue.put(entry("e"))
    assert books(queue) == (5, 3, 1, {"buffer_full": 1})


def test_blocking_waits_for_room():
    """The caller goes on as soon as a batch is settled."""
    queue = buffer(max_bytes=10, on_full="block", block_seconds=10)
    queue.put(entry("a"))
    waiting = threading.Thread(target=queue.put, args=(entry("b"),))
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    assert books(queue) == (1, 0, 1, {})
    queue.take(1)
    queue.settle(delivered=1, done=True)
    waiting.join(5)
    assert books(queue) == (2, 1, 1, {})


def test_blocking_ends_with_the_time():
    """Then the new entry is dropped."""
    queue = buffer(max_bytes=10, on_full="block", block_seconds=0.1)
    queue.put(entry("a"))
    started = time.monotonic()
    queue.put(entry("b"))
    assert 0.1 <= time.monotonic() - started < 2
    assert books(queue) == (2, 0, 1, {"buffer_full": 1})


def test_one_who_may_not_block_does_not():
    """The delivering thread itself would wait for itself."""
    queue = buffer(max_bytes=10, on_full="block", block_seconds=60)
    queue.put(entry("a"))
    queue.put(entry("b"), may_block=False)
    assert books(queue) == (2, 0, 1, {"buffer_full": 1})


def test_closing_ends_the_wait_of_those_who_block():
    """Their entries are counted as `closed`."""
    queue = buffer(max_bytes=10, on_full="block", block_seconds=60)
    queue.put(entry("a"))
    waiting = threading.Thread(target=queue.put, args=(entry("b"),))
    waiting.start()
    time.sleep(0.05)
    queue.turn_away("closed")
    waiting.join(5)
    assert books(queue) == (2, 0, 1, {"closed": 1})


def test_the_sender_is_woken_three_times_a_batch_at_most():
    """For the first entry, for a full batch, and for a drop: not for each entry."""
    queue = buffer(max_bytes=60, batch_frames=3)
    woken = [queue.put(entry(name)) for name in "abcdefgh"]
    assert woken == [True, False, True, False, False, False, True, False]
    queue.take(9)
    assert [queue.put(entry(name)) for name in "ij"] == [False, False]
    queue.take_untold()
    queue.settle(delivered=6, done=True)
    assert queue.put(entry("k"))


def test_a_batch_is_full_by_packets_or_by_bytes():
    """Whichever is reached first."""
    queue = buffer(batch_frames=3, batch_bytes=50)
    queue.put(entry("a", size=49, frames=2))
    assert not queue.waiting().full_batch
    queue.put(entry("b", size=1, frames=0))
    assert queue.waiting().full_batch
    queue.take(1)
    assert not queue.waiting().full_batch
    queue.put(entry("c", size=1, frames=3))
    assert queue.waiting().full_batch


def test_abandoned_entries_are_dropped_and_nothing_counts_twice():
    """What a late answer says of them is not heard any more."""
    queue = buffer()
    for name in "abcd":
        queue.put(entry(name))
    taken = queue.take(2)
    assert queue.abandon("shutdown") == 4
    assert queue.abandon("shutdown") == 0
    queue.settle(delivered=2, done=True)
    queue.give_back(taken)
    assert books(queue) == (4, 0, 0, {"shutdown": 4})


def test_drops_are_told_once():
    """Each is handed out once, but for those that nobody can be told of."""
    queue = buffer(max_bytes=20)
    for name in "abc":
        queue.put(entry(name))
    queue.refuse("format_error")
    assert queue.take_untold() == {"buffer_full": 1, "format_error": 1}
    assert not queue.has_untold
    queue.turn_away("closed")
    assert not queue.put(entry("d"))
    assert not queue.refuse("format_error")
    assert queue.take_untold() == {}
    assert books(queue)[3] == {"buffer_full": 1, "format_error": 1, "closed": 2}


def test_waiting_for_a_mark_ends_when_what_was_queued_before_has_left():
    """Entries that came later do not matter, however they leave."""
    queue = buffer(on_full="drop_newest", max_bytes=30)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark, _ = queue.marks()
    for name in "cdefg":
        queue.put(entry(name))
    assert not queue.wait_until_removed(mark, 0)
    queue.take(2)
    queue.settle(delivered=1)
    assert not queue.wait_until_removed(mark, 0)
    queue.settle(dropped=1)
    assert queue.wait_until_removed(mark, 0)


def test_the_books_balance_at_any_moment():
    """Whatever many threads put while others take, settle and look."""
    queue = buffer(max_bytes=500)
    stop = threading.Event()

    def put():
        for number in range(3000):
            queue.put(entry(number))

    def take():
        while not stop.is_set():
            taken = queue.take(7)
            queue.give_back(taken[5:])
            if taken[:5]:
                queue.settle(delivered=len(taken[1:5]), dropped=1, done=True)

    putting = [threading.Thread(target=put) for _ in range(3)]
    taking = threading.Thread(target=take)
    for thread in [*putting, taking]:
        thread.start()
    while any(thread.is_alive() for thread in putting):
        books(queue)
    stop.set()
    taking.join()
    accepted, delivered, _, dropped = books(queue)
    assert accepted == 9000
    assert delivered
    assert dropped["refused"]
