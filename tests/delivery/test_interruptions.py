"""Signals and Ctrl-C during a request or a flush."""

import itertools
import logging
import os
import sys
import threading
import time
from contextlib import nullcontext, suppress

import pytest

import logplex_handler
from logplex_handler._delivery import flush, scheduler, worker_pool
from logplex_handler._delivery.flush import Flusher
from logplex_handler._sender.due import Urgency, UrgencyMonitor
from logplex_handler.streams import stream
from logplex_handler.testing import LogplexReceiver
from tests.delivery.shared import before_rendering
from tests.logs import (
    balanced,
    logging_to,
    logging_to_receiver,
    logging_to_server,
    own_stream,
    wait_until,
)
from tests.servers import answer


def test_a_signal_in_the_middle_of_a_batch_leaves_it_to_the_next_try(monkeypatch):
    """Records that had been taken go back to their place."""
    # The caller that flushes does not do it: it would be interrupted itself.
    monkeypatch.setattr(flush, "_PATIENCE", 100.0)
    with logging_to_receiver(flush_interval=60) as (logplex, logger, handler):
        interrupted = []

        def interrupt_once(entry):
            if entry[-1] == "line 3" and not interrupted:
                interrupted.append(entry)
                raise KeyboardInterrupt

        before_rendering(monkeypatch, handler, interrupt_once)
        for number in range(6):
            logger.info("line %d", number)
        assert handler.flush()
        stats = handler.stats()
    assert interrupted
    assert [line.text for line in logplex.lines] == [f"line {number}" for number in range(6)]
    assert (stats.delivered, stats.pending) == (6, 0)


def test_what_an_interrupted_caller_had_taken_is_left_to_the_thread(monkeypatch):
    """The worker sleeps; it is woken although no other record comes."""
    with logging_to_receiver(flush_interval=0.05) as (logplex, logger, handler):
        logger.info("one")
        assert handler.flush()
        pipeline, stream = handler._pipeline, own_stream(handler)

        def interrupt_the_caller(entry):
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt

        before_rendering(monkeypatch, handler, interrupt_the_caller)
        news = pipeline._worker_pool._news
        assert wait_until(lambda: news._sleeping and not news._wake_ups)
        # As `put` and `flush` do it, but for waking the thread.
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, "two", (), None)
        stream.accumulator.put(handler._codec.entry(record, handler.formatter)[0])
        stream.accumulator.begin_flush()
        pipeline._worker_pool._scheduler.plan(stream)
        with pytest.raises(KeyboardInterrupt):
            pipeline._worker_pool.help_out(time.monotonic() + 5)
        assert logplex.wait_for(2)


def test_ctrl_c_anywhere_in_a_flush_leaves_no_hurry_behind():
    """Otherwise a host that fails would be tried twice a second from then on."""
    codes = (Flusher._see_through.__code__, UrgencyMonitor.flush_until.__wrapped__.__code__)
    number, interrupted = 0, True
    with logging_to_server(answer(503), shutdown_timeout=0.1) as (_, logger, handler):
        logger.info("line")
        assert wait_until(lambda: handler.stats().requests == 1)
        urgency = handler._pipeline._flusher._urgency
        while interrupted:
            lines = itertools.count()
            interrupted = False

            def trace(frame, event, _, lines=lines, number=number):
                nonlocal interrupted
                if frame.f_code not in codes:
                    return None
                if event == "line" and next(lines) == number:
                    interrupted = True
                    raise KeyboardInterrupt
                return trace

            before = sys.gettrace()
            sys.settrace(trace)
            try:
                with suppress(KeyboardInterrupt):
                    handler.flush(0.02)
            finally:
                sys.settrace(before)
            assert wait_until(lambda: urgency.current is Urgency.NONE, 1.0)
            number += 1
        assert number > 8


