"""Many streams in one process: each line in its own, whatever becomes of the others."""

import asyncio
import contextvars
import itertools
import logging
import logging.config
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager, suppress

import pytest

from logplex_handler import (
    ConfigurationError,
    Destination,
    KeyValueFormatter,
    LogplexHandler,
    use_stream,
)
from logplex_handler._delivery import scheduler
from logplex_handler._sender import sender
from logplex_handler._sender.backoff import Backoff
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._transport.answer import Answer
from logplex_handler.streams import resolution
from logplex_handler.streams.registry import _ENDED
from logplex_handler.streams.resolution import ResolutionState
from logplex_handler.streams.stream import Stream
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to, wait_until
from tests.servers import ScriptedServer, _read, accept, answer, hang_up, serving, texts

started = threading.Thread.start


class Record:
    """A partner's record: the URL of each stream, and what it was asked."""

    def __init__(self, urls):
        self.urls = dict(urls)
        self.asked = []
        self.rejected = []

    def url_for(self, stream):
        self.asked.append(stream)
        return self.urls.get(stream)

    def refresh(self, stream, rejected):
        self.rejected.append((stream, rejected))
        return self.urls.get(stream)


@contextmanager
def receiving(*tokens):
    with LogplexReceiver(tokens=tokens) as logplex:
        yield logplex
        assert not logplex.violations


def by_token(logplex):
    found = defaultdict(list)
    for line in logplex.lines:
        found[line.token].append(line.text)
    return dict(found)


def token(number):
    """One that stands in no other text: Logplex puts `app` in its place."""
    return f"t.0123-{number}-cdef"


def to(stream):
    return {"logplex_stream": stream}


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


# Streams that nobody knows.


def test_a_stream_that_nobody_knows_is_counted_and_told_once(capsys):
    """None, a KeyError, an id that cannot be a key, and no stream at all."""
    source = Record({})
    with logging_to(None, streams=source) as (logger, handler):
        for _ in range(3):
            logger.info("line", extra=to("nobody"))
        assert handler.flush()
        logger.info("line", extra=to("nobody"))
        logger.info("line", extra=to(["a", "list"]))
        logger.info("line")
        assert handler.flush()
        stats = handler.stats()
        assert handler.stats(stream="nobody").dropped == {"unknown_stream": 4}
    assert stats.dropped == {"unknown_stream": 6}
    assert balanced(stats)
    assert source.asked == ["nobody"]
    said = capsys.readouterr().err.splitlines()
    assert 1 <= len(said) <= 3
    assert any("'nobody'" in line and "unknown_stream" in line for line in said)


