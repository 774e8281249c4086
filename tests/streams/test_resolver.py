"""A look-up that fails, hangs, logs or flushes delays no other stream."""

import re
import threading
import time
from collections import Counter

import pytest

from logplex_handler import (
    Destination,
)
from logplex_handler._delivery import scheduler
from tests.logs import logging_to, wait_until
from tests.streams.shared import receiving, to

started = threading.Thread.start


# Look-ups that go wrong.


@pytest.mark.parametrize(
    "given",
    [
        RuntimeError("https://token:t.secret@logplex.example/logs"),
        "t.secret",
        "https://token:t.secret@",
        b"https://token:t.secret@logplex.example",
        5,
        Destination("ftp://logplex.example", "token", "t.secret"),
        Destination(None, None, None),  # type: ignore[arg-type]
        SystemExit("t.secret"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_look_up_that_fails_is_contained_and_tried_again(given, capsys):
    """The stream waits, the others do not; the returned value is not shown."""
    is_seen = threading.Event()
    with receiving("t.1", "t.2") as logplex:
        calls = Counter()

        def url_for(stream):
            calls[stream] += 1
            if calls[1] > 1:
                assert is_seen.wait(100)
            if stream == 1 and calls[1] == 1:
                if isinstance(given, BaseException):
                    raise given
                return given
            return logplex.url_for(f"t.{stream}")

        with logging_to(None, streams=url_for) as (logger, handler):
            logger.info("one", extra=to(1))
            logger.info("two", extra=to(2))
            assert wait_until(handler.set_aside)
            (aside,) = handler.set_aside()
            assert aside.stream == 1
            assert "look-up failed" in aside.reason
            is_seen.set()
            assert handler.flush()
            assert handler.set_aside() == ()
    assert sorted(line.text for line in logplex.lines) == ["one", "two"]
    said = capsys.readouterr().err
    assert "stream 1" in said
    assert "secret" not in said


def test_a_look_up_that_hangs_holds_up_nobody_else(monkeypatch):
    """It is given up after a while; a late result is used all the same."""
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.2)
    released = threading.Event()
    with receiving("t.1", "t.2") as logplex:

        def url_for(stream):
            if stream == "hangs":
                released.wait(100)
                return logplex.url_for("t.1")
            return logplex.url_for("t.2")

        with logging_to(None, streams=url_for, flush_interval=0.01) as (logger, handler):
            logger.info("kept", extra=to("hangs"))
            for number in range(20):
                logger.info("line", extra=to(number))
            assert wait_until(lambda: handler.stats().delivered == 20)
            assert wait_until(handler.set_aside)
            (aside,) = handler.set_aside()
            assert (aside.stream, aside.reason) == (
                "hangs",
                "look-up failed: no answer within 0.2 s",
            )
            released.set()
            assert wait_until(lambda: handler.stats().delivered == 21)


def test_a_look_up_that_is_slower_than_patience_is_of_use_in_the_end(monkeypatch):
    """Its answer is taken when it comes, and not asked for again."""
    asked, given_up = [], threading.Event()
    with receiving("t.1") as logplex:

        def url_for(stream):
            asked.append(stream)
            assert given_up.wait(100)
            return logplex.url_for("t.1") if stream == 1 else None

        with logging_to(None, streams=url_for, flush_interval=0.01) as (logger, handler):
            logger.info("line", extra=to(1))
            logger.info("line", extra=to(2))
            assert wait_until(lambda: len(asked) == 2)
            monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.1)
            # A worker that is woken looks at how long they have taken.
            assert wait_until(lambda: handler.flush(0.01) or len(handler.set_aside()) == 2)
            given_up.set()
            assert logplex.wait_for(1)
            assert wait_until(lambda: handler.stats().dropped == {"unknown_stream": 1})
            assert wait_until(lambda: handler.set_aside() == ())
    assert sorted(asked) == [1, 2]


def test_many_look_ups_that_hang_do_not_stop_the_delivery(monkeypatch, capsys):
    """Other threads deliver; that no other stream can be looked up is said once."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.05)
    released = threading.Event()
    with receiving("own") as logplex:
        with logging_to(logplex.url, streams=lambda stream: released.wait(100) and None) as (
            logger,
            handler,
        ):
            for number in range(100):
                logger.info("line", extra=to(number))
            texts = []

            def is_reported():
                texts.append(capsys.readouterr().err)
                return "look-ups hang" in "".join(texts)

            assert wait_until(is_reported)
            logger.info("own")
            assert logplex.wait_for(1)
            assert threading.active_count() < 30
            (said,) = re.findall(".*look-ups hang.*", "".join([*texts, capsys.readouterr().err]))
            assert said.startswith("logplex_handler: 4 look-ups hang, the first since ")
            since = re.findall(r"since (\S+ \S+) UTC", said)
            assert began <= since[0] <= time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
            # On a busy machine, a look-up that does not hang may take longer, too.
            monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 30)
            released.set()
        assert handler.stats().dropped == {"unknown_stream": 100}


def test_what_a_look_up_logs_is_delivered():
    """A partner's `refresh` may log, into the very stream that it is about."""
    with receiving("t.1") as logplex:

        def url_for(stream):
            logger.info("asked for %s", stream, extra=to(1))
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
            assert wait_until(lambda: handler.stats().delivered == 2)
    assert [line.text for line in logplex.lines] == ["line", "asked for 1"]


def test_a_flush_within_a_look_up_does_not_wait_for_itself():
    """It says that it could not."""
    with receiving("t.1") as logplex:
        flushed = []

        def url_for(stream):
            flushed.append(handler.flush(100))
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush(60)
    assert flushed == [False]


def test_a_look_up_never_runs_in_the_application_s_thread():
    """Not even while it waits for a flush."""
    with receiving("t.1") as logplex:
        threads = []

        def url_for(stream):
            threads.append(threading.current_thread().name)
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
    assert threads == ["logplex_handler"]


def test_where_no_thread_is_to_be_had_whoever_waits_looks_up(monkeypatch):
    """As at interpreter exit from Python 3.12 on, where the last lines would be lost otherwise."""

    def start(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls) as (logger, handler), monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            logger.info("last words", extra=to(1))
            # The receiver's own threads are to be had.
            patch.setattr(threading.Thread, "start", started)
            patch.setattr(handler._pipeline._worker_pool, "_start", lambda: None)
            assert handler.flush()
    assert [line.text for line in logplex.lines] == ["last words"]
