"""A network that is cut, and an engine that comes back without what it had."""

from __future__ import annotations

import contextlib

import pytest

from logplex_handler import LogplexHandler
from logplex_handler._relay import server as server_module
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Outcome, Pushed, Settled
from logplex_handler.errors import ConfigurationError
from tests.logs import logging_to, wait_until
from tests.relay.chunks import Producer, deliver, lease_all, take
from tests.relay.servers import PATIENCE, Line, RedisServer
from tests.relay.test_shipper import is_all_delivered, lines_of, share, shipping, sums, url_of
from tests.servers import accept, serving


def test_a_network_that_is_cut_and_mended_has_each_line_once(server):
    """Nobody knows whether what was pushed in the meantime has arrived."""
    with contextlib.closing(Line(server.port)) as line:
        engine = RedisEngine(line.url, shards=4, timeout=0.5)
        producer = Producer()
        first = producer.chunk("a", "1")
        assert wait_until(lambda: engine.push([first])[0].is_stored)
        line.cut.set()
        chunks = [producer.chunk("a", "2"), producer.chunk("b", "3")]
        assert engine.push(chunks) == [Pushed.AWAY] * 2
        line.cut.clear()
        # Its connection may still be one on which an answer is missing.
        assert wait_until(lambda: all(one.is_stored for one in engine.push(chunks)))
        engine.close()
    there = RedisEngine(server.url, shards=4, lease=600)
    assert deliver(there, lease_all(there)) == {"a": ["1", "2"], "b": ["3"]}
    there.close()


def test_lines_are_delivered_though_the_network_is_cut_meanwhile(server):
    """Between producers and the engine, and between the engine and a shipper."""
    engine = RedisEngine(server.url)
    with (
        contextlib.closing(Line(server.port)) as line,
        serving(accept) as receiver,
        logging_to(None, relay=line.url, timeout=1) as (logger, handler),
        shipping(line, lambda customer: url_of(receiver, customer)),
    ):
        for number in range(200):
            logger.info(f"line {number}", extra={"logplex_stream": f"c{number % 10}"})
            if number == 50:
                assert handler.flush(PATIENCE)
                line.cut.set()
            if number == 100:
                # Something waits for an answer that does not come.
                assert not handler.flush(0.2)
                line.cut.clear()
        assert wait_until(lambda: handler.flush(PATIENCE), PATIENCE)
        assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
        assert lines_of(receiver) == {
            f"c{one}": [f"line {number}" for number in range(one, 200, 10)] for one in range(10)
        }
    engine.close()


def test_chunks_whose_answer_was_lost_are_stored_once_and_the_producer_says_so(server, capsys):
    """The network passes on what is pushed and no answers, and then all connections are reset."""
    engine = RedisEngine(server.url, lease=600)
    with (
        contextlib.closing(Line(server.port)) as line,
        logging_to(None, relay=line.url, timeout=0.5) as (logger, handler),
    ):
        logger.info("line 0", extra={"logplex_stream": "c0"})
        assert wait_until(lambda: handler.flush(PATIENCE))
        line.deaf.set()
        for number in range(1, 50):
            logger.info(f"line {number}", extra={"logplex_stream": f"c{number % 5}"})
        reported = ""

        def is_reported():
            nonlocal reported
            assert not handler.flush(0.1)
            reported += capsys.readouterr().err
            return "kept, to be tried again" in reported

        assert wait_until(is_reported)
        assert f"handler: relay: not delivering: 127.0.0.1:{line.port}: TimeoutError; " in reported
        stats = handler.stats()
        assert (stats.relayed, stats.pending, dict(stats.dropped)) == (1, 49, {})
        assert stats.retries > 0
        line.mend()
        assert wait_until(lambda: handler.flush(PATIENCE))
        assert (handler.stats().relayed, handler.stats().pending) == (50, 0)
    found, dropped = sums(engine)
    assert (found["pushed"], dropped) == (50, {})
    assert found["repeated"] > 0
    assert deliver(engine, lease_all(engine)) == {
        f"c{one}": [f"line {number}" for number in range(one, 50, 5)] for one in range(5)
    }
    engine.close()


def test_a_shipper_that_hears_nothing_is_replaced_and_changes_nothing_later(server, capsys):
    """What it does reaches the engine, which gives its shards to another one all the same."""
    engine = RedisEngine(server.url)
    producer = Producer()

    def push(word):
        for number in range(20):
            producer.push(engine, number, f"{word} {number}")

    with contextlib.closing(Line(server.port)) as line, serving(accept) as receiver:

        def streams(customer):
            return url_of(receiver, customer)

        with shipping(line, streams) as first:
            push("first")
            assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
            line.deaf.set()
            push("second")
            with shipping(server, streams) as second:
                assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
                line.mend()
                push("third")
                assert wait_until(lambda: is_all_delivered(engine), PATIENCE)
                assert wait_until(lambda: share(engine, first, second), PATIENCE)
        assert lines_of(receiver) == {
            f"{one}": [f"{word} {one}" for word in ("first", "second", "third")]
            for one in range(20)
        }
        bodies = {(one.frame_id, one.body) for one in receiver.received}
        assert len(bodies) == len({frame_id for frame_id, _ in bodies})
    assert sums(engine)[1] == {}
    assert f"relay is away: 127.0.0.1:{line.port}: TimeoutError" in capsys.readouterr().err
    engine.close()


def test_an_engine_that_comes_back_empty_loses_what_it_had_and_goes_on(relay_server, tmp_path):
    """Without an append-only file: what producers had not pushed is there, and books begin anew."""
    server = RedisServer(tmp_path / "redis")
    engine = RedisEngine(server.url, shards=4, lease=600)
    try:
        producer = Producer()
        producer.push(engine, "a", "lost 1")
        producer.push(engine, "b", "lost 2")
        leases = lease_all(engine)
        taken = take(engine, leases)["a"]
        server.kill()
        server.start()
        # Whoever owned a shard owns it no more, and changes nothing.
        assert engine.settle([Outcome(taken, delivered=1)]) == [Settled.FENCED]
        assert engine.renew(leases) == []
        assert engine.push([producer.chunk("a", "new")]) == [Pushed.STORED]
        assert deliver(engine, lease_all(engine)) == {"a": ["new"]}
        assert all(one.balances for one in engine.look())
        assert sum(one.pushed for one in engine.look()) == 1
    finally:
        engine.close()
        server.kill()


def test_a_line_does_not_count_as_stored_before_its_replicas_have_it(server, monkeypatch):
    """The environment says how many there are to be; here there is none."""
    monkeypatch.setenv("LOGPLEX_RELAY_REPLICAS", "1")
    monkeypatch.setattr(server_module, "_REPLICA_PATIENCE", 1)
    with logging_to(None, relay=server.url, shutdown_timeout=0) as (logger, handler):
        logger.info("line", extra={"logplex_stream": "acme"})
        assert wait_until(lambda: handler.stats().requests > 1)
        assert (handler.stats().relayed, handler.stats().pending) == (0, 1)
    monkeypatch.setenv("LOGPLEX_RELAY_REPLICAS", "10")
    with pytest.raises(ConfigurationError, match="LOGPLEX_RELAY_REPLICAS: must be from 0 to 9"):
        LogplexHandler(relay=server.url)
