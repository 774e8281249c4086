"""Records for unknown or ended streams are dropped, counted and reported."""

import threading

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._delivery import scheduler
from logplex_handler.streams import registry
from logplex_handler.streams._ids import remembered as remembered_id
from logplex_handler.streams._resolution import ResolutionState
from logplex_handler.streams.registry import _LOOK_UP_AGAIN_AFTER
from logplex_handler.streams.stream import Stream
from tests.logs import Told, balanced, holds_for, logging_to, wait_until
from tests.servers import answer, serving
from tests.streams.shared import Record, receiving, to, token

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


def test_long_texts_for_a_stream_that_nobody_knows_are_counted():
    """Those of a call that has logged many, while the stream was looked up."""
    may_answer = threading.Event()

    def streams(stream):
        assert may_answer.wait(100)

    formatter = KeyValueFormatter()
    with logging_to(None, streams=streams, formatter=formatter) as (logger, handler):
        for _ in range(40):
            logger.info("parcel %s", "x" * 4000, extra=to("nobody"))
        may_answer.set()
        assert handler.flush()
        logger.info("parcel %s", "x" * 4000, extra=to("nobody"))
        assert handler.stats().dropped == {"unknown_stream": 41}


@pytest.mark.parametrize(
    "stream",
    [
        "a" * 1001,
        b"a" * 1001,
        1 << 1001,
        ("a", ("b" * 1001,)),
        frozenset(range(11)),
        ("a" * 501, ("b" * 500,)),
        ((), ((),) * 9),
    ],
    ids=["text", "bytes", "number", "tuple", "set", "texts", "parts"],
)
def test_an_id_that_is_too_long_is_kept_nowhere(stream):
    """A user may have chosen it, and each may be different."""
    source = Record({})
    with logging_to(None, streams=source) as (logger, handler):
        logger.info("line", extra=to(stream))
        assert handler.flush()
        assert handler.stats().dropped == {"unknown_stream": 1}
        assert handler.stats(stream=stream).accepted == 0
        assert stream not in handler._pipeline._registry._streams
    assert source.asked == []