@pytest.mark.parametrize("has_url", [False, True])
def test_on_drop_hears_of_every_record_that_leads_nowhere(has_url, monkeypatch):
    """Of the first for a stream, of later ones, of those that name none; not of what it logs."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    told = Counter()

    def on_drop(records, cause):
        told[cause] += records
        logger.info("dropped", extra=to("nobody"))

    with receiving("own") as logplex:
        url = logplex.url_for("own") if has_url else None
        with logging_to(url, streams={}, on_drop=on_drop) as (logger, handler):
            for _ in range(3):
                logger.info("line", extra=to("nobody"))
            assert wait_until(lambda: told == {"unknown_stream": 3})
            for _ in range(2):
                logger.info("line", extra=to("nobody"))
            assert wait_until(lambda: told == {"unknown_stream": 5})
            assert wait_until(lambda: "nobody" not in handler._pipeline._registry._streams)
            logger.info("line", extra=to("nobody"))
            logger.info("line", extra=to(["a", "list"]))
            assert wait_until(lambda: told == {"unknown_stream": 7})
            time.sleep(0.2)
            assert told == {"unknown_stream": 7}
            assert balanced(handler.stats())
            assert handler.stats().dropped["unknown_stream"] > 7


def test_on_drop_hears_of_records_for_a_stream_that_has_ended():
    """Of each, though it is said on stderr only now and then."""
    told = Counter()
    with receiving("other") as logplex:
        source = Record({1: logplex.url_for("gone")})
        source.refresh = lambda stream, rejected: None
        options = {"on_drop": lambda records, cause: told.update({cause: records})}
        with logging_to(None, streams=source, **options) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
            logger.info("late", extra=to(1))
            assert wait_until(lambda: told == {"stream_gone": 2})
            logger.info("last", extra=to(1))
    assert told == {"stream_gone": 3} == handler.stats().dropped


def test_on_drop_hears_of_a_record_for_a_stream_where_there_are_none():
    """The handler has its own URL alone, and no thread for streams."""
    told = Counter()
    with receiving(token("own")) as logplex:
        options = {"on_drop": lambda records, cause: told.update({cause: records})}
        with logging_to(logplex.url, **options) as (logger, handler):
            logger.info("line", extra=to("customer"))
            assert wait_until(lambda: told == {"unknown_stream": 1})
            logger.info("own")
            assert handler.flush()
    assert [line.text for line in logplex.lines] == ["own"]


def test_a_stream_that_was_unknown_is_asked_for_again_later(monkeypatch):
    """A customer may be new."""
    monkeypatch.setitem(_ENDED, ResolutionState.UNKNOWN, 0.0)
    monkeypatch.setattr(scheduler, "_IDLE", 0.05)
    with receiving("t.1") as logplex:
        source = Record({})
        with logging_to(None, streams=source) as (logger, handler):
            logger.info("too early", extra=to(1))
            assert handler.flush()
            source.urls[1] = logplex.url_for("t.1")
            assert wait_until(lambda: handler._pipeline._registry._asleep)
            logger.info("in time", extra=to(1))
            assert handler.flush()
            assert handler.stats(stream=1).delivered == 1
            assert handler.stats().dropped == {"unknown_stream": 1}
    assert [line.text for line in logplex.lines] == ["in time"]


# URLs that rotate.


def test_a_rotated_url_is_looked_up_once_and_nothing_is_lost():
    """In the middle of a flow: the refused batch goes again under the same frame id."""
    with LogplexReceiver(tokens=["old", "other"]) as logplex:
        source = Record({1: logplex.url_for("old"), 2: logplex.url_for("other")})
        with logging_to(None, streams=source, flush_interval=0.02) as (logger, handler):
            for number in range(300):
                if number == 150:
                    assert wait_until(lambda: len(logplex.lines) >= 200)
                    logplex.tokens = ("new", "other")
                    source.urls[1] = logplex.url_for("new")
                logger.info("line %d", number, extra=to(1))
                logger.info("line %d", number, extra=to(2))
                time.sleep(0.001)
            assert handler.flush()
            stats = handler.stats()
            assert handler.set_aside() == ()
    found = by_token(logplex)
    expected = [f"line {number}" for number in range(300)]
    assert found["old"] + found["new"] == expected
    assert found["other"] == expected
    assert source.rejected == [(1, logplex.url_for("old"))]
    assert sorted(source.asked) == [1, 2]
    assert (stats.delivered, stats.dropped) == (600, {})
    refused = [request for request in logplex.requests if request.status == 401]
    again = [request for request in logplex.requests if request.frame_id == refused[0].frame_id]
    assert [request.status for request in again] == [401, 204]


def test_a_rotated_token_is_the_new_appname():
    """The frames of the refused batch carried the old one, which no customer is to see."""
    with LogplexReceiver(tokens=["new"]) as logplex:
        source = Record({1: logplex.url_for("old-token")})
        source.refresh = lambda stream, rejected: logplex.url_for("new")
        with logging_to(None, streams=source, token_as_appname=True) as (logger, handler):
            logger.info("line old-token", extra=to(1))
            logger.info("\N{SNOWMAN}", extra=to(1))
            assert handler.flush()
    assert [line.text for line in logplex.lines] == ["line old-token", "\N{SNOWMAN}"]
    assert [line.packet.appname for line in logplex.lines] == ["app", "app"]
    assert not logplex.violations


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 410, 415, 422])
def test_every_refusal_is_a_reason_to_look_the_url_up(status):
    """As Heroku asks for, on any 4xx."""
    with serving(answer(status), accept) as server, serving(accept) as other:
        source = Record({1: server.url})
        source.refresh = lambda stream, rejected: other.url
        with logging_to(None, streams=source) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
    assert other.frames() == [b"line"]
    assert [request.frame_id for request in server.received] == [other.received[0].frame_id]


def test_a_batch_that_is_refused_with_the_same_url_is_halved():
    """The look-up has shown that it is the batch."""

    def step(connection):
        (answer(400) if b"bad" in server.received[-1].body else accept)(connection)

    with serving(step) as server:
        source = Record({1: server.url})
        with logging_to(None, streams=source, flush_interval=60) as (logger, handler):
            for text in ("one", "bad", "three"):
                logger.info(text, extra=to(1))
            assert handler.flush()
            assert handler.stats().dropped == {"refused": 1}
    accepted = [texts(request.body) for request in server.received if b"bad" not in request.body]
    assert accepted[:2] == [[b"one"], [b"three"]]
    assert source.rejected == [(1, server.url)]


def test_a_refused_stream_is_set_aside_with_its_lines_and_told_of(capsys):
    """With why and since when; one look-up, however many batches are refused."""
    with receiving("other") as logplex:
        source = Record({1: logplex.url_for("rotated"), 2: logplex.url_for("other")})
        before = time.time()
        with logging_to(None, streams=source, shutdown_timeout=0.2) as (logger, handler):
            logger.info("one", extra=to(1))
            assert wait_until(handler.set_aside)
            for number in range(50):
                logger.info("line %d", number, extra=to(2))
            assert wait_until(lambda: handler.stats(stream=2).delivered == 50)
            assert wait_until(lambda: handler.stats(stream=1).requests >= 3)
            (aside,) = handler.set_aside()
            assert (aside.stream, aside.reason) == (1, "status 401")
            assert before <= aside.since <= time.time()
            assert handler.stats(stream=1).pending == 1
    assert len(source.rejected) == 1
    assert "rotated" not in capsys.readouterr().err


def test_a_stream_that_is_taken_again_is_not_set_aside():
    """Though the look-up has failed meanwhile, and nobody asks again."""

    def refresh(stream, rejected):
        raise RuntimeError

    with serving(answer(401), accept) as server:
        source = Record({1: server.url})
        source.refresh = refresh
        with logging_to(None, streams=source) as (logger, handler):
            logger.info("line", extra=to(1))
            assert wait_until(handler.set_aside)
            assert handler.flush()
            assert handler.set_aside() == ()


def test_a_stream_that_has_ended_is_counted_as_gone():
    """`refresh` says None; what comes later is counted as well."""
    with receiving("other") as logplex:
        source = Record({1: logplex.url_for("gone")})
        source.refresh = lambda stream, rejected: None
        with logging_to(None, streams=source) as (logger, handler):
            for _ in range(3):
                logger.info("line", extra=to(1))
            assert handler.flush()
            logger.info("late", extra=to(1))
            stats = handler.stats()
    assert stats.dropped == {"stream_gone": 4}
    assert balanced(stats)


def test_a_stream_that_has_ended_is_left_alone(monkeypatch):
    """No request goes to it any more, and it is let go of."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    with serving(answer(401)) as server:
        source = Record({1: server.url})
        source.refresh = lambda stream, rejected: None
        with logging_to(None, streams=source) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
            assert handler.set_aside() == ()
            assert wait_until(lambda: not handler._pipeline._registry._streams)
            time.sleep(1)
            assert len(server.received) == handler.stats().requests == 1


