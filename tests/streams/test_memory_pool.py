"""Streams share memory: a stream that holds much gives way to those that hold little."""

import logging
import logging.config
import sys
import threading
from contextlib import suppress

from logplex_handler._buffer.bounded_queue import BoundedQueue, BufferLimits
from logplex_handler._buffer.memory_pool import MemoryPool
from tests.buffer.shared import weigh
from tests.logs import Told, balanced, logging_to, wait_until
from tests.pace import stopwatch
from tests.servers import answer, serving
from tests.streams.shared import receiving, to


def test_one_customer_s_outage_does_not_eat_the_others_memory():
    """Together they hold at most `max_buffer_bytes`; the largest gives way."""
    with receiving("t.1") as logplex, serving(answer(503)) as broken:

        def url_for(stream):
            return broken.url if stream == "broken" else logplex.url_for("t.1")

        options = {"max_buffer_bytes": 200_000, "shutdown_timeout": 0.2}
        with logging_to(None, streams=url_for, **options) as (logger, handler):
            for number in range(5000):
                logger.info("line %d", number, extra=to("broken"))
            assert handler.stats(stream="broken").dropped["buffer_full"] > 1000
            for number in range(300):
                logger.info("line %d", number, extra=to("well"))
            assert wait_until(lambda: handler.stats(stream="well").delivered == 300)
            assert not handler.stats(stream="well").dropped
            assert handler.stats(stream="broken").pending > 500
            memory = handler._pipeline._memory
            buffers = [stream.accumulator for stream in handler._pipeline._registry.streams()]

            def adds_up():
                # The rest is kept for first entries.
                for_all = 200_000 - memory.first_entries.kept_bytes
                return memory._left + sum(one.allowed for one in buffers) == for_all

            # A worker may be giving back just now what it has delivered.
            assert wait_until(adds_up)
            assert wait_until(
                lambda: all(
                    one.weighed_bytes + one.in_transit_bytes <= one.allowed for one in buffers
                )
            )


def test_newest_lines_dropped_leave_the_others_room_too():
    """No stream gives way then, so none takes more than half of the free memory."""
    with receiving("t.1") as logplex, serving(answer(503)) as broken:

        def url_for(stream):
            return logplex.url_for("t.1") if stream == "well" else broken.url

        options = {"max_buffer_bytes": 200_000, "shutdown_timeout": 0.2, "on_full": "drop_newest"}
        with logging_to(None, streams=url_for, **options) as (logger, handler):
            for stream in ("a", "b", "c"):
                for number in range(3000):
                    logger.info("line %d", number, extra=to(stream))
            for number in range(30):
                logger.info("line %d", number, extra=to("well"))
            assert wait_until(lambda: handler.stats(stream="well").delivered == 30)
            assert handler.stats(stream="a").pending > handler.stats(stream="b").pending > 100


def test_block_waits_for_room_that_another_stream_takes():
    """`on_full="block"` with a bound for all."""
    with receiving("t.1", "t.2") as logplex:
        urls = {1: logplex.url_for("t.1"), 2: logplex.url_for("t.2")}
        options = {"max_buffer_bytes": 30_000, "on_full": "block", "flush_interval": 0.01}
        with logging_to(None, streams=urls, **options) as (logger, handler):
            for number in range(2000):
                logger.info("line %d %s", number, "x" * 100, extra=to(1 + number % 2))
            assert handler.flush()
            stats = handler.stats()
    lost = (stats.dropped, stats.retries, stats.possible_duplicates)
    assert (stats.delivered, lost) == (2000, ({}, 0, 0))


def test_a_caller_that_waits_for_room_has_what_waits_sent_at_once():
    """However long it could wait otherwise."""
    with receiving("t.1", "t.2") as logplex:
        urls = {1: logplex.url_for("t.1"), 2: logplex.url_for("t.2")}
        options = {"max_buffer_bytes": 30_000, "on_full": "block", "flush_interval": 60}
        options["shutdown_timeout"] = 40
        with logging_to(None, streams=urls, **options) as (logger, handler):
            for stream in urls:
                logger.info("its URL is known from now on", extra=to(stream))
            assert handler.flush()
            pool = handler._pipeline._worker_pool
            assert wait_until(lambda: len(pool._wakes_at) == len(pool._workers))
            with stopwatch() as watch:
                for number in range(400):
                    logger.info("line %d %s", number, "x" * 100, extra=to(1))
            # A few waits, each for one request.
            assert watch.seconds < 15
            assert handler.stats().dropped == {}


def test_a_caller_that_waits_for_room_has_what_waits_in_other_streams_sent_too():
    """They have taken all of it with a few lines each, none of which is due."""
    with receiving("t.1") as logplex:
        url = logplex.url_for("t.1")
        options = {"max_buffer_bytes": 30_000, "on_full": "block", "flush_interval": 60}
        options["shutdown_timeout"] = 20
        with logging_to(None, streams=lambda _: url, **options) as (logger, handler):
            for stream in range(20):
                for number in range(20):
                    logger.info("line %d %s", number, "x" * 100, extra=to(stream))
            assert handler.stats().dropped == {}