def test_streams_that_are_named_faster_than_they_are_looked_up_have_a_bound(monkeypatch, capsys):
    """A caller may name a million while a look-up hangs. Those in use go on."""
    monkeypatch.setattr(registry, "_MAX_IN_USE", 3)
    asked, may_answer = threading.Event(), threading.Event()

    def streams(stream):
        asked.set()
        assert may_answer.wait(100)

    with logging_to(None, streams=streams) as (logger, handler):
        try:
            for number in [*range(5), 0, 1]:
                logger.info("line", extra=to(number))
            assert asked.wait(100)
            assert handler.stats().dropped == {"buffer_full": 2}
            assert handler.stats().accepted == 7
        finally:
            may_answer.set()
        assert handler.flush()
        assert handler.stats().dropped == {"buffer_full": 2, "unknown_stream": 5}
        assert balanced(handler.stats())
    assert "records are dropped (buffer_full)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "stream_id",
    ["😀" * 1000, b"\xff" * 1000, ("tenant", "😀" * 900), ("a", frozenset({"b", ("c" * 900,)}))],
    ids=["text", "bytes", "tuple", "nested"],
)
def test_of_a_long_id_only_a_digest_is_remembered(stream_id, monkeypatch):
    """A user may have chosen it; its counts are found by it all the same."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    source = Record({})
    with logging_to(None, streams=source) as (logger, handler):
        streams = handler._pipeline._registry
        for _ in range(2):
            logger.info("line", extra=to(stream_id))
            assert wait_until(lambda: streams._retired and not streams._streams)
        assert handler.stats(stream=stream_id).dropped == {"unknown_stream": 1}
        assert handler.stats(stream="other" * 100) == handler.stats(stream=b"other" * 100)
        assert handler.stats().dropped == {"unknown_stream": 2}
        assert len(repr([*streams._retired])) < 400
    assert source.asked == [stream_id]


def test_what_is_remembered_of_an_id_is_that_of_no_other():
    """A text and its bytes are different ids, and a digest is none."""
    ids = ["a" * 65, b"a" * 65, ("a" * 65,), (b"a" * 65,), frozenset({"a" * 65}), "a" * 64, None]
    ids.append("\ud800" * 65)
    remembered = [remembered_id(one) for one in ids]
    assert len({*remembered}) == len(ids)
    assert [remembered_id(one) for one in ids] == remembered


@pytest.mark.parametrize("has_url", [False, True])
def test_on_drop_hears_of_every_record_that_leads_nowhere(has_url, monkeypatch):
    """For the first record of a stream, later ones, and those without a stream; not for its own."""
    monkeypatch.setattr(scheduler, "_IDLE", 0.1)
    told = Told()

    def on_drop(records, cause):
        told(records, cause)
        logger.info("dropped", extra=to("nobody"))

    with receiving("own") as logplex:
        url = logplex.url_for("own") if has_url else None
        with logging_to(url, streams={}, on_drop=on_drop) as (logger, handler):
            for _ in range(3):
                logger.info("line", extra=to("nobody"))
            assert wait_until(lambda: told.dropped == {"unknown_stream": 3})
            for _ in range(2):
                logger.info("line", extra=to("nobody"))
            assert wait_until(lambda: told.dropped == {"unknown_stream": 5})
            assert wait_until(lambda: "nobody" not in handler._pipeline._registry._streams)
            logger.info("line", extra=to("nobody"))
            logger.info("line", extra=to(["a", "list"]))
            assert wait_until(lambda: told.dropped == {"unknown_stream": 7})
            assert holds_for(lambda: told.dropped == {"unknown_stream": 7}, 0.2)
            assert balanced(handler.stats())
            assert handler.stats().dropped["unknown_stream"] > 7


def test_on_drop_hears_of_records_for_a_stream_that_has_ended():
    """Of each, though it is said on stderr only now and then."""
    told = Told()
    with receiving("other") as logplex:
        source = Record({1: logplex.url_for("gone")})
        source.refresh = lambda stream, rejected: None
        options = {"on_drop": told}
        with logging_to(None, streams=source, **options) as (logger, handler):
            logger.info("line", extra=to(1))
            assert handler.flush()
            logger.info("late", extra=to(1))
            assert wait_until(lambda: told.dropped == {"stream_gone": 2})
            logger.info("last", extra=to(1))
    assert told.dropped == {"stream_gone": 3} == handler.stats().dropped


def test_on_drop_hears_of_a_record_for_a_stream_where_there_are_none():
    """The handler has its own URL alone, and no thread for streams."""
    told = Told()
    with receiving(token("own")) as logplex:
        options = {"on_drop": told}
        with logging_to(logplex.url, **options) as (logger, handler):
            logger.info("line", extra=to("customer"))
            assert wait_until(lambda: told.dropped == {"unknown_stream": 1})
            logger.info("own")
            assert handler.flush()
    assert [line.text for line in logplex.lines] == ["own"]


def test_a_stream_that_was_unknown_is_asked_for_again_later(monkeypatch):
    """A customer may be new."""
    monkeypatch.setitem(_LOOK_UP_AGAIN_AFTER, ResolutionState.UNKNOWN, 0.0)
    monkeypatch.setattr(scheduler, "_IDLE", 0.05)
    with receiving("t.1") as logplex:
        source = Record({})
        with logging_to(None, streams=source) as (logger, handler):
            logger.info("too early", extra=to(1))
            assert handler.flush()
            source.urls[1] = logplex.url_for("t.1")
            assert wait_until(lambda: handler._pipeline._registry._retired)
            logger.info("in time", extra=to(1))
            assert handler.flush()
            assert handler.stats(stream=1).delivered == 1
            assert handler.stats().dropped == {"unknown_stream": 1}
    assert [line.text for line in logplex.lines] == ["in time"]


def test_a_flush_waits_until_the_records_of_a_stream_that_ends_are_dropped(monkeypatch):
    """The answer of the look-up is known a moment before that."""
    ends, go_on, flushed = threading.Event(), threading.Event(), []
    end = Stream._end

    def end_late(stream):
        ends.set()
        assert go_on.wait(100)
        end(stream)

    monkeypatch.setattr(Stream, "_end", end_late)
    with logging_to(None, streams={}) as (logger, handler):
        logger.info("line", extra=to(1))
        flush = threading.Thread(
            target=lambda: flushed.append((handler.flush(100), handler.stats().dropped))
        )
        flush.start()
        assert ends.wait(100)
        flush.join(0.3)
        assert flush.is_alive()
        go_on.set()
        flush.join(100)
    assert flushed == [(True, {"unknown_stream": 1})]


def test_a_stream_that_has_ended_is_counted_as_gone():
    """`refresh` returns None; later records are counted as well."""
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
            assert holds_for(lambda: len(server.received) == handler.stats().requests == 1, 1)


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
