"""Timers measure blocks, functions, coroutines and generators."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time

import pytest

from tests.metrics.shared import recording, values


def taken(lines, name):
    """The times of a name, in ms."""
    found = [one for one in lines.read if one.name == name]
    assert all(one.unit == "ms" for one in found)
    return [one.value for one in found]


@pytest.fixture
def clock(monkeypatch):
    """Milliseconds that only the test moves on."""
    now = [0]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now[0] * 1_000_000)
    return now


def test_a_block_is_timed():
    """In ms, in a line or in the report."""
    with recording() as (metrics, lines):
        with metrics.timer("block"):
            time.sleep(0.02)
        with metrics.timer("often", aggregate=True):
            time.sleep(0.02)
        metrics.report()
        [took] = taken(lines, "block")
        assert took >= 20
        assert values(lines)["often.count"] == (1, "")
        assert values(lines)["often.p50"][0] >= 20


def fail(clock):
    clock[0] += 3
    raise KeyError


def test_a_block_that_raises_is_timed_by_itself(clock):
    with recording() as (metrics, lines):
        with metrics.timer("block"):
            clock[0] = 20
        with pytest.raises(KeyError), metrics.timer("block"):
            fail(clock)
        assert taken(lines, "block") == [20, 3]


@pytest.mark.parametrize("aggregate", [False, True])
def test_a_clock_that_is_set_back_raises_nothing(clock, aggregate):
    """As libraries for tests do: the block took no time then."""
    with recording() as (metrics, lines):
        clock[0] = 100
        with metrics.timer("block", aggregate=aggregate):
            clock[0] = 20
        metrics.report()
        assert [one.value for one in lines.read if one.name in ("block", "block.max")] == [0]


def test_a_function_is_timed_each_time():
    """It keeps its name, arguments and result."""
    with recording() as (metrics, lines):

        @metrics.timer("call")
        def add(a, *, b):
            """Add."""
            return a + b

        assert [add(1, b=2), add(2, b=3)] == [3, 5]
        assert (add.__name__, add.__doc__) == ("add", "Add.")
        assert len(taken(lines, "call")) == 2


def test_a_recursive_function_is_timed_at_each_depth(clock):
    """One timer serves all depths."""
    with recording() as (metrics, lines):

        @metrics.timer("call")
        def down(n):
            if n:
                clock[0] += 5
                down(n - 1)

        down(3)
        assert taken(lines, "call") == [0, 5, 10, 15]


def test_a_coroutine_is_timed_with_what_it_waits_for(clock):
    """Concurrent calls do not disturb each other, and the function stays a coroutine function."""
    with recording() as (metrics, lines):

        @metrics.timer("co")
        async def wait(number):
            clock[0] += 1
            await ends[number].wait()
            return number

        async def all_of_them():
            ends[:] = [asyncio.Event() for _ in range(3)]
            tasks = [asyncio.create_task(wait(number)) for number in range(3)]
            await asyncio.sleep(0)
            for number, now in ((0, 10), (2, 30), (1, 50)):
                clock[0] = now
                ends[number].set()
                await tasks[number]
            return [task.result() for task in tasks]

        ends = []
        assert inspect.iscoroutinefunction(wait)
        assert asyncio.run(all_of_them()) == [0, 1, 2]
        # They have begun at 0, 1 and 2.
        assert taken(lines, "co") == [10, 28, 49]


def test_a_generator_is_timed_from_its_first_value_to_its_last():
    """Values and exceptions reach it; an unfinished generator counts when it is closed."""
    with recording() as (metrics, lines):

        @metrics.timer("generator")
        def echo():
            got = yield "first"
            try:
                yield got
            except KeyError:
                yield "caught"
            return "end"

        assert inspect.isgeneratorfunction(echo)
        one = echo()
        assert next(one) == "first"
        assert one.send("sent") == "sent"
        assert one.throw(KeyError()) == "caught"
        with pytest.raises(StopIteration, match="end"):
            next(one)
        assert len(taken(lines, "generator")) == 1
        left = echo()
        next(left)
        left.close()
        assert len(taken(lines, "generator")) == 2
        echo().close()
        assert len(taken(lines, "generator")) == 2


def test_an_async_generator_is_timed_too():
    """Values, exceptions and `aclose` reach it."""
    with recording() as (metrics, lines):
        closed = []

        @metrics.timer("agen")
        async def echo():
            try:
                got = yield "first"
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        async def use():
            one = echo()
            assert await one.__anext__() == "first"
            assert await one.asend("sent") == "sent"
            assert await one.athrow(KeyError()) == "caught"
            assert [value async for value in one] == []
            left = echo()
            await left.__anext__()
            await left.aclose()
            failing = echo()
            await failing.__anext__()
            with pytest.raises(ZeroDivisionError):
                await failing.athrow(ZeroDivisionError())

        assert inspect.isasyncgenfunction(echo)
        asyncio.run(use())
        assert len(closed) == 3
        assert len(taken(lines, "agen")) == 3


def test_threads_share_a_timer(clock):
    """Each measures its own blocks, also nested ones, however they overlap."""
    with recording() as (metrics, lines):
        timer = metrics.timer("job")
        began, end = threading.Event(), threading.Event()

        def work():
            with timer:
                began.set()
                end.wait(100)

        with timer:
            clock[0] = 10
            thread = threading.Thread(target=work)
            thread.start()
            began.wait(100)
            clock[0] = 30
            with timer:
                clock[0] = 31
        assert taken(lines, "job") == [1, 31]
        clock[0] = 100
        end.set()
        thread.join()
        assert taken(lines, "job") == [1, 31, 90]


def test_greenlets_share_a_timer(clock):
    """Also where no library has replaced `threading`."""
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()

    def work():
        with timer:
            main.switch()

    with recording() as (metrics, lines):
        timer = metrics.timer("job")
        first, second = greenlet.greenlet(work), greenlet.greenlet(work)
        first.switch()
        clock[0] = 10
        second.switch()
        clock[0] = 30
        first.switch()
        clock[0] = 100
        second.switch()
        assert taken(lines, "job") == [30, 90]


def test_tasks_share_a_timer(clock):
    async def first(begun, end):
        with timer:
            begun.set()
            await end.wait()

    async def main():
        begun, end = asyncio.Event(), asyncio.Event()
        with timer:
            clock[0] = 10
            task = asyncio.create_task(first(begun, end))
            await begun.wait()
            clock[0] = 30
        clock[0] = 100
        end.set()
        await task

    with recording() as (metrics, lines):
        timer = metrics.timer("job")
        asyncio.run(main())
        assert taken(lines, "job") == [30, 90]


def test_a_block_may_end_in_another_thread(clock):
    """As that of a generator does whose caller goes on there."""
    with recording() as (metrics, lines):
        timer = metrics.timer("job")
        timer.__enter__()
        clock[0] = 7
        thread = threading.Thread(target=timer.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        assert taken(lines, "job") == [7]
        with timer:
            clock[0] = 8
        assert taken(lines, "job") == [7, 1]
