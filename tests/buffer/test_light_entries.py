"""Light entries: those that the worker weighs, if need be, and renders."""

import math

import pytest

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._wire.entry import LIGHT
from tests.buffer.shared import accumulator, counts, entry, names, put_and_take, weigh


def roomy(**limits):
    """An accumulator with room for a hundred light entries that are not weighed."""
    return accumulator(
        **{"max_bytes": 100 * LIGHT, "batch_frames": 10, "batch_bytes": 10**9, **limits}
    )


def never(entry):
    raise AssertionError("was weighed")


def test_light_entries_are_not_weighed_while_there_is_room_in_any_case():
    """They are queued, taken and settled without it."""
    queue = Accumulator(BufferLimits(100 * LIGHT, "drop_oldest", 10, 10**9), never)
    for name in range(100):
        queue.append(entry(name))
    taken = queue.take(60)
    queue.settle(delivered=60)
    assert names(taken) == list(range(60))
    assert names(queue.take(99)) == list(range(60, 100))
    assert counts(queue) == (100, 60, 40, {})


def test_nothing_is_weighed_to_flush_it_while_there_is_room_in_any_case():
    """It costs more than to write it."""
    queue = Accumulator(BufferLimits(100 * LIGHT, "drop_oldest", 10, 10**9), never)
    for name in range(50):
        queue.append(entry(name))
    mark = queue.begin_flush()
    assert names(queue.take(99)) == list(range(50))
    assert not queue.is_flushed(mark)
    queue.settle(delivered=50)
    assert queue.is_flushed(mark)


