"""Whose stream a record goes to where contexts are copied: to threads, tasks and signal handlers.

On free-threaded builds of Python 3.14, and with `-X thread_inherit_context=1`, a thread starts in a
copy of its starter's context. Here each thread does, on any Python.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import logging
import os
import signal
import sys
import threading
import weakref

import pytest
import requests

from logplex_handler import KeyValueFormatter, LogplexHandler, Metrics, flush_on_sigterm, use_stream
from logplex_handler._process.forks import LiveObjects
from logplex_handler.handler import shutdown
from logplex_handler.streams.current import stream_of
from tests.logs import logging_to, wait_until
from tests.servers import hang, serving
from tests.streams.shared import by_token, receiving, token

pytestmark = pytest.mark.usefixtures("threads_inherit")

OWN = token("own")
request: contextvars.ContextVar[str | None] = contextvars.ContextVar("request", default=None)


@pytest.fixture
def logplex():
    with receiving(OWN, "t.1") as receiver:
        yield receiver


@pytest.fixture
def logger(logplex):
    """Sends to the handler's own URL, and to that of the customer 1; each line has its request."""
    formatter = KeyValueFormatter(static={"request": request.get})
    urls = {1: logplex.url_for("t.1")}
    with logging_to(logplex.url, streams=urls, formatter=formatter, flush_interval=0.05) as (
        logger,
        handler,
    ):
        logger.flush = handler.flush
        yield logger


class serving_customer:
    """Within it, a request of the customer 1 is served."""

    def __enter__(self):
        self._token = request.set("r1")
        self._block = use_stream(1)
        self._block.__enter__()

    def __exit__(self, *error):
        self._block.__exit__(*error)
        request.reset(self._token)