def test_drops_during_an_outage_are_told_when_the_stream_lives_again():
    """The oldest give way within its share; the customer reads how many."""
    with LogplexReceiver(tokens=["new"]) as logplex:
        source = Record({1: logplex.url_for("old")})
        source.refresh = lambda stream, rejected: rejected if waiting else logplex.url_for("new")
        waiting = True
        with logging_to(None, streams=source, max_buffer_bytes=20_000) as (logger, handler):
            for number in range(500):
                logger.info("line %d", number, extra=to(1))
            assert wait_until(handler.set_aside)
            waiting = False
            stream = handler._pipeline._registry._streams[1]
            stream.resolution._asked_again_at = float("-inf")
            assert handler.flush(20)
            stats = handler.stats()
    dropped = stats.dropped["buffer_full"]
    assert dropped
    lines = [line.text for line in logplex.lines if "count#" not in line.text]
    told = [re.findall(r"count#logplex_handler.dropped=(\d+)", line.text) for line in logplex.lines]
    assert sum(map(int, itertools.chain(*told))) == dropped
    assert lines[-1] == "line 499"
    assert stats.delivered == len(lines) == 500 - dropped


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
    """The stream waits, the others do not; nothing of what it gave is shown."""
    with receiving("t.1", "t.2") as logplex:
        calls = Counter()

        def url_for(stream):
            calls[stream] += 1
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
            assert handler.flush()
            assert handler.set_aside() == ()
    assert sorted(line.text for line in logplex.lines) == ["one", "two"]
    said = capsys.readouterr().err
    assert "stream 1" in said
    assert "secret" not in said


