"""What a flush waits for: the entries queued before it, and no others."""

from logplex_handler._wire.entry import LIGHT
from tests.buffer.shared import accumulator, counts, entry


def test_waiting_for_a_mark_ends_when_what_was_queued_before_has_left():
    """Entries that came later do not matter, however they leave."""
    queue = accumulator(on_full="drop_newest", max_bytes=30)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.begin_flush()
    for name in "cdefg":
        queue.put(entry(name))
    assert not queue.is_flushed(mark)
    queue.take(2)
    queue.settle(delivered=1)
    assert not queue.is_flushed(mark)
    assert queue.backlog().flushing
    queue.settle(dropped=1)
    assert queue.is_flushed(mark)
    assert not queue.backlog().flushing


def test_later_entries_that_give_way_do_not_end_the_wait_for_earlier_ones():
    """What counts is whether those before the mark have left, not how many have."""
    queue = accumulator(max_bytes=50)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.begin_flush()
    queue.take(2)
    for name in "cdefghij":
        queue.put(entry(name))
    assert counts(queue)[3] == {"buffer_full": 5}
    assert not queue.is_flushed(mark)
    queue.settle(delivered=2)
    assert queue.is_flushed(mark)


def test_what_gives_way_behind_those_being_sent_does_not_end_the_wait_for_them():
    """Not even if they are put back, and so are the first of those that wait."""
    queue = accumulator(max_bytes=30)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.begin_flush()
    taken = queue.take(2)
    for name in "cdef":
        queue.put(entry(name))
    queue.resize_taken(10, returned=taken[1:])
    queue.settle(delivered=1)
    assert not queue.is_flushed(mark)
    assert queue.backlog().flushing
    queue.take(1)
    queue.settle(delivered=1)
    assert queue.is_flushed(mark)
    assert not queue.backlog().flushing
    assert counts(queue) == (6, 2, 1, {"buffer_full": 3})


def test_a_light_entry_that_comes_too_late_is_not_waited_for():
    """All is given up, and so is it, whenever somebody looks."""
    queue = accumulator()
    queue.reject_from_now("closed")
    queue.abandon("shutdown")
    queue.entries.append(entry("late"))
    mark = queue.begin_flush()
    assert queue.is_flushed(mark)
    assert not queue.backlog().flushing
    assert counts(queue) == (1, 0, 0, {"closed": 1})


def test_what_a_flush_waits_for_is_known_for_as_long_as_it_waits():
    """However many there were while nothing leaves."""
    queue = accumulator()
    queue.put(entry("a"))
    queue.end_flush(queue.begin_flush())
    before = len(queue._marks)
    marks = [queue.begin_flush() for _ in range(3)]
    queue.end_flush(queue.begin_flush())
    assert len(queue._marks) == before + 3
    for mark in marks:
        queue.end_flush(mark)
    assert len(queue._marks) == before


def test_entries_refused_before_a_mark_do_not_prolong_the_wait_for_it():
    """What waits is weighed when room gets scarce, which may be after a flush has begun."""
    queue = accumulator(max_bytes=10 * LIGHT, on_full="drop_newest")
    for name in "abcd":
        queue.append(entry(name, size=LIGHT // 2))
    marks = [queue.begin_flush()]
    queue.append(entry("e", size=LIGHT // 2))
    marks.append(queue.begin_flush())
    taken = queue.take(1)
    # As frames it holds more than it did before.
    queue.resize_taken(9 * LIGHT + LIGHT // 2)
    assert counts(queue)[2:] == (2, {"buffer_full": 3})
    for name in taken + queue.take(5):
        assert [queue.is_flushed(mark) for mark in marks] == [False, False], name
        assert queue.backlog().flushing
        queue.settle(delivered=1)
    assert [queue.is_flushed(mark) for mark in marks] == [True, True]
    assert not queue.backlog().flushing


def test_records_settled_one_by_one_do_not_end_the_wait_for_later_ones():
    """As entries that cannot be written, of which there is no batch that could be through."""
    queue = accumulator()
    queue.put(entry("cannot be written"))
    queue.take(1)
    queue.settle(dropped=1, through=False)
    queue.put(entry("a"))
    queue.put(entry("b"))
    mark = queue.begin_flush()
    queue.put(entry("c"))
    queue.take(3)
    queue.settle(delivered=1)
    assert not queue.is_flushed(mark)
    queue.settle(delivered=1)
    assert queue.is_flushed(mark)
