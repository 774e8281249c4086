"""`logging.config` and `logging.shutdown` while other threads log."""

import itertools
import logging
import logging.config
import subprocess
import sys
import threading
import time

import pytest
import requests

from logplex_handler._process import exits, forks
from logplex_handler._process.reentrancy import is_held
from logplex_handler.testing import LogplexReceiver
from tests.logs import (
    balanced,
    logging_to_receiver,
    logging_to_server,
    own_stream,
    wait_until,
)
from tests.pace import stopwatch
from tests.servers import accept, hang, hang_up, serving


def test_a_second_dictconfig_delivers_and_does_not_freeze():
    """It closes the first handler with the logging module's lock held, under load."""
    with LogplexReceiver() as logplex:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(message)s"}},
            "handlers": {
                "logplex": {
                    "class": "logplex_handler.LogplexHandler",
                    "url": logplex.url,
                    "formatter": "plain",
                    # For so long it would wait if it froze.
                    "shutdown_timeout": 100,
                }
            },
            "loggers": {
                "test.twice": {"handlers": ["logplex"], "level": "DEBUG", "propagate": False}
            },
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.twice")
        stop = threading.Event()
        sent = []

        def work(thread):
            number = 0
            while not stop.is_set():
                logger.info("%d %d", thread, number)
                number += 1
                time.sleep(0.0005)
            sent.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        longest = 0.0
        handlers = []
        for _ in range(5):
            first = logger.handlers[0]
            assert wait_until(lambda first=first: first.stats().accepted > 100)
            handlers.append(first)
            with stopwatch() as watch:
                logging.config.dictConfig(config)
                longest = max(longest, watch.seconds)
            assert wait_until(lambda first=first: first.stats().pending == 0)
            assert balanced(first.stats())
        stop.set()
        for thread in threads:
            thread.join()
        last = logger.handlers[0]
        logger.removeHandler(last)
        last.close()
        handlers.append(last)
        # While nothing is delivered, it waits for a second in `flush`, and for one in `close`.
        assert longest < 3
        assert len({line.text for line in logplex.lines}) == len(logplex.lines)
        # Records that came between the closing of one handler and its removal are counted there.
        closed = sum(one.stats().dropped.get("closed", 0) for one in handlers)
        assert len(logplex.lines) + closed == sum(one.stats().accepted for one in handlers)
        assert sum(sent) == sum(one.stats().accepted for one in handlers)


def test_logging_shutdown_delivers_while_other_threads_log():
    """It holds the handler's lock, which does not keep other threads from logging."""
    with logging_to_receiver(flush_interval=60) as (logplex, logger, handler):
        logger.info("before")
        handler.acquire()
        try:
            worker = threading.Thread(target=logger.info, args=("meanwhile",))
            worker.start()
            worker.join(100)
            assert not worker.is_alive()
            assert handler.flush()
        finally:
            handler.release()
    assert [line.text for line in logplex.lines] == ["before", "meanwhile"]


def test_an_application_thread_never_waits_for_the_network():
    """Beside a server that does not answer, calls stay short."""
    with logging_to_server(hang, shutdown_timeout=0.1, flush_interval=0.01) as (server, logger, _):
        logger.info("first")
        assert wait_until(lambda: server.received)
        longest = 0.0
        with stopwatch() as watch:
            for number in range(2000):
                started = time.monotonic()
                logger.info("line %d", number)
                if time.monotonic() - started > longest:
                    longest = max(longest, watch.since(started))
    # The request alone would take until its time-out.
    assert longest < 0.5


def test_a_record_made_by_garbage_collection_inside_the_handler_does_not_lock_up():
    """An object collected while the handler holds its locks may log through it."""
    with logging_to_receiver(max_buffer_bytes=10_000_000) as (logplex, logger, handler):

        class Noisy:
            def __del__(self):
                logger.info("collected")

        with own_stream(handler).accumulator.lock:
            noisy = Noisy()
            del noisy
        with handler._pipeline._worker_pool._lock, handler._pipeline._worker_pool._starting:
            noisy = Noisy()
            del noisy
        assert handler.flush()
        assert [line.text for line in logplex.lines] == ["collected", "collected"]


