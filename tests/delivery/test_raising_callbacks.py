"""`flush`, `close` and `flush_all` raise nothing that the application's own functions raise."""

from __future__ import annotations

import contextlib
import logging
import threading

import pytest
import requests

from logplex_handler import LogplexHandler, flush_all
from logplex_handler._delivery.flush import Flusher
from tests.logs import balanced, logging_to
from tests.servers import accept, answer, serving


class Awkward(Exception):
    """Has neither a text nor a repr."""

    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


# SystemExit passes on, as a signal handler may have raised it.
ERRORS = [RuntimeError, Awkward, RecursionError, MemoryError]


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


@pytest.fixture
def no_threads(monkeypatch):
    """The calling thread does all the work, as at the end of the interpreter."""

    def start(thread):
        if thread.name.startswith("logplex_handler"):
            raise RuntimeError("can't start new thread")
        original(thread)

    original = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.usefixtures("no_threads", "short_waits")
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", ["session_factory", "streams", "refresh", "on_drop", "send"])
def test_what_a_function_of_the_application_raises_goes_no_further(place, error):
    """Also where the thread that flushes calls it; records are counted."""

    class Streams:
        url_for = raising(error)

    class Refresh:
        def url_for(self, stream):
            return server.url

        refresh = raising(error)

    class Session(requests.Session):
        send = raising(error)

    options = {
        "session_factory": {"session_factory": raising(error)},
        "streams": {"streams": Streams()},
        "refresh": {"streams": Refresh()},
        "on_drop": {"on_drop": raising(error), "max_buffer_bytes": 10_000},
        "send": {"session_factory": Session},
    }[place]
    step = answer(401) if place == "refresh" else accept
    with serving(step) as server:
        context = logging_to(server.url, shutdown_timeout=0.3, flush_interval=60, **options)
        with context as (logger, handler):
            for number in range(20):
                logger.info("%d %s", number, "x" * 1000)
                logger.info("%d", number, extra={"logplex_stream": "a"})
            handler.flush(0.2)
            flush_all(0.2)
            handler.close()
            assert balanced(handler.stats())
            assert handler.stats().pending == 0


@pytest.mark.parametrize("error", ERRORS)
def test_an_internal_error_is_reported_and_not_raised(error, monkeypatch, capsys):
    with serving(accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("hello")
        monkeypatch.setattr(Flusher, "flush", raising(error))
        monkeypatch.setattr(Flusher, "flush_last", raising(error))
        monkeypatch.setattr(Flusher, "flush_soon", raising(error))
        assert handler.flush() is False
        assert flush_all() is False
        logging.shutdown([lambda: handler])
    assert f"internal error: {error.__name__}" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "inner"), [("flush", "flush"), ("close", "flush_last")])
def test_an_interruption_by_the_user_passes_on(name, inner, monkeypatch):
    """Ctrl-C is not the application's error, and nobody may swallow it."""
    with serving(accept) as server, logging_to(server.url) as (logger, handler):
        logger.info("hello")
        with monkeypatch.context() as patch:
            patch.setattr(Flusher, inner, raising(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                getattr(handler, name)()


def test_a_callback_that_ends_the_program_keeps_nothing_from_being_closed(capsys):
    """If the thread that closes calls it, what it raises passes on when all is said."""
    with serving(answer(503)) as server:
        handler = LogplexHandler(server.url, on_drop=raising(SystemExit), shutdown_timeout=0)
        handler.handle(logging.makeLogRecord({"msg": "line", "levelno": 20}))
        with contextlib.suppress(SystemExit):
            handler.close()
    assert "1 record not delivered" in capsys.readouterr().err
    assert handler._pipeline._worker_pool.stopped