def test_a_look_up_that_hangs_holds_up_nobody_else(monkeypatch):
    """It is given up after a while; what it brings then is not lost either."""
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.2)
    released = threading.Event()
    with receiving("t.1", "t.2") as logplex:

        def url_for(stream):
            if stream == "hangs":
                released.wait(20)
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
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.1)
    asked = []
    with receiving("t.1") as logplex:

        def url_for(stream):
            asked.append(stream)
            time.sleep(0.4)
            return logplex.url_for("t.1") if stream == 1 else None

        with logging_to(None, streams=url_for, flush_interval=0.01) as (logger, handler):
            logger.info("line", extra=to(1))
            logger.info("line", extra=to(2))
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
        with logging_to(logplex.url, streams=lambda stream: released.wait(20) and None) as (
            logger,
            handler,
        ):
            for number in range(100):
                logger.info("line", extra=to(number))
            time.sleep(0.5)
            logger.info("own")
            assert logplex.wait_for(1)
            assert threading.active_count() < 30
            (said,) = re.findall(".*look-ups hang.*", capsys.readouterr().err)
            assert said.startswith("logplex_handler: 4 look-ups hang, the first since ")
            since = re.findall(r"since (\S+ \S+) UTC", said)
            assert began <= since[0] <= time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
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
            flushed.append(handler.flush(5))
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush(3)
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
    """As at the end of the interpreter, from Python 3.12 on: else its last lines were lost."""

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


def test_bad_streams_are_an_error_that_names_the_option():
    """No secret is shown."""
    with pytest.raises(ConfigurationError, match=r"^streams: must be a mapping"):
        LogplexHandler(streams="https://token:t.secret@logplex.example")
    with pytest.raises(ConfigurationError, match=r"^hostname: ") as caught:
        Destination.from_url("https://token:t.secret@logplex.example", hostname="---")
    assert "secret" not in str(caught.value)


# Fairness.


def test_a_host_that_hangs_holds_up_no_other():
    """Not one worker waits for it, and it is tried by one request at a time."""
    with ExitStack() as stack:
        hanging = stack.enter_context(serving(lambda connection: hanging.stopped.wait(30)))
        logplex = stack.enter_context(receiving(*[f"t.{n}" for n in range(20)]))

        def url_for(stream):
            return hanging.url if stream % 2 else logplex.url_for(f"t.{stream}")

        options = {"workers": 2, "timeout": 3, "flush_interval": 0.05, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=url_for, **options))
        for _ in range(10):
            for stream in range(20):
                logger.info("line", extra=to(stream))
            time.sleep(0.02)
        assert logplex.wait_for(100, 2.0)
        assert len(hanging.received) == 1
        assert wait_until(lambda: handler.stats().pending == 100)