def test_importing_the_package_starts_and_says_nothing():
    """No thread, no output, no handler of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import logging, threading, logplex_handler;"
            "assert threading.active_count() == 1; assert not logging.getLogger().handlers",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_second_dictconfig_does_not_freeze_in_the_middle_of_a_request():
    """A level that was set just before has the loggers of the HTTP libraries ask for the lock."""
    begun = threading.Event()

    def slow_accept(connection):
        begun.set()
        time.sleep(0.7)
        accept(connection)

    with serving(slow_accept) as server:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"logplex": {"class": "logplex_handler.LogplexHandler", "url": server.url}},
            "loggers": {"test.cold": {"handlers": ["logplex"], "level": "INFO"}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.cold")
        first = logger.handlers[0]
        logger.info("line")
        assert begun.wait(100)
        logging.getLogger("test.other").setLevel(logging.INFO)
        with stopwatch() as watch:
            logging.config.dictConfig(config)
            assert watch.seconds < 3
        second = logger.handlers[0]
        logger.removeHandler(second)
        second.close()
        assert wait_until(lambda: first.stats().delivered == 1)


def test_a_second_dictconfig_waits_for_no_lock_of_ours_that_waits_for_logging():
    """A garbage collection under one of our locks may take logging's, at any moment."""
    holding = threading.Event()

    class Id:
        """An id that is compared, under a lock of ours, by something that needs logging's."""

        def __hash__(self):
            holding.set()
            logging.getLogger("test.of-an-id")
            return 1

    with LogplexReceiver() as logplex:
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "logplex": {"class": "logplex_handler.LogplexHandler", "url": logplex.url}
            },
            "loggers": {"test.locks": {"handlers": ["logplex"], "level": "INFO"}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.locks")
        first = logger.handlers[0]
        logger.info("line")
        other = threading.Thread(target=first.stats, args=(Id(),))
        with forks.logging_lock():
            other.start()
            assert holding.wait(100)
            logging.config.dictConfig(config)
        other.join(100)
        second = logger.handlers[0]
        logger.removeHandler(second)
        second.close()
        assert wait_until(lambda: first.stats().delivered == 1)


@pytest.mark.parametrize("role", ["look-up", "session"])
def test_a_second_dictconfig_loses_nothing_for_a_function_that_logs(role):
    """The function's new logger needs the lock that `dictConfig` holds."""
    called, held = threading.Event(), threading.Event()
    names = itertools.count()

    class Configuring(logging.Handler):
        """Notices that `dictConfig` closes handlers; it is the first one, as the latest made."""

        def flush(self):
            held.set()

    def log():
        called.set()
        assert held.wait(100)
        logging.getLogger(f"test.new.{next(names)}").info("a logger of its own")

    with LogplexReceiver() as logplex:

        def url_for(stream):
            if role == "look-up":
                log()
            return logplex.url

        def new_session():
            if role == "session":
                log()
            return requests.Session()

        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "logplex": {
                    "class": "logplex_handler.LogplexHandler",
                    "streams": url_for,
                    "session_factory": new_session,
                    "shutdown_timeout": 100,
                }
            },
            "loggers": {"test.function": {"handlers": ["logplex"], "level": "INFO"}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("test.function")
        first = logger.handlers[0]
        logger.info("line", extra={"logplex_stream": "a"})
        assert called.wait(100)
        configuring = Configuring()
        with stopwatch() as watch:
            logging.config.dictConfig(config)
            assert watch.seconds < 50
        configuring.close()
        second = logger.handlers[0]
        logger.removeHandler(second)
        second.close()
        assert wait_until(lambda: first.stats().delivered == 1)
        assert [line.text for line in logplex.lines] == ["level=info logger=test.function msg=line"]


def test_a_program_that_ends_after_a_second_dictconfig_delivers_first():
    """What the first handler could not deliver meanwhile is delivered by a thread."""

    def hang_up_late(connection):
        # The two calls under the lock wait for a second each.
        time.sleep(2.5)
        hang_up(connection)

    with serving(hang_up_late, accept) as server:
        program = f"""
import logging.config
config = {{
    "version": 1,
    "handlers": {{
        "logplex": {{
            "class": "logplex_handler.LogplexHandler",
            "url": {server.url!r},
            "timeout": 100,
            "shutdown_timeout": 100,
        }}
    }},
    "root": {{"handlers": ["logplex"], "level": "INFO"}},
}}
logging.config.dictConfig(config)
logging.error("line")
logging.config.dictConfig(config)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100
        )
        assert done.stdout == ""
        assert "not delivered" not in done.stderr
        assert len(server.received) == 2


def test_a_thread_that_flushes_for_dictconfig_is_started_without_the_lock(monkeypatch):
    """A garbage collection in the new thread may need it, and whoever starts it waits for that."""
    acquired = []

    class Collecting(threading.Thread):
        def start(self):
            other = threading.Thread(target=self._collect)
            other.start()
            other.join()
            super().start()

        def _collect(self):
            acquired.append(lock.acquire(timeout=15))
            if acquired[0]:
                lock.release()

    lock = threading.RLock()
    monkeypatch.setattr(forks, "logging_lock", lambda: lock)
    monkeypatch.setattr(exits, "new_thread", lambda function, name: Collecting(target=function))
    with lock:
        assert exits.without_logging_lock(lambda: is_held(lock), 100) is False
        assert is_held(lock)
    assert acquired == [True]