def test_a_signal_that_logs_while_memory_is_shared_out_freezes_nothing():
    """It wants another stream's accumulator, whose owner just then wants memory."""
    with serving(answer(503)) as server:
        options = {"shutdown_timeout": 0.1}
        with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
            for stream in (1, 2):
                logger.info("line", extra=to(stream))
            memory = handler._pipeline._memory
            one, other = (stream.accumulator for stream in handler._pipeline._registry.streams())
            holds_other = threading.Event()
            interrupted = threading.Event()

            def put():
                with other.lock:
                    holds_other.set()
                    interrupted.wait(100)
                    memory.reserve(other, other.allowed + 1)

            def put_and_be_interrupted():
                with one.lock, memory._lock:
                    interrupted.set()
                    other.counts()

            threads = [threading.Thread(target=put, daemon=True)]
            threads[0].start()
            assert holds_other.wait(100)
            threads.append(threading.Thread(target=put_and_be_interrupted, daemon=True))
            threads[1].start()
            for thread in threads:
                thread.join(100)
            assert not any(thread.is_alive() for thread in threads)


def test_two_signals_that_log_while_queues_must_shrink_freeze_nothing():
    """Each interrupted a call that holds the lock which the other one needs."""
    with serving(answer(503)) as server:
        options = {"shutdown_timeout": 0.1}
        with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
            for stream in (1, 2):
                logger.info("line", extra=to(stream))
            memory = handler._pipeline._memory
            streams = handler._pipeline._registry.streams()
            both_hold = threading.Barrier(2, timeout=100)

            def wake(mine, its):
                with mine.accumulator.lock:
                    both_hold.wait()
                    # One after the other, as each call shrinks all that there are.
                    assert wait_until(lambda: not memory.to_shrink)
                    memory.to_shrink.add(its.accumulator)
                    mine.intake.wake()
                    both_hold.wait()

            threads = [
                threading.Thread(target=wake, args=pair, daemon=True)
                for pair in (streams, streams[::-1])
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(100)
            assert not any(thread.is_alive() for thread in threads)
            # They shrink with the next call that finds their locks free.
            memory.shrink_holders()
            assert not memory.to_shrink


def test_the_books_balance_where_a_streams_first_drop_meets_the_recursion_limit(monkeypatch):
    """The first drop of a cause takes a call more."""

    def at(depth, stream):
        if depth:
            return at(depth - 1, stream)
        return logger.info("deep", extra=to(stream))

    monkeypatch.setattr(logging, "raiseExceptions", False)
    with receiving("t.1") as logplex:
        url = logplex.url_for("t.1")
        with logging_to(None, streams=lambda _: url) as (logger, handler):
            depths = range(sys.getrecursionlimit() - 200, sys.getrecursionlimit())
            for depth in depths:
                logger.info("open", extra=to(depth))
            assert handler.flush(100)
            for depth in depths:
                with suppress(RecursionError):
                    at(depth, depth)
            assert handler.flush()
            assert balanced(handler.stats())


def test_floods_one_after_the_other_leave_something_for_those_that_hold_little():
    """With `drop_newest` no stream gives way."""
    with receiving("t.1") as logplex, serving(answer(503)) as broken:

        def url_for(stream):
            return logplex.url_for("t.1") if stream == "well" else broken.url

        options = {"max_buffer_bytes": 1_000_000, "shutdown_timeout": 0.2, "on_full": "drop_newest"}
        with logging_to(None, streams=url_for, **options) as (logger, handler):
            for stream in range(8):
                for number in range(6000):
                    logger.info("line %d", number, extra=to(stream))
            for number in range(10):
                logger.info("line %d", number, extra=to("well"))
            assert wait_until(lambda: handler.stats(stream="well").delivered == 10)
            assert min(handler.stats(stream=stream).pending for stream in range(8)) >= 15


def test_what_gives_way_to_others_is_told_though_nothing_else_happens():
    """The callback is called at once."""
    told = Told()
    with serving(answer(401)) as broken:
        options = {"max_buffer_bytes": 100_000, "shutdown_timeout": 0.1}
        with logging_to(
            None,
            streams=lambda stream: broken.url,
            on_drop=told,
            **options,
        ) as (logger, handler):
            for number in range(300):
                logger.info("line %d", number, extra=to("large"))
            assert wait_until(handler.set_aside)
            assert not told.dropped
            for stream in range(100):
                for number in range(5):
                    logger.info("line %d", number, extra=to(stream))
            assert wait_until(lambda: told.dropped.get("buffer_full", 0) > 0)
            assert wait_until(lambda: told.dropped == handler.stats().dropped)


def test_what_a_stream_lost_before_its_url_was_known_is_told_and_holds_up_no_flush():
    """Also if none of its records is left: its URL is looked up for the drop notice."""
    with (
        receiving("t.1") as logplex,
        logging_to(None, streams=lambda _: logplex.url_for("t.1"), max_buffer_bytes=100_000) as (
            logger,
            handler,
        ),
    ):
        logger.info("x" * 200_000, extra=to("lost"))
        assert handler.flush(100)
        assert handler.stats(stream="lost").dropped == {"buffer_full": 1}
        (line,) = logplex.lines
        assert "count#logplex_handler.dropped=1" in line.text


def test_where_all_hold_the_same_only_one_is_asked_to_give_way(monkeypatch):
    """If the largest cannot, the smaller ones cannot either."""
    pool = MemoryPool(51_000, may_reclaim=True)
    limits = BufferLimits(51_000, "drop_oldest", batch_frames=500, batch_bytes=2**20)
    holders = [BoundedQueue(limits, weigh, pool, threading.RLock()) for _ in range(50)]
    for holder in holders:
        pool._allow(holder, 1000)
    pool._allow(holders[0], 1000)
    asked = []
    largest = pool._largest
    monkeypatch.setattr(pool, "_largest", lambda: asked.append(largest()) or asked[-1])
    pool.reserve(holders[1], 1500)
    assert (holders[0].allowed, holders[1].allowed) == (1500, 1500)
    asked.clear()
    pool.reserve(holders[2], 1500)
    assert len(asked) == 1
    assert holders[2].allowed == 1000