@pytest.mark.parametrize("seconds_late", [0, 0.15], ids=["at-once", "late"])
def test_a_host_that_begins_to_hang_is_left_to_itself(monkeypatch, seconds_late):
    """Its requests under way count as apart from the others after a while.

    A host that has answered is not taken for one of them, however late its thread says so.
    """
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.1)
    hangs = threading.Event()
    deliver = Stream.deliver

    def deliver_late(stream, pool, seconds):
        deliver(stream, pool, seconds)
        if stream.id == 0:
            time.sleep(seconds_late)

    monkeypatch.setattr(Stream, "deliver", deliver_late)

    def step(connection):
        if hangs.is_set():
            hanging.stopped.wait(30)
        else:
            accept(connection)

    with ExitStack() as stack:
        hanging = stack.enter_context(serving(step))
        logplex = stack.enter_context(receiving("t.0"))

        def url_for(stream):
            return hanging.url if stream else logplex.url_for("t.0")

        options = {"workers": 2, "flush_interval": 0.01, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=url_for, **options))
        for stream in range(10):
            logger.info("line", extra=to(stream))
        assert handler.flush(5)
        hangs.set()
        for stream in range(1, 10):
            logger.info("line", extra=to(stream))
        assert wait_until(lambda: len(hanging.received) > 9)
        for number in range(5):
            logger.info("line", extra=to(0))
            assert logplex.wait_for(number + 2, 2.0)
        assert len(hanging.received) <= 9 + 2


def test_a_host_that_comes_back_gets_all_that_waited():
    """One try finds that out for all of its streams."""
    step = {"status": 503}

    def answering(connection):
        if step["status"] == 503:
            hang_up(connection)
        else:
            accept(connection)

    with (
        serving(answering) as server,
        logging_to(None, streams=lambda _: server.url) as (
            logger,
            handler,
        ),
    ):
        for stream in range(50):
            logger.info("line %d", stream, extra=to(stream))
        assert wait_until(lambda: handler.stats().requests >= 3)
        assert handler.stats().requests < 20
        step["status"] = 204
        assert handler.flush(10)
        assert handler.stats().delivered == 50


def test_a_flood_in_one_stream_leaves_the_others_their_turn():
    """One worker, which takes a batch of each in turn."""

    def slow(connection):
        time.sleep(0.05)
        accept(connection)

    with serving(slow) as server:
        options = {"workers": 1, "max_batch_bytes": 20_000, "flush_interval": 0.01}
        with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
            for number in range(5000):
                logger.info("flood %d", number, extra=to("flood"))
            for stream in range(5):
                logger.info("calm", extra=to(stream))
            assert wait_until(lambda: server.frames().count(b"calm") == 5)
            assert handler.stats(stream="flood").pending > 2500
            assert handler.flush(30)


def test_one_customer_s_outage_does_not_eat_the_others_memory():
    """Together they hold no more than `max_buffer_bytes`; who holds most gives way."""
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
            allowed = [accumulator.allowed for accumulator in buffers]
            assert memory._left + sum(allowed) == 200_000
            held = [
                accumulator._queue.weighed_bytes + accumulator._sending_bytes
                for accumulator in buffers
            ]
            assert all(mine <= most for mine, most in zip(held, allowed, strict=True))


