"""The queue of a thread that waits for others."""

import queue
import threading

import pytest

from logplex_handler._process.mailbox import Mailbox


def test_items_come_in_order_and_then_none():
    box = Mailbox()
    box.put(1)
    box.put(2)
    assert [box.get(), box.get(1)] == [1, 2]
    for seconds in (0, -1, 0.01, 0.01):
        with pytest.raises(queue.Empty):
            box.get(seconds)


def test_a_reader_is_woken():
    box = Mailbox()
    threading.Timer(0.05, box.put, ["item"]).start()
    assert box.get(1e9) == "item"


def test_every_wait_ends_however_short_it_is():
    """Those of `SimpleQueue` wait for ever in one of some hundreds to some 100,000 cases."""

    def wait_often():
        for number in range(20_000):
            box = Mailbox()
            with pytest.raises(queue.Empty):
                box.get((0, 1e-7, 1e-6, 2e-6)[number % 4])

    thread = threading.Thread(target=wait_often, daemon=True)
    thread.start()
    thread.join(100)
    assert not thread.is_alive()


def test_nothing_is_lost_between_threads():
    box, found = Mailbox(), []
    threads = [
        threading.Thread(target=lambda: [box.put(None) for _ in range(5_000)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while len(found) < 15_000:
        found.append(box.get(100))
    for thread in threads:
        thread.join()
    with pytest.raises(queue.Empty):
        box.get()
