"""A line of streams, of which only the ids wait if they are parked."""

import gc
import random
import sys
from collections import deque

import pytest

from logplex_handler._delivery.line import Line

IDS = [None, 0, 1, True, "", "a", (), (1, "b"), b"c", 2.5, frozenset({3})]


class Waits:
    """Stands for a stream."""


@pytest.mark.parametrize("seed", range(20))
def test_streams_and_ids_leave_in_the_order_in_which_they_came(seed):
    chance, line, expected = random.Random(seed), Line(), deque()
    for _ in range(1000):
        if chance.random() < 0.55:
            one = Waits() if chance.random() < 0.3 else (chance.choice(IDS),)
            line.append(one)
            expected.append(one)
        elif expected:
            found, one = line.popleft(), expected.popleft()
            assert found is one or (type(found[0]), found) == (type(one[0]), one)
        assert len(line) == len(expected)
    assert [line.popleft() for _ in range(len(line))] == [*expected]
    assert not line._ids


def test_nothing_leaves_an_empty_line():
    with pytest.raises(IndexError):
        Line().popleft()


def interrupted_at(place, way):
    """Use the line in the middle of a call, as another thread does; return all that left it."""
    line, left, seen = Line(), [], []
    for one in range(3):
        line.append((one,))

    def step(frame, *_):
        frame.f_trace_opcodes = True
        seen.append(None)
        if len(seen) == place:
            sys.settrace(None)
            left.append(line.popleft())
            line.append(("late",))
        return step

    sys.settrace(lambda frame, *_: step if frame.f_code is getattr(Line, way).__code__ else None)
    try:
        if way == "append":
            line.append((3,))
        else:
            left.append(line.popleft())
    finally:
        sys.settrace(None)
    left += [line.popleft() for _ in range(len(line))]
    return len(seen) >= place, {*left} if len({*left}) == len(left) else left


@pytest.mark.parametrize(("way", "number"), [("append", 4), ("popleft", 3)])
def test_another_thread_may_use_the_line_at_any_moment_of_a_call(way, number):
    """A signal handler may flush there, and so let others go on."""
    expected = {(one,) for one in range(number)} | {("late",)}
    place, (was_interrupted, left) = 1, interrupted_at(1, way)
    while was_interrupted:
        assert left == expected
        place += 1
        was_interrupted, left = interrupted_at(place, way)
    assert place > 10


def test_the_garbage_collector_goes_through_no_ids():
    line = Line()
    for one in range(1000):
        line.append((f"customer-{one}",))
    assert not gc.is_tracked(line._ids)