def test_newest_lines_dropped_leave_the_others_room_too():
    """Nobody gives way then, so nobody takes more than half of what is left."""
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
    assert (stats.delivered, stats.dropped) == (2000, {})


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
            monkeypatch.setattr("logplex_handler.streams.registry._FORGET", -1.0)
            logger.info("line", extra=to(1))
            assert handler.flush()
            assert wait_until(lambda: not registry._streams and not registry._asleep)
            assert handler.stats().delivered == 4
            assert handler.stats(stream=1).accepted == 0
    assert source.asked == [1]


def test_a_line_that_comes_as_its_stream_is_let_go_of_is_delivered():
    """Who had found the stream before puts it there, and wakes somebody for it."""
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            pipeline = handler._pipeline
            stream = pipeline._registry._streams[1]
            intake = pipeline.intake(1)
            pipeline._registry.let_go(stream)
            record = logger.makeRecord(logger.name, logging.INFO, "", 0, "two", (), None)
            intake.put(handler._codec.entry(record, handler.formatter)[0], never_wakes=False)
            assert logplex.wait_for(2)
            assert wait_until(lambda: handler.stats().delivered == 2)
            assert balanced(handler.stats())
            assert pipeline._registry._streams == {1: stream}


def test_a_line_that_finds_its_stream_as_another_thread_opens_it_again_is_not_lost():
    """Both are of one stream, in whose place there is never another one beside it."""
    with receiving("t.1") as logplex:
        urls = {1: logplex.url_for("t.1")}
        with logging_to(None, streams=urls, flush_interval=60) as (logger, handler):
            logger.info("one", extra=to(1))
            assert handler.flush()
            pipeline = handler._pipeline
            stream = pipeline._registry._streams[1]
            intake = pipeline.intake(1)
            pipeline._registry.let_go(stream)
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


def test_connections_are_shared_by_the_streams_of_a_host():
    """No more than `workers` of them, whatever the number of streams."""
    tokens = [f"t.{number}" for number in range(200)]
    with receiving(*tokens) as logplex:
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
    monkeypatch.setattr(sender, "_REST", 600)
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


def test_between_two_look_ups_of_one_stream_there_is_half_a_minute(monkeypatch):
    """However often its URL is refused; then it is asked for again."""
    monkeypatch.setattr(resolution, "_BETWEEN_LOOKUPS", 0.5)
    with receiving("good") as logplex:
        source = Record({1: logplex.url_for("bad")})
        times = []
        refresh = source.refresh
        source.refresh = lambda *given: times.append(time.monotonic()) or refresh(*given)
        with logging_to(None, streams=source, shutdown_timeout=0.1) as (logger, handler):
            logger.info("line", extra=to(1))
            for _ in range(40):
                handler.flush(0.1)
            assert handler.stats().requests > len(times) >= 2
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.5


def test_a_customer_that_asks_for_a_long_wait_costs_the_others_nothing_at_the_end():
    """What goes to others is still delivered by `close`."""

    def slow(connection):
        time.sleep(0.05)
        accept(connection)

    with serving(answer(429, "Retry-After: 100")) as busy, serving(slow) as server:

        def url_for(stream):
            return server.url if stream else busy.url

        with logging_to(None, streams=url_for, flush_interval=60) as (logger, handler):
            for stream in range(21):
                logger.info("line", extra=to(stream))
            handler.close()
            stats = handler.stats()
    assert (stats.delivered, stats.dropped) == (20, {"shutdown": 1})


def test_a_stream_whose_look_up_hangs_is_not_let_go_of(monkeypatch):
    """Its lines are in the books of `close`, and its next one goes behind them."""
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.1)
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    released = threading.Event()
    with receiving("t.1") as logplex:

        def url_for(stream):
            released.wait(20)
            return logplex.url_for("t.1")

        with logging_to(None, streams=url_for, flush_interval=0.01) as (logger, handler):
            logger.info("one", extra=to(1))
            time.sleep(0.5)
            assert not handler.flush(0.1)
            (aside,) = handler.set_aside()
            assert aside.stream == 1
            logger.info("two", extra=to(1))
            released.set()
            assert wait_until(lambda: handler.stats(stream=1).delivered == 2)
            assert balanced(handler.stats())
    assert [line.text for line in logplex.lines] == ["one", "two"]


