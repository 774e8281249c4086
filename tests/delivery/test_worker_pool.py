"""How workers sleep and are woken: not more often than there is something to do, nor too late."""

import itertools
import math
import operator
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

from logplex_handler._delivery.news import News
from logplex_handler._delivery.progress import Progress
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._sender.sender import Sender
from tests.logs import logging_to, wait_until
from tests.streams.shared import receiving, to


def wake_ups(news):
    return len(news._wake_ups)


def drained(news):
    seen = []
    news.drain(seen.append)
    return seen


def test_a_worker_that_will_look_in_time_is_not_woken():
    news, one, other = News(), object(), object()
    news.next_look = 10.0
    news.put(one, look_by=10.0)
    news.put(other, look_by=11.0)
    assert wake_ups(news) == 0
    assert drained(news) == [one, other]


def test_a_worker_is_woken_once_for_what_is_due_sooner():
    """Also for a stream whose earlier news could wait."""
    news, stream = News(), object()
    news.next_look = 10.0
    news.put(stream, look_by=10.0)
    for _ in range(3):
        news.put(stream, look_by=-math.inf)
    assert wake_ups(news) == 1
    news.wait(until=math.inf)
    assert drained(news) == [stream]
    news.put(stream, look_by=9.0)
    assert wake_ups(news) == 1


def test_without_a_sleeping_worker_nothing_can_wait():
    news = News()
    news.put(object(), look_by=10.0)
    assert wake_ups(news) == 1


def test_news_that_came_while_a_worker_went_to_sleep_is_seen_at_once():
    news = News()
    news.next_look = -math.inf
    news.put(object(), look_by=10.0)
    news.wait(until=math.inf)
    assert len(drained(news)) == 1


def test_ctrl_c_anywhere_in_it_leaves_no_stream_without_news_for_ever():
    """Neither where a stream is added, nor where a flushing caller looks at it."""
    looked, calls = 0, (News.put.__code__, News.drain.__code__)
    for number in range(20):
        news, stream, looks, lines = News(), object(), [], itertools.count()

        def trace(frame, event, _, lines=lines, number=number):
            if frame.f_code not in calls:
                return None
            if event == "line" and next(lines) == number:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with suppress(KeyboardInterrupt):
                news.put(stream, look_by=-math.inf)
                news.drain(looks.append)
        finally:
            sys.settrace(before)
        looked += bool(looks)
        if not looks:
            # A stream that was added is looked at with the next news.
            news.put(stream, look_by=-math.inf)
            assert wake_ups(news)
            assert drained(news) == [stream]
    assert 0 < looked < 15


def test_no_news_is_lost_between_threads():
    """What changed last is seen after it changed, with no wait that ends by itself."""
    news = News()
    changes: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    over = threading.Event()
    # As the pool has one around it.
    lock = threading.Lock()

    def change(number):
        for _ in range(2000):
            changes[number] += 1
            news.put(number, look_by=-math.inf)

    def note(number):
        seen[number] = changes[number]

    def look():
        while not over.is_set():
            news.wait(until=math.inf)
            with lock:
                news.drain(note)

    lookers = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    changers = [threading.Thread(target=change, args=(number,)) for number in range(5)]
    for thread in [*lookers, *changers]:
        thread.start()
    for thread in changers:
        thread.join()
    # A copy of what a looker may be adding to just then.
    assert wait_until(lambda: {**seen} == {**changes})
    over.set()
    for _ in lookers:
        news.wake_one()
    for thread in lookers:
        thread.join(100)
        assert not thread.is_alive()


def test_a_worker_sleeps_no_longer_than_it_wants_to():
    """However often others are woken just then."""
    news = News()
    over = threading.Event()
    looks = [0] * 4

    def sleep(number):
        while not over.is_set():
            news.wait(until=time.monotonic() + 0.001)
            looks[number] += 1

    sleepers = [threading.Thread(target=sleep, args=(n,), daemon=True) for n in range(len(looks))]
    for thread in sleepers:
        thread.start()
    for _ in range(100):
        for _ in range(20):
            news.wake_one()
            time.sleep(0.0002)
        before = [*looks]
        assert wait_until(lambda before=before: all(map(operator.gt, looks, before)))
    over.set()
    for thread in sleepers:
        thread.join()


def test_lines_of_streams_that_are_known_leave_by_themselves():
    """Though no worker is woken for them."""
    tokens = [f"t.{number}" for number in range(20)]
    with receiving(*tokens) as logplex:
        urls = {token: logplex.url_for(token) for token in tokens}
        with logging_to(None, streams=urls, flush_interval=0.2) as (logger, handler):
            for token in tokens:
                logger.info("first", extra=to(token))
            assert logplex.wait_for(len(tokens))
            pool = handler._pipeline._worker_pool
            assert wait_until(lambda: len(pool._wakes_at) == len(pool._workers))
            for token in tokens:
                logger.info("second", extra=to(token))
            assert logplex.wait_for(2 * len(tokens))