class TimeLimit(Exception):
    """An error that a signal handler raises, such as Celery's SoftTimeLimitExceeded."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeLimit])
@pytest.mark.parametrize("value", [7, [7]], ids=["light", "text"])
def test_what_interrupts_a_log_call_anywhere_leaves_no_record_behind(error, value, capsys):
    """Whether or not the interrupted call has queued its record: it wakes a worker or counts it."""
    folder = os.path.dirname(logplex_handler.__file__)
    interrupted, place = True, 0
    with logging_to_receiver(flush_interval=0.01) as (_, logger, handler):
        logger.info("ready: %s", value)
        assert handler.flush()
        while interrupted:
            places, interrupted = itertools.count(), False

            # Python calls signal handlers as a function begins, and when one written in C is over.
            def profile(frame, event, _, places=places, place=place):
                nonlocal interrupted
                is_ours = frame.f_code.co_filename.startswith(folder)
                if is_ours and event in ("call", "c_return") and next(places) == place:
                    sys.setprofile(None)
                    interrupted = True
                    raise error

            accepted = handler.stats().accepted
            is_raised = True
            sys.setprofile(profile)
            try:
                with suppress(error):
                    logger.info("line: %s", value)
                    is_raised = False
            finally:
                sys.setprofile(None)
            assert wait_until(lambda: not handler.stats().pending), place
            # Either the caller is told, or the record is counted.
            assert is_raised or handler.stats().accepted == accepted + 1, place
            place += 1
        assert place > 40
        assert balanced(handler.stats())


# What is raised as a generator is closed, Python ignores.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_a_flushing_caller_chooses_its_task_leaves_no_stream_behind(monkeypatch):
    """The next flush delivers what this one has not. Each place is one of a signal handler."""
    choosing = (os.path.dirname(scheduler.__file__), stream.__file__)
    interrupted, place = True, 0
    with logging_to_receiver(flush_interval=60) as (_, logger, handler):
        pool = handler._pipeline._worker_pool
        # As where no thread can be started.
        monkeypatch.setattr(pool, "_start", lambda: None)
        monkeypatch.setattr(pool, "_cannot_start", True)
        while interrupted:
            places, interrupted = itertools.count(), False

            def profile(frame, event, _, places=places, place=place):
                nonlocal interrupted
                is_ours = frame.f_code.co_filename.startswith(choosing)
                if is_ours and event in ("call", "c_return") and next(places) == place:
                    sys.setprofile(None)
                    interrupted = True
                    raise KeyboardInterrupt

            logger.info("line")
            sys.setprofile(profile)
            try:
                with suppress(KeyboardInterrupt):
                    handler.flush(100)
            finally:
                sys.setprofile(None)
            assert handler.flush(100), place
            assert not pool._busy
            place += 1
        assert handler.stats().delivered == place > 60


@pytest.mark.parametrize("is_changing", [False, True])
def test_a_flush_in_the_middle_of_a_log_call_does_not_wait_for_itself(is_changing):
    """A signal handler flushes while the call that it interrupted holds the queue's lock."""
    with logging_to_receiver(flush_interval=5) as (logplex, logger, handler):
        logger.info("one")
        assert handler.flush()
        accumulator = own_stream(handler).accumulator
        logger.info("two")
        changing = accumulator._under_way if is_changing else nullcontext()
        with accumulator.lock, accumulator.lock, changing:
            assert handler.flush(100)
        # It is held again until the interrupted call is over, and free from then on.
        assert not accumulator.lock._is_owned()
        assert [line.text for line in logplex.lines] == ["one", "two"]


@pytest.mark.parametrize("lock", ["_lock", "_starting"])
def test_a_flush_that_interrupts_what_holds_a_lock_of_the_workers_lets_go_of_it(lock, monkeypatch):
    """They would wait for the interrupted call, and the flush for them."""
    # The caller that flushes does not deliver itself.
    monkeypatch.setattr(flush, "_PATIENCE", 100.0)
    with LogplexReceiver() as logplex:
        options = {"streams": {1: logplex.url}, "flush_interval": 600}
        with logging_to(None, **options) as (logger, handler):
            held = getattr(handler._pipeline._worker_pool, lock)
            with held, held:
                logger.info("line", extra={"logplex_stream": 1})
                assert handler.flush(50)
                assert held._is_owned()
            assert not held._is_owned()
    assert [line.text for line in logplex.lines] == ["line"]


def test_a_flush_acquires_locks_again_in_the_order_in_which_others_nest_them(monkeypatch):
    """In another one, the interrupted call and a worker could each wait for the other."""
    release, acquired = flush.release_if_held, []

    def released(lock):
        reacquire = release(lock)
        return reacquire and (lambda: (acquired.append(lock), reacquire()))

    monkeypatch.setattr(flush, "release_if_held", released)
    with logging_to_receiver() as (_, logger, handler):
        logger.info("line")
        pipeline = handler._pipeline
        locks = [
            pipeline._worker_pool._lock,
            own_stream(handler).accumulator.lock,
            pipeline._registry.lock,
        ]
        with locks[0], locks[1], locks[2]:
            assert handler.flush(100)
        assert acquired == locks


def test_a_signal_handler_flushes_wherever_it_interrupts_a_log_call(monkeypatch):
    """Here, calls that open streams, while others are let go of."""
    # The caller that flushes does not deliver itself, which would hide that workers cannot.
    monkeypatch.setattr(flush, "_PATIENCE", 100.0)
    monkeypatch.setattr(scheduler, "_IDLE", 0.0)
    folder = os.path.dirname(logplex_handler.__file__)
    flushed, place = [True], 0
    with LogplexReceiver() as logplex:
        options = {"streams": lambda _: logplex.url, "flush_interval": 600}
        with logging_to(None, **options) as (logger, handler):
            while flushed:
                places, flushed = itertools.count(), []

                # As in a signal handler: see above.
                def profile(frame, event, _, places=places, place=place, flushed=flushed):
                    is_ours = frame.f_code.co_filename.startswith(folder)
                    if is_ours and event in ("call", "c_return") and next(places) == place:
                        sys.setprofile(None)
                        flushed.append(handler.flush(100))

                sys.setprofile(profile)
                try:
                    logger.info("line", extra={"logplex_stream": place})
                finally:
                    sys.setprofile(None)
                assert all(flushed), place
                place += 1
            # One that was let go of in the middle of its call may just be used again.
            assert wait_until(lambda: handler.flush(100) and handler.stats().delivered == place)
            assert place > 60