def test_a_quiet_line_is_not_forgotten_with_its_stream(monkeypatch):
    """What `on_drop` logs waits for the next batch, however long that takes."""
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
            time.sleep(0.5)
            logger.info("two", extra=to(1))
            assert handler.flush()
            assert handler.stats().pending == 0
    assert [line.text for line in logplex.lines] == ["one", "dropped", "two"]


class Naive:
    """An id as people write them: it cannot be compared with what is of another class."""

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
            assert wait_until(lambda: handler.stats().requests == 2)
            assert handler.stats(stream=Naive(1)).pending == 1
    assert "internal" not in capsys.readouterr().err


def test_a_host_is_one_host_however_many_find_it_at_a_time():
    """Otherwise it would be tried by several requests at a time while it hangs."""
    breakers = CircuitBreakers()
    found = defaultdict(list)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for name in map(str, range(500)):
            barrier = threading.Barrier(4)

            def find(name=name, barrier=barrier):
                barrier.wait()
                found[name].append(breakers[name])

            threads = [threading.Thread(target=find) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(len(set(map(id, same))) == 1 for same in found.values())


def test_a_callback_that_takes_its_time_holds_up_no_stream():
    """It is called for one stream at a time."""
    released = threading.Event()
    at_a_time = []

    def on_drop(records, cause):
        at_a_time.append(1)
        released.wait(20)
        at_a_time.pop()

    with receiving("own") as logplex:
        options = {"on_drop": on_drop, "flush_interval": 0.01}
        with logging_to(logplex.url, streams=lambda _: None, **options) as (logger, handler):
            for stream in range(40):
                logger.info("line", extra=to(stream))
                handler._pipeline.intake(stream).drop("format_error")
            assert wait_until(lambda: at_a_time)
            time.sleep(0.2)
            assert len(at_a_time) == 1
            logger.info("own")
            assert logplex.wait_for(1)
            released.set()


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
                with other._lock:
                    holds_other.set()
                    interrupted.wait(5)
                    memory.reserve(other, other.allowed + 1)

            def put_and_be_interrupted():
                with one._lock, memory._lock:
                    interrupted.set()
                    other.counts()

            threads = [threading.Thread(target=put, daemon=True)]
            threads[0].start()
            assert holds_other.wait(5)
            threads.append(threading.Thread(target=put_and_be_interrupted, daemon=True))
            threads[1].start()
            for thread in threads:
                thread.join(5)
            assert not any(thread.is_alive() for thread in threads)


def test_a_stream_that_alone_gets_no_answer_holds_up_its_host_once(monkeypatch):
    """All the streams of one host share its health, but this is the stream's own."""
    monkeypatch.setattr(scheduler, "_PATIENCE", 0.05)

    class Server(ScriptedServer):
        def _serve(self, connection, number):
            with connection.makefile("rb") as stream:
                while (received := _read(stream, number)) is not None:
                    self.received.append(received)
                    if b"bad" in received.body:
                        self.stopped.wait(20)
                        return
                    accept(connection)

    server = Server([accept])
    options = {"timeout": 0.5, "flush_interval": 0.01, "shutdown_timeout": 0.1}
    with logging_to(None, streams=lambda _: server.url, **options) as (logger, handler):
        logger.info("bad", extra=to("bad"))
        assert wait_until(lambda: handler.stats(stream="bad").requests == 1)
        waits = []
        for _ in range(60):
            began = time.monotonic()
            logger.info("line", extra=to("good"))
            accepted = len(waits) + 1
            assert wait_until(
                lambda accepted=accepted: handler.stats(stream="good").delivered == accepted
            )
            waits.append(time.monotonic() - began)
            time.sleep(0.05)
        assert handler.stats(stream="bad").requests > 2
    server.close()
    assert sum(wait > 0.3 for wait in waits) <= 1


def test_a_stream_that_nobody_knows_is_not_set_aside():
    """Though its look-up had failed before."""
    answers = [RuntimeError(), None]

    def url_for(stream):
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    with logging_to(None, streams=url_for) as (logger, handler):
        logger.info("line", extra=to(1))
        assert handler.flush()
        assert handler.stats().dropped == {"unknown_stream": 1}
        assert handler.set_aside() == ()


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
            assert handler.flush(20)
            for depth in depths:
                with suppress(RecursionError):
                    at(depth, depth)
            assert handler.flush()
            assert balanced(handler.stats())


def test_a_longer_wait_that_was_asked_for_ends_with_the_next_success():
    """Otherwise a flush would give up at once, long after."""
    backoff = Backoff()
    backoff.fail(10.0, Answer(status=503, retry_after=600.0), 30.0)
    assert backoff.retry_after_until == 610.0
    backoff.reset()
    assert backoff.retry_after_until == 0.0


def test_floods_one_after_the_other_leave_something_for_those_that_hold_little():
    """Where the newest lines are dropped, and nobody gives way."""
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


def test_a_new_host_does_not_wait_for_hosts_that_hang():
    """However many of these there are."""
    with ExitStack() as stack:
        hanging = [
            stack.enter_context(serving(lambda connection: released.wait(30))) for _ in range(6)
        ]
        released = threading.Event()
        stack.callback(released.set)
        logplex = stack.enter_context(receiving("t.1"))
        urls = dict(enumerate([server.url for server in hanging]))
        options = {"workers": 2, "flush_interval": 0.01, "shutdown_timeout": 0.1}
        logger, _ = stack.enter_context(
            logging_to(None, streams={**urls, "new": logplex.url_for("t.1")}, **options)
        )
        for stream in urls:
            logger.info("line", extra=to(stream))
        time.sleep(2.0)
        logger.info("line", extra=to("new"))
        assert logplex.wait_for(1, 2.0)


def test_what_gives_way_to_others_is_told_though_nothing_else_happens():
    """The callback hears of it at once."""
    told = Counter()
    with serving(answer(401)) as broken:
        options = {"max_buffer_bytes": 100_000, "shutdown_timeout": 0.1}
        with logging_to(
            None,
            streams=lambda stream: broken.url,
            on_drop=lambda number, cause: told.update({cause: number}),
            **options,
        ) as (logger, handler):
            for number in range(300):
                logger.info("line %d", number, extra=to("large"))
            assert wait_until(handler.set_aside)
            assert not told
            for stream in range(100):
                for number in range(5):
                    logger.info("line %d", number, extra=to(stream))
            assert wait_until(lambda: told["buffer_full"] > 0, 3.0)
            assert wait_until(
                lambda: told["buffer_full"] == handler.stats().dropped["buffer_full"], 3.0
            )


def test_a_thousand_streams_on_three_hosts_each_get_their_lines():
    """One host hangs, and one stream in ten is rotated: each of these is looked up once."""
    with ExitStack() as stack:
        hanging = stack.enter_context(serving(lambda connection: hanging.stopped.wait(30)))
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

        options = {"flush_interval": 0.1, "shutdown_timeout": 0.1}
        logger, handler = stack.enter_context(logging_to(None, streams=Rotated(), **options))
        for number in range(3):
            for stream in range(1000):
                logger.info("line %d", number, extra=to(stream))
        for host in breakers:
            assert host.wait_for(1002 if host is breakers[0] else 999, 25)
        expected = [f"line {number}" for number in range(3)]
        healthy = [stream for stream in range(1000) if stream % 3 != 2]
        found = {**by_token(breakers[0]), **by_token(breakers[1])}
        assert found == {good[stream]: expected for stream in healthy}
        assert refreshed == {stream: 1 for stream in healthy if stream % 10 == 0}
        assert len(hanging.received) <= 4
        assert balanced(handler.stats())
