"""Accumulators and entries of numbered texts."""

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


def counts(of):
    accepted, delivered, pending, dropped = of.counts()
    assert accepted == delivered + pending + sum(dropped.values())
    return accepted, delivered, pending, dropped
