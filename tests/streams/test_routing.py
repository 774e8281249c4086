"""Each record goes to the stream it names, with that stream's destination."""

import asyncio
import contextvars
import logging
import logging.config
import threading
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from logplex_handler import (
    ConfigurationError,
    Destination,
    KeyValueFormatter,
    LogplexHandler,
    use_stream,
)
from logplex_handler._delivery import scheduler
from logplex_handler._sender import due
from logplex_handler._transport import transport
from tests.logs import balanced, logging_to, wait_until
from tests.servers import answer, hang, serving
from tests.streams.shared import Record, by_token, receiving, to, token

# Which stream.


def test_each_line_goes_to_the_stream_that_it_names():
    """By `extra=`, by the context, by an adapter; the others to the handler's own URL."""
    with receiving(token("own"), "t.1", "t.2") as logplex:
        urls = {1: logplex.url_for("t.1"), "two": logplex.url_for("t.2")}
        with logging_to(logplex.url, streams=urls) as (logger, handler):
            logger.info("own")
            logger.info("first", extra=to(1))
            with use_stream("two"):
                logger.info("second")
                logger.info("first again", extra=to(1))
                with use_stream(None):
                    logger.info("own again")
            logging.LoggerAdapter(logger, to("two")).info("second again")
            assert handler.flush()
            assert balanced(handler.stats())
            assert handler.stats().delivered == 6
            assert handler.stats(stream="two").delivered == 2
    assert by_token(logplex) == {
        token("own"): ["own", "own again"],
        "t.1": ["first", "first again"],
        "t.2": ["second", "second again"],
    }


@pytest.mark.parametrize("formatter", [None, KeyValueFormatter()])
def test_records_of_one_shape_go_to_their_streams(formatter):
    """A call that comes often takes a shorter way, which must be the right one too."""
    with receiving(token("own"), *map(token, range(5))) as logplex:
        urls = {number: logplex.url_for(token(number)) for number in range(5)}
        with logging_to(logplex.url, streams=urls, formatter=formatter) as (logger, handler):
            for number in range(1000):
                logger.info("line %d", number, extra=to(number % 5))
                with use_stream(number % 5):
                    logger.info("other %d", number)
            assert handler.flush()
    found = by_token(logplex)
    for number in range(5):
        expected = []
        for line in range(number, 1000, 5):
            expected += [f"line {line}", f"other {line}"]
        lines = [text.split('msg="')[-1].rstrip('"') for text in found[token(number)]]
        assert lines == expected


def test_a_handler_without_streams_takes_no_line_for_another():
    """It would be in the wrong customer's hands, even if the call comes often."""
    with (
        receiving("own") as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter()) as (logger, handler),
    ):
        for number in range(200):
            logger.info("line %d", number)
        logger.info("line %d", 200, extra=to("customer"))
        with use_stream("customer"):
            logger.info("line %d", 201)
        assert handler.flush()
        stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (200, {"unknown_stream": 2})
    assert len(logplex.lines) == 200