def started(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def lines(logplex, logger, name=OWN):
    assert logger.flush()
    return by_token(logplex).get(name, [])


def test_metrics_that_are_first_recorded_for_a_customer_are_the_process_s_own(logplex, logger):
    """Their reports go to the handler's own URL, without the id of that request."""
    metrics = Metrics(logger, interval=0.05)
    with serving_customer():
        metrics.count("orders")
    assert wait_until(lambda: lines(logplex, logger))
    with serving_customer():
        metrics.count("orders")
        metrics.report()
        metrics.count("orders")
        metrics.sample("broken", lambda: 1 / 0)
        metrics.close()
    assert lines(logplex, logger, "t.1") == []
    own = lines(logplex, logger)
    assert sum(line.startswith("count#orders=") for line in own) >= 2
    assert any("metric left out" in line for line in own)
    assert not any("request=" in line for line in own)


def test_the_application_s_look_up_is_called_in_no_customer_s_name(logplex):
    """Neither in a thread of the handler, nor in one that flushes or closes."""
    found = []

    def look_up(stream):
        found.append((threading.current_thread() is threading.main_thread(), request.get()))
        logger.info("looking %s up", stream)
        return logplex.url_for("t.1")

    with (
        logging_to(logplex.url, streams=look_up, flush_interval=60) as (logger, handler),
        serving_customer(),
    ):
        logger.info("hello")
        handler.flush()
    assert found == [(False, None)]
    assert by_token(logplex) == {"t.1": ["hello"], OWN: ["looking 1 up"]}


@pytest.mark.usefixtures("short_waits")
def test_reports_of_drops_belong_to_no_customer(logplex):
    """Nor does what `on_drop` logs, when a caller closes the handler within a block."""
    with serving(hang) as server, logging_to(logplex.url) as (other, _):
        named = []

        def on_drop(number, cause):
            named.append((number, cause, request.get()))

        handler = LogplexHandler(server.url, on_drop=on_drop, shutdown_timeout=0.1)
        other.info("hello")
        handler.handle(logging.makeLogRecord({"msg": "lost", "levelno": 20}))
        with serving_customer():
            handler.close()
    assert named == [(1, "shutdown", None)]


def test_a_thread_that_is_started_for_a_customer_logs_to_the_own_url(logplex, logger):
    """As the documentation says, and as it is where threads do not inherit."""
    with serving_customer():
        started(lambda: logger.info("thread")).join()
        logger.info("block")
    (line,) = lines(logplex, logger)
    assert "msg=thread" in line
    # What the application has set is inherited, as that Python promises.
    assert "request=r1" in line
    assert ["msg=block" in line for line in lines(logplex, logger, "t.1")] == [True]


def test_a_thread_chooses_streams_of_its_own(logplex, logger):
    def work():
        with use_stream(1):
            logger.info("chosen")
        logger.info("not chosen")

    with serving_customer():
        started(work).join()
    assert ["msg=chosen" in line for line in lines(logplex, logger, "t.1")] == [True]
    assert ['msg="not chosen"' in line for line in lines(logplex, logger)] == [True]


def test_what_a_task_does_in_a_thread_belongs_to_the_task(logplex, logger):
    """`asyncio.to_thread` calls a function in a copy of the task's context, on purpose."""

    async def serve(number):
        with use_stream(1):
            await asyncio.to_thread(logger.info, "call %d", number)
            await asyncio.create_task(task(number))

    async def task(number):
        logger.info("task %d", number)

    async def main():
        # The first call starts the thread, in that same context; the others find it.
        for number in range(3):
            await serve(number)
        await asyncio.to_thread(logger.info, "own")

    asyncio.run(main())
    assert [line.split('"')[1] for line in lines(logplex, logger, "t.1")] == [
        f"{what} {number}" for number in range(3) for what in ("call", "task")
    ]
    assert ["msg=own" in line for line in lines(logplex, logger)] == [True]


def test_a_task_may_outlive_the_block_in_which_it_was_started(logplex, logger):
    async def task(begin):
        await begin.wait()
        logger.info("task")

    async def main():
        begin = asyncio.Event()
        with use_stream(1):
            running = asyncio.create_task(task(begin))
        begin.set()
        await running

    asyncio.run(main())
    started(lambda: asyncio.run(main())).join()
    assert len(lines(logplex, logger, "t.1")) == 2
    assert lines(logplex, logger) == []


def test_a_loop_in_a_thread_is_no_customer_s_for_longer_than_the_block(logplex, logger):
    """A background loop may be started by the first request that needs it."""
    over = threading.Event()

    async def main():
        await asyncio.get_running_loop().run_in_executor(None, over.wait, 10)
        logger.info("background")

    with serving_customer():
        thread = started(lambda: asyncio.run(main()))
    over.set()
    thread.join()
    assert ["msg=background" in line for line in lines(logplex, logger)] == [True]
    assert lines(logplex, logger, "t.1") == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_sigterm_while_a_customer_is_served_reports_the_process_s_own_metrics(
    logplex, logger, monkeypatch
):
    # Not the handlers of other tests, whose receivers may be gone.
    own: LiveObjects[LogplexHandler] = LiveObjects()
    for handler in logger.handlers:
        if isinstance(handler, LogplexHandler):
            own.add(handler)
    monkeypatch.setattr(shutdown, "all_handlers", own)
    previous = signal.signal(signal.SIGTERM, lambda number, frame: logger.info("handler"))
    try:
        flush_on_sigterm()
        metrics = Metrics(logger, interval=3600)
        metrics.count("orders")
        with serving_customer():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert lines(logplex, logger) == ["count#orders=1"]
    # The application's own handler runs in the context that the signal has interrupted.
    (line,) = lines(logplex, logger, "t.1")
    assert "msg=handler" in line
    assert "request=r1" in line
    metrics.close()


def test_diagnostics_belong_to_no_customer(logplex, logger, monkeypatch):
    """Where stderr is itself a logger."""

    class Stderr:
        def write(self, text):
            logger.info(text.strip())

        def flush(self):
            pass

    handler = LogplexHandler(logplex.url)
    handler.close()
    monkeypatch.setattr(sys, "stderr", Stderr())
    with serving_customer():
        handler.handle(logging.makeLogRecord({"msg": "late", "levelno": 20}))
    monkeypatch.undo()
    assert ["after close" in line for line in lines(logplex, logger)] == [True]
    assert lines(logplex, logger, "t.1") == []


def test_a_thread_that_a_request_of_ours_starts_is_an_ordinary_one(logplex):
    """Such as one of an adapter of the application: its records are delivered like any others."""
    threads = []
    gone_on = threading.Event()

    def later():
        gone_on.wait(100)
        logging.getLogger("urllib3.mine").info("mine")
        logger.info("later")

    class Session(requests.Session):
        def send(self, *args, **kwargs):
            if not threads:
                threads.append(started(later))
            return super().send(*args, **kwargs)

    with logging_to(logplex.url, session_factory=Session, flush_interval=0.05) as (logger, handler):
        urllib3_logger = logging.getLogger("urllib3.mine")
        urllib3_logger.addHandler(handler)
        urllib3_logger.setLevel(logging.INFO)
        try:
            logger.info("hello")
            assert handler.flush()
            gone_on.set()
            threads[0].join()
            # Without a flush: a record of the package's own doing wakes nobody.
            assert wait_until(lambda: by_token(logplex) == {OWN: ["hello", "mine", "later"]})
        finally:
            urllib3_logger.removeHandler(handler)


def messages(logplex):
    """The messages that arrived, by token."""
    return {
        of: [text.split("msg=")[1] for text in found] for of, found in by_token(logplex).items()
    }


class Logging:
    """An object that only a garbage collection finalizes, and that logs then."""

    def __init__(self, logger):
        self.logger = logger
        self.myself = self
        self.generator = self.generated()
        next(self.generator)
        weakref.finalize(self, logger.info, "callback")

    def generated(self):
        with use_stream("t.2"):
            try:
                yield self
            finally:
                self.logger.info("generator", extra={"logplex_stream": 1})

    def __del__(self):
        self.logger.info("__del__")
        with use_stream(1):
            self.logger.info("chosen")


def test_what_a_garbage_collection_logs_belongs_to_no_customer(logplex, logger):
    """Unless it names one. The block that it interrupts goes on as before."""
    gc.disable()
    try:
        contextvars.Context().run(Logging, logger)
        with serving_customer():
            logger.info("before")
            gc.collect()
            logger.info("behind")
        logger.info("outside")
        assert logger.flush()
    finally:
        gc.enable()
    texts = {
        of: [text.split("msg=")[1] for text in of_one] for of, of_one in by_token(logplex).items()
    }
    assert sorted(texts[OWN]) == ["__del__", "callback", "outside"]
    assert (texts["t.1"][0], texts["t.1"][-1]) == ("before", "behind")
    assert sorted(texts["t.1"][1:-1]) == ["chosen", "generator"]


@pytest.mark.parametrize("name", ["asyncio", "py.warnings"])
def test_what_is_logged_about_any_object_that_goes_belongs_to_no_customer(logplex, logger, name):
    """It may go in any call, and be another customer's."""
    diagnostics = logging.getLogger(name)
    [handler] = [one for one in logger.handlers if isinstance(one, LogplexHandler)]
    diagnostics.addHandler(handler)
    try:
        with serving_customer():
            diagnostics.error("Task exception was never retrieved")
            logger.info("of the customer")
            diagnostics.error("chosen", extra={"logplex_stream": 1})
        assert logger.flush()
    finally:
        diagnostics.removeHandler(handler)
    arrived = messages(logplex)
    assert arrived[OWN] == ['"Task exception was never retrieved"']
    assert arrived["t.1"] == ['"of the customer"', "chosen"]


class _Interruption(Exception):
    """What a signal handler raises, such as Celery's at the end of a task's time."""


def test_an_error_of_a_signal_handler_in_any_place_leaves_no_stream_behind():
    """Such as that of the time limit of a task: the next one may be another customer's.

    A handler is called as a function begins, and where a function in C has returned.
    """
    for number in itertools.count(1):
        left = number

        def interrupt(frame, event, _):
            nonlocal left
            is_ours = frame.f_globals["__name__"] in ("contextlib", use_stream.__module__)
            # Before Python 3.11, a generator that goes on leaves its `finally` out if a profiler
            # raises, but not if a signal handler does.
            goes_on = sys.version_info < (3, 11) and event == "call" and frame.f_lasti >= 0
            if is_ours and event in ("call", "c_return") and not goes_on:
                left -= 1
                if not left:
                    sys.setprofile(None)
                    raise _Interruption

        sys.setprofile(interrupt)
        try:
            with use_stream("t.1"):
                pass
        except _Interruption:
            pass
        finally:
            sys.setprofile(None)
        assert stream_of(logging.makeLogRecord({})) is None, number
        if left:
            break
    assert number > 5
