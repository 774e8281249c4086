"""Idle streams are retired and reopened; their counts are kept, and no line is lost."""

import gc
import logging
import logging.config
import threading
import time

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._wire.destination import Destination
from logplex_handler.stats import Stats
from logplex_handler.streams._resolution import ResolutionState
from logplex_handler.streams._retired import Retired, restored
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Stream
from tests.logs import balanced, logging_to, wait_until
from tests.streams.shared import Record, receiving, to

DESTINATION = Destination.from_url("https://token:t.1@example.com/logs", hostname="app")

# Streams that are idle.


def test_idle_streams_are_let_go_of_and_their_books_kept(monkeypatch):
    """The next line opens them again, without another look-up."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    with receiving("t.1") as logplex:
        source = Record({1: logplex.url_for("t.1")})
        with logging_to(None, streams=source) as (logger, handler):
            registry = handler._pipeline._registry
            for number in range(1, 4):
                logger.info("line", extra=to(1))
                assert handler.flush()
                assert handler.stats().delivered == number
                assert wait_until(lambda: not registry._streams)
                assert handler.stats(stream=1).delivered == number
                assert handler.stats().accepted == number
            monkeypatch.setattr("logplex_handler.streams._retired._FORGET_AFTER", -1.0)
            logger.info("line", extra=to(1))
            assert handler.flush()
            assert wait_until(lambda: not registry._streams and not registry._retired)
            assert handler.stats().delivered == 4
            assert handler.stats(stream=1).accepted == 0
    assert source.asked == [1]


@pytest.mark.parametrize("given", [None, "https://token:t.1@example.com/logs", DESTINATION])
@pytest.mark.parametrize("destination", [None, DESTINATION])
@pytest.mark.parametrize("state", ResolutionState)
def test_what_is_left_of_a_retired_stream_is_restored_as_it_was(state, destination, given):
    """Its counts, too, those of drops by cause among them."""
    stats = Stats(accepted=9, delivered=4, dropped={"buffer_full": 2, "refused": 3}, lag=0.5)
    for counts in (stats, Stats()):
        retired = Retired(12.5, state, given, destination, counts)
        again = restored(retired.stored())
        assert again == retired
        assert again.stats.lag == counts.lag
        assert "t.1" not in repr(again)


def test_a_destination_of_an_applications_own_class_is_kept_itself():
    class Customer(Destination):
        pass

    given = Customer("https://example.com/logs", "token", "t.1")
    retired = Retired(0.0, ResolutionState.FOUND, given, None, Stats())
    assert restored(retired.stored()).given is given


def test_the_garbage_collector_leaves_retired_streams_out(monkeypatch):
    """A process may have a hundred thousand, and each full collection visits all that it knows."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    with receiving("t.1", "t.2", "t.3") as logplex:
        urls = {number: logplex.url_for(f"t.{number}") for number in (1, 2, 3)}
        with logging_to(None, streams=Record(urls)) as (logger, handler):
            registry = handler._pipeline._registry
            for number in urls:
                logger.info("line", extra=to(number))
            assert handler.flush()
            assert wait_until(lambda: len(registry._retired) == 3)
            assert not gc.is_tracked(registry._retired)