def test_the_context_holds_for_each_task_by_itself():
    """Under asyncio, and in threads."""

    async def work(logger, number):
        with use_stream(number):
            for _ in range(3):
                await asyncio.sleep(0)
                logger.info("task %d", number)

    async def main(logger):
        await asyncio.gather(*[work(logger, number) for number in range(3)])

    def in_thread(logger, number):
        with use_stream(number):
            time.sleep(0.01)
            logger.info("thread %d", number)

    with receiving(*map(token, range(3))) as logplex:
        urls = {number: logplex.url_for(token(number)) for number in range(3)}
        with logging_to(None, streams=urls) as (logger, handler):
            asyncio.run(main(logger))
            threads = [threading.Thread(target=in_thread, args=(logger, n)) for n in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert handler.flush()
    found = by_token(logplex)
    assert found == {token(n): [f"task {n}"] * 3 + [f"thread {n}"] for n in range(3)}


def test_a_generator_may_be_ended_in_another_context():
    """As frameworks do that run a dependency's two halves in two threads."""

    def dependency():
        with use_stream(1):
            yield

    generator = dependency()
    contextvars.copy_context().run(next, generator)
    generator.close()


def test_a_destination_carries_a_hostname_of_its_own():
    """The header form of 2024 wants the id of each customer's app there."""
    with receiving("t.1", "t.2") as logplex:
        urls = {
            1: Destination.from_url(logplex.url_for("t.1"), hostname="App_One"),
            2: logplex.url_for("t.2"),
        }
        with logging_to(None, streams=urls.__getitem__, hostname="own") as (logger, handler):
            logger.info("one", extra=to(1))
            logger.info("two", extra=to(2))
            assert handler.flush()
    assert {line.text: line.packet.hostname for line in logplex.lines} == {
        "one": "app-one",
        "two": "own",
    }


def test_the_token_is_each_streams_own_appname():
    """In the header form of 2013; Logplex puts `app` in its place."""
    with receiving("t.1", "t.2") as logplex:
        urls = {1: logplex.url_for("t.1"), 2: logplex.url_for("t.2")}
        with logging_to(None, streams=urls, token_as_appname=True) as (logger, handler):
            logger.info("one", extra=to(1))
            logger.info("two", extra=to(2))
            assert handler.flush()
    assert len(logplex.lines) == 2
    assert {line.packet.appname for line in logplex.lines} == {"app"}


def test_streams_come_from_ext_in_dict_config():
    """So JSON can name them."""
    with receiving("t.1") as logplex:
        SOURCE.urls = {"one": logplex.url_for("t.1")}
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "logplex": {
                    "class": "logplex_handler.LogplexHandler",
                    "streams": f"ext://{__name__}.SOURCE",
                }
            },
            "loggers": {"tests.ext": {"handlers": ["logplex"], "level": "INFO"}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("tests.ext")
        try:
            logger.info("hello", extra=to("one"))
            assert logplex.wait_for(1)
        finally:
            for handler in logger.handlers[:]:
                logger.removeHandler(handler)
                handler.close()


SOURCE = Record({})


def test_bad_streams_are_an_error_that_names_the_option():
    """No secret is shown."""
    with pytest.raises(ConfigurationError, match=r"^streams: must be a mapping"):
        LogplexHandler(streams="https://token:t.secret@logplex.example")
    with pytest.raises(ConfigurationError, match=r"^hostname: ") as caught:
        Destination.from_url("https://token:t.secret@logplex.example", hostname="---")
    assert "secret" not in str(caught.value)


def test_connections_are_shared_by_the_streams_of_a_host(monkeypatch):
    """No more than `workers` of them, whatever the number of streams."""
    # None is given up because it was idle, or because a busy machine made a request slow.
    monkeypatch.setattr(transport, "_MAX_IDLE", 100.0)
    monkeypatch.setattr(scheduler, "_PATIENCE", 100.0)
    tokens = [f"t.{number}" for number in range(200)]
    with receiving(*tokens, idle_timeout=100) as logplex:
        urls = {token: logplex.url_for(token) for token in tokens}
        with logging_to(None, streams=urls, workers=3, flush_interval=0.01) as (logger, handler):
            for _ in range(3):
                for token in tokens:
                    logger.info("line", extra=to(token))
            assert handler.flush()
            connections = {request.connection for request in logplex.requests}
    # A hundred requests to a connection, and three at a time.
    assert len(connections) <= 3 + len(logplex.requests) // 100


def test_a_stream_that_may_wait_for_more_waits_for_no_more_than_fits_into_a_request(monkeypatch):
    """A 64th of the memory that all streams share, however few records that is."""
    monkeypatch.setattr(due, "_LINGER", 600)
    options = {"batch_size": 50, "flush_interval": 600, "max_buffer_bytes": 8_000_000}
    with receiving("t.1") as logplex:
        urls = {"t.1": logplex.url_for("t.1")}
        with logging_to(None, streams=urls, **options) as (logger, _):
            for number in range(50):
                logger.info("line %d", number, extra=to("t.1"))
            assert logplex.wait_for(50)
            for _ in range(100):
                logger.info("x" * 1000, extra=to("t.1"))
            assert not logplex.wait_for(51, 0.2)
            for _ in range(50):
                logger.info("x" * 1000, extra=to("t.1"))
            assert logplex.wait_for(51)


def test_closing_delivers_what_all_streams_have():
    """And opens no other one afterwards."""
    tokens = [f"t.{number}" for number in range(20)]
    with receiving(*tokens) as logplex:
        urls = {token: logplex.url_for(token) for token in tokens}
        with logging_to(None, streams=urls, flush_interval=60) as (logger, handler):
            for token in tokens:
                logger.info("line", extra=to(token))
            handler.close()
            logger.info("late", extra=to("t.0"))
            logger.info("late", extra=to("new"))
            stats = handler.stats()
    assert len(logplex.lines) == 20
    assert stats.dropped == {"closed": 2}
    assert balanced(stats)


class Naive:
    """An id as people write them: it cannot be compared with objects of other classes."""

    def __init__(self, key):
        self.key = key

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


def test_an_id_that_cannot_be_compared_is_an_id(capsys):
    """A failing request of its stream waits as any other does."""
    with serving(answer(503)) as server:
        options = {"flush_interval": 0.01, "shutdown_timeout": 0.1}
        with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
            logger.info("line", extra=to(Naive(1)))
            assert wait_until(lambda: handler.stats().requests >= 2)
            assert handler.stats(stream=Naive(1)).pending == 1
            assert handler.stats(stream=1).pending == 0
    assert "internal" not in capsys.readouterr().err


def test_a_thousand_streams_on_three_hosts_each_get_their_lines():
    """One host hangs, and one stream in ten is rotated: each of these is looked up once."""
    with ExitStack() as stack:
        hanging = stack.enter_context(serving(hang))
        good = [token(stream) for stream in range(1000)]
        breakers = [stack.enter_context(receiving(*good)) for _ in range(2)]
        refreshed = Counter()

        class Rotated:
            def url_for(self, stream):
                if stream % 3 == 2:
                    return hanging.url
                rotated = "t.old" if stream % 10 == 0 else good[stream]
                return breakers[stream % 3].url_for(rotated)

            def refresh(self, stream, rejected):
                refreshed[stream] += 1
                return breakers[stream % 3].url_for(good[stream])

        options = {"timeout": 100, "flush_interval": 0.1, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=Rotated(), **options))
        for number in range(3):
            for stream in range(1000):
                logger.info("line %d", number, extra=to(stream))
        for host in breakers:
            assert host.wait_for(1002 if host is breakers[0] else 999)
        expected = [f"line {number}" for number in range(3)]
        healthy = [stream for stream in range(1000) if stream % 3 != 2]
        found = {**by_token(breakers[0]), **by_token(breakers[1])}
        assert found == {good[stream]: expected for stream in healthy}
        assert refreshed == {stream: 1 for stream in healthy if stream % 10 == 0}
        assert len(hanging.received) <= 4
        assert balanced(handler.stats())
