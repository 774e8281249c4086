"""Accumulators and entries of numbered texts."""

import threading

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits


def accumulator(max_bytes=100, on_full="drop_oldest", batch_frames=3, batch_bytes=50):
    return Accumulator(BufferLimits(max_bytes, on_full, batch_frames, batch_bytes), weigh)


def weigh(entry):
    return entry[:2]


def entry(name, size=10, frames=1):
    return (size, frames, name)


def names(entries):
    return [name for _, _, name in entries]


def put_and_take(queue, put, *, threads, taken_bytes):
    """Several threads put entries while another takes and settles them, until the first end.

    Of each seven entries taken, five are settled as holding so many bytes, and one of them as
    refused. The counts balance meanwhile.
    """
    stop = threading.Event()

    def take():
        while not stop.is_set():
            taken = queue.take(7)
            queue.resize_taken(taken_bytes, returned=taken[5:])
            if taken[:5]:
                queue.settle(delivered=len(taken[1:5]), dropped=1)

    putters = [threading.Thread(target=put) for _ in range(threads)]
    taker = threading.Thread(target=take)
    for thread in [*putters, taker]:
        thread.start()
    while any(thread.is_alive() for thread in putters):
        counts(queue)
    stop.set()
    taker.join()


def counts(of):
    accepted, delivered, pending, dropped = of.counts()
    assert accepted == delivered + pending + sum(dropped.values())
    return accepted, delivered, pending, dropped


class InterruptedLock:
    """A signal handler raises an error as soon as the lock is acquired."""

    def __init__(self):
        self._lock = threading.RLock()
        self._is_owned = self._lock._is_owned
        self.release = self._lock.release

    def acquire(self, timeout):
        self._lock.acquire(timeout=timeout)
        raise KeyboardInterrupt