def test_a_stream_is_let_go_of_without_waiting_for_a_call_that_opens_another_one(monkeypatch):
    """A signal handler may flush in the middle of that call, and so wait for the worker."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    asked = threading.Event()
    retire = Registry.retire

    def noted(registry, stream):
        asked.set()
        return retire(registry, stream)

    monkeypatch.setattr(Registry, "retire", noted)
    with receiving("t.1", "t.2") as logplex:
        urls = {1: logplex.url_for("t.1"), 2: logplex.url_for("t.2")}
        with logging_to(None, streams=urls) as (logger, handler):
            registry = handler._pipeline._registry
            with registry.lock:
                logger.info("one", extra=to(1))
                assert asked.wait(100)
                logger.info("two", extra=to(2))
                assert logplex.wait_for(2)
            assert wait_until(lambda: not registry._streams)
            assert balanced(handler.stats())


def test_a_flush_in_the_middle_of_opening_a_stream_does_not_wait_for_itself():
    """A signal handler flushes while the call that it interrupted holds the registry's lock.

    A worker needs it then, because another stream is used again.
    """
    flushed = []

    class Interrupting:
        def __hash__(self):
            if registry.lock._is_owned() and not flushed:
                flushed.append(None)
                record = logger.makeRecord(logger.name, logging.INFO, "", 0, "again", (), None)
                intake.put(handler._codec.entry(record, handler.formatter)[0], never_wakes=False)
                flushed[:] = [handler.flush(100)]
            return 3

    with receiving("t.1") as logplex:
        url = logplex.url_for("t.1")
        with logging_to(None, streams=lambda _: url, flush_interval=600) as (logger, handler):
            registry = handler._pipeline._registry
            logger.info("one", extra=to(1))
            assert handler.flush()
            intake = handler._pipeline.intake(1)
            assert registry.retire(registry._streams[1])
            logger.info("two", extra=to(2))
            logger.info("three", extra=to(Interrupting()))
            assert flushed == [True]
            assert not registry.lock._is_owned()
            assert "two" in [line.text for line in logplex.lines]
            assert handler.flush()
            assert balanced(handler.stats())
    assert sorted(line.text for line in logplex.lines) == ["again", "one", "three", "two"]


def test_a_stream_that_a_signal_handler_opens_as_the_interrupted_call_does_is_the_same(monkeypatch):
    """Its lines would be counted nowhere otherwise."""
    opened, interrupted = Registry._opened, []

    def and_interrupted(*arguments):
        stream = opened(*arguments)
        if not interrupted:
            interrupted.append(stream)
            logger.info("of the handler", extra=to(1))
        return stream

    monkeypatch.setattr(Registry, "_opened", and_interrupted)
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls, flush_interval=600) as (logger, handler):
            logger.info("of the call", extra=to(1))
            assert handler.flush()
            assert handler.stats().delivered == handler.stats(stream=1).delivered == 2
    assert [line.text for line in logplex.lines] == ["of the handler", "of the call"]


def test_a_line_that_comes_as_its_stream_is_let_go_of_is_delivered():
    """A caller that had found the stream before still enqueues the line, and wakes a worker."""
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            pipeline = handler._pipeline
            stream = pipeline._registry._streams[1]
            intake = pipeline.intake(1)
            pipeline._registry.retire(stream)
            record = logger.makeRecord(logger.name, logging.INFO, "", 0, "two", (), None)
            intake.put(handler._codec.entry(record, handler.formatter)[0], never_wakes=False)
            assert logplex.wait_for(2)
            assert wait_until(lambda: handler.stats().delivered == 2)
            assert balanced(handler.stats())
            assert pipeline._registry._streams == {1: stream}


def test_a_line_that_finds_its_stream_as_another_thread_opens_it_again_is_not_lost():
    """Both lines belong to one stream; there is never a second stream of the same id."""
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls, flush_interval=60) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            pipeline = handler._pipeline
            stream = pipeline._registry._streams[1]
            intake = pipeline.intake(1)
            pipeline._registry.retire(stream)
            logger.info("two", extra=to(1))
            record = logger.makeRecord(logger.name, logging.INFO, "", 0, "three", (), None)
            intake.put(handler._codec.entry(record, handler.formatter)[0], never_wakes=False)
            logger.info("four", extra=to(1))
            assert handler.flush()
            stats = handler.stats()
            assert stats == handler.stats(stream=1)
            assert len(pipeline._registry.streams()) == 1
    assert [line.text for line in logplex.lines] == ["one", "two", "three", "four"]
    assert (stats.accepted, stats.delivered) == (4, 4)


def test_a_stream_whose_look_up_hangs_is_not_let_go_of(monkeypatch):
    """`close` counts its lines, and the next line queues behind them."""
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.1)
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    released = threading.Event()
    with receiving("t.1") as logplex:

        def url_for(stream):
            released.wait(100)
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for, flush_interval=0.01) as (logger, handler):
            logger.info("one", extra=to(1))
            assert wait_until(handler.set_aside)
            # Long enough for an idle stream to be retired.
            time.sleep(0.5)
            assert not handler.flush(0.1)
            (aside,) = handler.set_aside()
            assert aside.stream == 1
            logger.info("two", extra=to(1))
            released.set()
            assert wait_until(lambda: handler.stats(stream=1).delivered == 2)
            assert balanced(handler.stats())
    assert [line.text for line in logplex.lines] == ["one", "two"]


def test_counting_holds_up_no_caller(monkeypatch):
    """However many streams there are, a call that opens another one does not wait for their sum."""
    counting, logged, waits = threading.Event(), threading.Event(), []
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1"), 2: logplex.url_for("t.1")}
        with logging_to(None, streams=urls) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            count = Stream.stats

            def count_slowly(stream):
                counting.set()
                waits.append(logged.wait(100))
                return count(stream)

            monkeypatch.setattr(Stream, "stats", count_slowly)
            thread = threading.Thread(target=handler.stats)
            thread.start()
            assert counting.wait(100)
            logger.info("two", extra=to(2))
            logged.set()
            thread.join()
    assert all(waits)


def test_a_quiet_line_is_not_forgotten_with_its_stream(monkeypatch):
    """A record that `on_drop` logs waits for the next batch, however long that takes."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    with receiving("t.1") as logplex:

        def on_drop(records, cause):
            logger.info("dropped", extra=to(1))

        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls, on_drop=on_drop) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            logger.info("line", extra=to("nobody"))
            assert wait_until(lambda: handler.stats(stream=1).accepted == 2)
            # Long enough for an idle stream to be retired.
            time.sleep(0.5)
            logger.info("two", extra=to(1))
            assert handler.flush()
            assert handler.stats().pending == 0
    assert [line.text for line in logplex.lines] == ["one", "dropped", "two"]