class Ending:
    """Another thread raises an exception in the first one that comes, as debuggers can do.

    It ends that thread; those that replace it are left alone.
    """

    def __init__(self):
        self.thread = None

    def before(self, function):
        def interrupted(*arguments):
            self.thread = self.thread or threading.current_thread()
            if self.thread is threading.current_thread():
                raise SystemExit
            return function(*arguments)

        return interrupted


# pytest reports it, as `threading` does not.
ends_a_thread = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@ends_a_thread
def test_a_worker_that_another_thread_ends_is_replaced(monkeypatch):
    """At once: the stream may have no other news."""
    with logging_to_receiver(flush_interval=0.01) as (logplex, logger, handler):
        pool = handler._pipeline._worker_pool
        logger.info("one")
        assert logplex.wait_for(1)
        (worker,) = pool._workers
        ending = Ending()
        monkeypatch.setattr(pool, "_sleep", ending.before(pool._sleep))
        monkeypatch.setattr(pool, "_rest_after", ending.before(pool._rest_after))
        logger.info("two")
        assert wait_until(lambda: not worker.is_alive())
        assert logplex.wait_for(2)


@ends_a_thread
def test_a_writer_of_the_spool_that_another_thread_ends_is_replaced(monkeypatch, tmp_path):
    """Otherwise a crash would lose all records from then on."""
    path = tmp_path / "spool"
    options = {"flush_interval": 60, "spool": path, "spool_interval": 0.01}
    with logging_to_receiver(**options) as (_, logger, handler):
        writer = handler._pipeline._spool_writer
        ending = Ending()
        monkeypatch.setattr(writer, "_wait", ending.before(writer._wait))
        monkeypatch.setattr(writer._diagnostics, "warn", ending.before(writer._diagnostics.warn))
        logger.info("one")
        assert wait_until(lambda: ending.thread and not ending.thread.is_alive())
        assert wait_until(lambda: own_stream(handler).source.records == 1)


def test_ctrl_c_while_a_worker_starts_is_no_reason_for_none(monkeypatch):
    """A console goes on after it."""
    with logging_to_receiver(flush_interval=0.01) as (logplex, logger, _):
        start = threading.Thread.start
        interruptions = iter([KeyboardInterrupt])

        def interrupted(thread):
            for interruption in interruptions:
                raise interruption
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            logger.info("one")
        assert logplex.wait_for(1)


@pytest.mark.parametrize("on_full", ["drop_oldest", "block"])
@pytest.mark.parametrize("text", ["", "x" * 5000], ids=["short", "long"])
def test_a_record_that_an_error_of_a_signal_handler_keeps_from_the_queue_is_counted(on_full, text):
    """Wherever it is raised; the logging call returns, as after any error in a handler."""
    rooms = tuple([f"logplex_handler.{room}" for room in ("_buffer", "_formatting", "streams")])
    options = {"flush_interval": 60, "shutdown_timeout": 60, "on_full": on_full}
    with logging_to_receiver(**options) as (_, logger, handler):
        for _ in range(40):
            logger.info("%s", text)
        for number in itertools.count(1):
            left = number

            def interrupt(frame, event, _):
                nonlocal left
                if event == "call" and frame.f_globals["__name__"].startswith(rooms):
                    left -= 1
                    if not left:
                        sys.setprofile(None)
                        raise TimeoutError

            accepted = handler.stats().accepted
            sys.setprofile(interrupt)
            try:
                logger.info("%s", text)
            finally:
                sys.setprofile(None)
            assert handler.stats().accepted == accepted + 1, number
            if left:
                break
        assert balanced(handler.stats())
    assert number > 3


def test_a_signal_handler_raises_wherever_it_interrupts_the_end_of_a_look_up(monkeypatch):
    """The caller does it itself, because no thread can be started."""

    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker_pool, "new_thread", no_thread)
    end_look_up = stream.Stream.end_look_up.__code__
    with LogplexReceiver() as logplex:
        with logging_to(None, streams=lambda _: logplex.url) as (logger, handler):
            raised, place = [True], 0
            while raised:
                places, raised, is_inside = itertools.count(), [], []

                # As a signal handler that raises: see above.
                def profile(
                    frame, event, _, places=places, place=place, raised=raised, is_inside=is_inside
                ):
                    if frame.f_code is end_look_up:
                        is_inside[:] = [True] if event == "call" else is_inside
                        is_inside[:] = [] if event == "return" else is_inside
                    if is_inside and event in ("call", "c_return") and next(places) == place:
                        sys.setprofile(None)
                        raised.append(True)
                        raise KeyboardInterrupt

                logger.info("line", extra={"logplex_stream": place})
                sys.setprofile(profile)
                try:
                    with suppress(KeyboardInterrupt):
                        handler.flush(100)
                finally:
                    sys.setprofile(None)
                assert handler.flush(100), place
                place += 1
                assert handler.stats().delivered == place
        assert place > 5
