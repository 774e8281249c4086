"""A refused URL is looked up again; the stream's records wait meanwhile."""

import itertools
import re
import threading
import time

import pytest

from logplex_handler._delivery import scheduler
from logplex_handler._sender import retry_policy
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._transport.answer import Answer
from logplex_handler.streams import _resolution
from logplex_handler.testing import LogplexReceiver
from tests.logs import logging_to, wait_until
from tests.servers import accept, answer, serving, texts
from tests.streams.shared import Record, by_token, receiving, to

# URLs that rotate.


def test_a_rotated_url_is_looked_up_once_and_nothing_is_lost():
    """In the middle of a flow: the refused batch goes again under the same frame id."""
    with LogplexReceiver(tokens=["old", "other"]) as logplex:
        source = Record({1: logplex.url_for("old"), 2: logplex.url_for("other")})
        with logging_to(None, streams=source, flush_interval=0.02) as (logger, handler):
            for number in range(300):
                if number == 150:
                    assert wait_until(lambda: len(logplex.lines) >= 200)
                    source.urls[1] = logplex.url_for("new")
                    logplex.tokens = ("new", "other")
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


@pytest.fixture
def long_waits(monkeypatch):
    """A stream that is refused is not tried again by itself."""
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", 600.0)


def test_whoever_flushes_has_a_refused_url_looked_up(long_waits, monkeypatch):
    """A new one is used at once, however long the receiver was to be left alone."""
    monkeypatch.setattr(_resolution, "_BETWEEN_LOOKUPS", 0.05)
    with receiving("new") as logplex:
        source = Record({1: logplex.url_for("rotated")})
        with logging_to(None, streams=source, flush_interval=0.01) as (logger, handler):
            logger.info("line", extra=to(1))
            assert wait_until(handler.set_aside)
            assert not handler.flush(0.2)
            source.urls[1] = logplex.url_for("new")
            assert handler.flush(100)
            assert handler.set_aside() == ()
            stats = handler.stats()
    # The URL that is refused got no other request.
    assert (stats.requests, stats.delivered) == (2, 1)


def test_flushing_again_and_again_asks_no_more_often_than_twice_a_minute(long_waits):
    with receiving("new") as logplex:
        source = Record({1: logplex.url_for("rotated")})
        options = {"flush_interval": 0.01, "shutdown_timeout": 0.2}
        with logging_to(None, streams=source, **options) as (logger, handler):
            logger.info("line", extra=to(1))
            assert wait_until(handler.set_aside)
            for _ in range(5):
                assert not handler.flush(0.05)
            assert handler.stats().requests == 1
    assert len(source.rejected) == 1


def test_a_new_url_that_a_late_look_up_finds_is_used_at_once(long_waits, monkeypatch):
    """It was given up, and its stream set aside."""
    monkeypatch.setattr(scheduler, "_LOOK_UP_PATIENCE", 0.2)
    go_on = threading.Event()
    with receiving("new") as logplex:
        source = Record({1: logplex.url_for("rotated")})
        source.refresh = lambda stream, rejected: go_on.wait(100) and logplex.url_for("new")
        with logging_to(None, streams=source, flush_interval=0.01) as (logger, handler):
            logger.info("line", extra=to(1))
            assert wait_until(lambda: "no answer" in str(handler.set_aside()))
            go_on.set()
            assert logplex.wait_for(1)


def test_a_stream_that_is_taken_again_is_not_set_aside():
    """Even if the look-up has failed and is not repeated."""

    may_accept = threading.Event()

    def refresh(stream, rejected):
        raise RuntimeError

    def accept_later(connection):
        assert may_accept.wait(100)
        accept(connection)

    with serving(answer(401), accept_later) as server:
        source = Record({1: server.url})
        source.refresh = refresh
        with logging_to(None, streams=source, timeout=100) as (logger, handler):
            logger.info("line", extra=to(1))
            assert wait_until(handler.set_aside)
            may_accept.set()
            assert handler.flush()
            assert handler.set_aside() == ()


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
            stream.resolution._looked_up_again_at = float("-inf")
            assert handler.flush(100)
            stats = handler.stats()
    dropped = stats.dropped["buffer_full"]
    assert dropped
    lines = [line.text for line in logplex.lines if "count#" not in line.text]
    told = [re.findall(r"count#logplex_handler.dropped=(\d+)", line.text) for line in logplex.lines]
    assert sum(map(int, itertools.chain(*told))) == dropped
    assert lines[-1] == "line 499"
    assert stats.delivered == len(lines) == 500 - dropped


def test_between_two_look_ups_of_one_stream_there_is_half_a_minute(monkeypatch):
    """However often its URL is refused; then it is asked for again."""
    monkeypatch.setattr(_resolution, "_BETWEEN_LOOKUPS", 0.5)
    with receiving("good") as logplex:
        source = Record({1: logplex.url_for("bad")})
        times = []
        refresh = source.refresh

        def noted(stream, rejected):
            # When it began: its thread may stand still in between.
            times.append(handler._pipeline._registry._streams[1].resolution._looked_up_again_at)
            return refresh(stream, rejected)

        source.refresh = noted
        with logging_to(None, streams=source, shutdown_timeout=0.1) as (logger, handler):
            logger.info("line", extra=to(1))
            for _ in range(40):
                handler.flush(0.1)
            assert wait_until(lambda: handler.flush(0.1) or len(times) >= 2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.5


def test_a_customer_that_asks_for_a_long_wait_costs_the_others_nothing_at_the_end():
    """`close` still delivers the records of other streams."""

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


def test_a_longer_wait_that_was_asked_for_ends_with_the_next_success():
    """Otherwise a flush would give up at once, long after."""
    breaker = CircuitBreaker()
    breaker.record_answer("stream", Answer(failure="ReadTimeout", retry_after=600.0), 10.0)
    assert breaker.backoff.retry_after_until == 610.0
    breaker.record_answer("stream", Answer(status=204), 20.0)
    assert breaker.backoff.retry_after_until == 0.0