def test_of_all_idle_workers_only_two_wake_for_what_is_due_next(monkeypatch):
    """Each of the others would find that there is nothing to do."""
    monkeypatch.setattr("logplex_handler._delivery.scheduler._IDLE", 0.1)
    tokens = [f"t.{number}" for number in range(30)]
    several = threading.Barrier(3)

    def url_for(token):
        # So that several workers are needed at a time.
        with suppress(threading.BrokenBarrierError):
            several.wait(30)
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        for token in tokens:
            logger.info("line", extra=to(token))
        assert handler.flush(100)
        # Until then, a worker may sleep until a time that has lost its reason since.
        for token in tokens:
            logger.info("due in ten minutes", extra=to(token))
        pool = handler._pipeline._worker_pool

        def sleeping_for_long():
            with pool._lock:
                wakes_at = [*pool._wakes_at.values()]
            if len(wakes_at) == len(pool._workers) > 2 and min(wakes_at) > time.monotonic() + 100:
                return wakes_at
            return None

        wakes_at = wait_until(sleeping_for_long)
        assert wakes_at is not None
        assert sum(at < math.inf for at in wakes_at) == 2


def test_no_worker_begins_a_task_while_that_of_another_is_likely_to_be_over_at_once(monkeypatch):
    """Once it takes longer, others do; here, the task is a look-up."""
    monkeypatch.setattr("logplex_handler._delivery.worker_pool._STAGGER", 1000.0)
    tokens = [f"t.{number}" for number in range(10)]
    asked, taken = [], []

    def url_for(token):
        asked.append(token)
        if token == tokens[0]:
            pool = handler._pipeline._worker_pool

            def take():
                taken.append(pool._take(requests_first=False))

            other = threading.Thread(target=take)
            other.start()
            other.join()
            pool._let_others_work()
            assert wait_until(lambda: len(asked) == len(tokens))
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        for token in tokens:
            logger.info("line", extra=to(token))
        assert handler.flush(100)
        assert taken == [None]


def test_a_task_that_is_not_over_at_once_after_all_holds_up_no_other():
    """Though it does not say so: each look-up waits for another one."""
    tokens = [f"t.{number}" for number in range(10)]
    two = threading.Barrier(2)

    def url_for(token):
        two.wait(100)
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        for token in tokens:
            logger.info("line", extra=to(token))
        assert handler.flush(100)


def test_a_disk_that_is_slow_for_one_stream_holds_up_no_other(monkeypatch, tmp_path):
    """Each stream's second task waits for that of another one."""
    monkeypatch.setattr("logplex_handler._delivery.worker_pool._STAGGER", 1000.0)
    tokens = ["t.1", "t.2"]
    two, waits = threading.Barrier(2), set()
    deliver = Sender.deliver

    def slow(sender, *args, **kwargs):
        if sender in waits:
            waits.remove(sender)
            two.wait(100)
        return deliver(sender, *args, **kwargs)

    monkeypatch.setattr(Sender, "deliver", slow)
    with receiving(*tokens) as logplex:
        urls = {token: logplex.url_for(token) for token in tokens}
        spool = tmp_path / "spool"
        with logging_to(None, streams=urls, spool=spool) as (logger, handler):
            for token in tokens:
                logger.info("one", extra=to(token))
            # From its first answer on, the host gets several requests at a time.
            assert handler.flush(100)
            waits |= {stream.sender for stream in handler._pipeline._registry.streams()}
            for token in tokens:
                logger.info("two", extra=to(token))
            assert handler.flush(100)
            assert not waits


def test_slow_look_ups_between_quick_ones_do_not_wait_for_each_other(monkeypatch):
    """As where some are answered from a cache."""
    monkeypatch.setattr("logplex_handler._delivery.worker_pool._STAGGER", 1000.0)
    first, quick, *slow = tokens = [f"t.{number}" for number in range(4)]
    two = threading.Barrier(2)

    def url_for(token):
        if token == first:
            time.sleep(0.01)
        if token in slow:
            two.wait(100)
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        for token in (first, quick):
            logger.info("line", extra=to(token))
            assert handler.flush(100)
        for token in slow:
            logger.info("line", extra=to(token))
        assert handler.flush(50)
    assert not two.broken


def test_look_ups_and_requests_take_turns(monkeypatch):
    """However many streams are to be looked up, those that are known get their lines.

    Here, one worker does all: beside requests that take long, others only look up.
    """
    monkeypatch.setattr("logplex_handler._delivery.worker_pool._STAGGER", 1000.0)
    monkeypatch.setattr(WorkerPool, "_let_others_work", lambda _: None)
    tokens = [f"t.{number}" for number in range(40)]
    requests, is_flushing = [], threading.Event()
    wait = Progress.wait

    def noting(*args):
        is_flushing.set()
        return wait(*args)

    monkeypatch.setattr(Progress, "wait", noting)

    def url_for(token):
        # Before, no line is due.
        assert is_flushing.wait(100)
        requests.append(len(logplex.requests))
        return logplex.url_for(token)

    with (
        receiving(*tokens) as logplex,
        logging_to(None, streams=url_for, flush_interval=600) as (logger, handler),
    ):
        # Until a host has answered, it gets one request at a time.
        logger.info("line", extra=to(tokens[0]))
        assert handler.flush(100)
        is_flushing.clear()
        for token in tokens:
            logger.info("line", extra=to(token))
        assert handler.flush(100)
    assert requests[-1] > 10