def test_light_entries_are_weighed_before_they_can_hold_too_much():
    """What they really hold decides; then the oldest give way."""
    queue = roomy()
    for name in range(1000):
        queue.append(entry(name, size=LIGHT // 4))
        held = sum(size for size, _, _ in queue.entries[queue.gone :])
        assert held <= 100 * LIGHT
    assert counts(queue) == (1000, 0, 400, {"buffer_full": 600})
    assert names(queue.take(9999)) == list(range(600, 1000))


def test_light_and_other_entries_keep_their_order():
    """However they were put."""
    queue = roomy()
    for name in range(50):
        (queue.put if name % 3 else queue.append)(entry(name))
    taken = queue.take(20)
    queue.resize_taken(100, returned=taken[10:])
    assert names(queue.take(99)) == list(range(10, 50))


@pytest.mark.parametrize(
    "weight",
    [
        {"size": LIGHT + 200},
        {"size": 3 * LIGHT},
        {"size": 10, "frames": 2},
        {"size": 20 * LIGHT, "frames": 5},
    ],
)
def test_an_entry_that_is_not_light_waits_like_one(weight):
    """It is weighed when it comes and when it is taken; those before it are not."""
    weighed = []

    def note(entry):
        weighed.append(entry)
        return weigh(entry)

    queue = Accumulator(BufferLimits(1000 * LIGHT, "drop_oldest", 500, 10**9), note)
    for name in range(20):
        queue.append(entry(name))
        queue.put(entry(name, **weight))
    assert len(weighed) <= 20 + 20
    assert queue.frames == 20 * (1 + weight.get("frames", 1))
    assert queue.most_bytes >= 20 * weight["size"]
    assert len(queue.take(40)) == 40
    assert queue.in_transit_bytes >= 20 * weight["size"]
    assert (queue.heavy, queue.heavy_bytes, queue.heavy_frames) == (0, 0, 0)


def test_a_worker_is_woken_for_the_first_light_entry_and_for_a_full_batch():
    """And not for those between, and after."""
    queue = roomy()
    assert [queue.append(entry(name)) for name in range(30)] == [
        number in (0, 9) for number in range(30)
    ]
    queue.take(99)
    assert queue.backlog().since == math.inf
    assert [queue.append(entry(name)) for name in range(3)] == [True, False, False]


def test_reading_the_counts_takes_no_news_from_the_worker():
    """The next entry wakes it all the same."""
    queue = roomy()
    queue.entries.append(entry("appended by a thread that has not looked yet"))
    counts(queue)
    assert queue.append(entry("b"))


def test_a_light_entry_for_which_no_worker_was_woken_has_a_clock_when_one_looks():
    """As one that comes while the queue is being emptied."""
    queue = roomy()
    queue.append(entry("a"))
    queue.take(1)
    queue.entries.append(entry("b"))
    assert queue.backlog().since < math.inf


def test_never_waking_entries_before_light_ones_start_no_clock():
    """The light one does."""
    queue = roomy()
    queue.put(entry("never wakes"), never_wakes=True)
    queue.put(entry("never wakes either"), never_wakes=True)
    assert queue.backlog().since == math.inf
    assert queue.append(entry("loud"))
    assert queue.backlog().since < math.inf


def test_light_entries_that_come_after_the_end_are_rejected():
    """By a thread that had not seen it yet; what comes just before is still delivered."""
    queue = roomy()
    queue.append(entry("a"))
    queue.reject_from_now("closed")
    queue.append(entry("b"))
    assert counts(queue) == (2, 0, 2, {})
    assert names(queue.take(1)) == ["a"]
    queue.settle(delivered=1)
    assert queue.abandon("shutdown") == 1
    queue.append(entry("c"))
    assert counts(queue) == (3, 1, 0, {"closed": 1, "shutdown": 1})
    assert queue.take(9) == []


def test_the_newest_light_entries_give_way_with_drop_newest():
    """Those that do not fit when they are weighed."""
    queue = roomy(on_full="drop_newest")
    for name in range(300):
        queue.append(entry(name, size=LIGHT // 2))
    assert counts(queue) == (300, 0, 200, {"buffer_full": 100})
    assert names(queue.take(999)) == list(range(200))


def test_a_batch_is_full_by_the_bytes_of_light_entries_too():
    """They are weighed when they could make one."""
    queue = roomy(batch_frames=1000, batch_bytes=4 * LIGHT)
    woken = [queue.append(entry(name, size=LIGHT // 2)) for name in range(10)]
    assert woken == [number in (0, 7) for number in range(10)]


def test_what_has_been_taken_holds_what_it_has_become():
    """Until it is settled, nobody else gets that room."""
    queue = roomy()
    for name in range(10):
        queue.append(entry(name))
    queue.take(10)
    queue.resize_taken(100 * LIGHT - 5)
    queue.put(entry("too large", size=10))
    assert counts(queue) == (11, 0, 10, {"buffer_full": 1})
    queue.settle(delivered=10)
    queue.put(entry("fits", size=10))
    assert counts(queue) == (12, 10, 1, {"buffer_full": 1})


def test_an_entry_put_in_the_middle_of_an_operation_is_seen_at_its_end():
    """As by a signal while entries are weighed."""
    nested = []

    def weigh_and_log(one):
        if len(nested) < 3:
            nested.append(one)
            queue.append(entry("nested", size=1))
        return weigh(one)

    queue = Accumulator(BufferLimits(50, "drop_oldest", 99, 999), weigh_and_log)
    for name in "abcdefgh":
        queue.append(entry(name))
    accepted, _, pending, dropped = counts(queue)
    assert len(nested) == 3
    assert accepted == 8 + 3
    assert pending == len(queue.entries) == len(queue.take(99))
    assert dropped["buffer_full"] == accepted - pending


def test_the_ledger_balances_while_light_entries_come_and_go():
    """Whatever many threads put while others take, give back, settle and look."""
    queue = roomy()

    def put():
        for number in range(5000):
            (queue.put if number % 7 == 0 else queue.append)(entry(number, size=LIGHT // 3))

    put_and_take(queue, put, threads=4, taken_bytes=5 * LIGHT)
    accepted, delivered, pending, dropped = counts(queue)
    assert accepted == 20000
    assert delivered
    assert dropped["refused"]
    # Without the places of dropped ones.
    assert pending == len(list(filter(None, queue.entries))) <= 300


@pytest.mark.parametrize("put", ["put", "append"])
def test_an_entry_put_in_the_middle_of_an_operation_wakes_a_worker(put):
    """The operation may be one that wakes none, such as a look at how full the memory is."""
    woken = []

    def weigh_and_log(one):
        if not woken:
            woken.append(None)
            woken[:] = [getattr(queue, put)(entry("nested"))]
        return weigh(one)

    queue = Accumulator(BufferLimits(100 * LIGHT, "drop_oldest", 10, 10**9), weigh_and_log)
    queue.entries.append(entry("appended by a thread that has not looked yet"))
    queue.fill_ratio()
    assert woken == [True]
