"""A handler with a relay: what it logs is in the engine, once and in order, and counted."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from unittest.mock import Mock

import pytest

from logplex_handler import LogplexHandler, use_stream
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._relay import server as relay_server_module
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Outcome, Pushed
from logplex_handler._sender.relay import Relay, identity_of
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.spool import Spool
from logplex_handler._wire.frames import flattened
from logplex_handler.errors import ConfigurationError
from tests.logs import logging_to, logging_to_server, wait_until
from tests.relay.chunks import delivered, lease_all, take, texts
from tests.relay.servers import RedisServer
from tests.servers import accept
from tests.spool.shared import patience, rows, wait_until_left

PATIENCE = 100


@contextmanager
def logging_to_relay(server, **options):
    with logging_to(None, relay=server.url, **options) as (logger, handler):
        yield logger, handler


@pytest.fixture
def engine(server):
    """An engine with as many shards as the handlers have."""
    engine = RedisEngine(server.url, lease=600)
    yield engine
    engine.close()


def balances(stats):
    return stats.accepted == (
        stats.delivered + stats.relayed + stats.pending + sum(stats.dropped.values())
    )


def log(logger, stream, *lines):
    for line in lines:
        logger.info(line, extra={"logplex_stream": stream})


def all_lines(engine):
    """The lines of each stream, taken and settled until nothing is left."""
    leases = lease_all(engine)
    found: dict[object, list[str]] = {}
    while taken := take(engine, leases).values():
        for one in taken:
            found.setdefault(one.stream, []).extend(texts(one.frames))
        engine.settle([delivered(one) for one in taken])
    engine.release(leases)
    return found


def pushed(engine):
    return sum(books.pushed for books in engine.look())


def test_lines_of_all_streams_are_in_the_engine_in_order(server, engine):
    """`flush` says that they are stored there; the books of both sides are equal."""
    with logging_to_relay(server) as (logger, handler):
        for number in range(30):
            log(logger, f"customer{number % 3}", f"line {number}")
        with use_stream(7):
            logger.info("of a number")
        assert handler.flush(PATIENCE)
        stats = handler.stats()
        assert (stats.accepted, stats.relayed, stats.delivered, stats.pending) == (31, 31, 0, 0)
        assert handler.stats("customer1").relayed == 10
        assert pushed(engine) == 31
    lines = all_lines(engine)
    assert lines.pop(7) == ["of a number"]
    for number in range(3):
        assert lines.pop(f"customer{number}") == [f"line {i}" for i in range(number, 30, 3)]
    assert not lines
    assert all(books.balances for books in engine.look())


def test_a_batch_that_is_lost_has_the_engine_remember_nothing():
    """Else, it would remember every later chunk of the process."""
    engine = Mock()
    engine.push.return_value = []
    relay = Relay(engine, 2**20, Diagnostics(), has_token=False)
    waiting, lost = relay.form.new_id(), relay.form.new_id()
    producer, number = identity_of(waiting)
    del lost
    relay.push([])
    del waiting
    relay.push([])
    settled = [call.kwargs["settled"] for call in engine.push.call_args_list]
    assert settled == [{producer: number}, {producer: number + 2}]


def test_the_engine_forgets_what_is_stored_though_its_library_keeps_an_error(server):
    """Which holds the frames of its callers, here until a garbage collection that never comes."""
    with server.client as client, logging_to_relay(server) as (logger, handler):

        def is_forgotten():
            log(logger, "acme", "line")
            assert handler.flush(PATIENCE)
            (seen,) = client.keys("lp:*:seen:*")
            return client.zcard(seen) == 1

        gc.disable()
        try:
            # The first call of a script is an error then.
            client.script_flush()
            is_forgotten()
            assert wait_until(is_forgotten)
        finally:
            gc.enable()


def test_frames_are_those_that_a_receiver_would_get(server, engine):
    """A long line is one record of several frames."""
    options = {"hostname": "machine", "appname": "shop", "procid": "web.1"}
    long = " ".join(f"word{number}" for number in range(3000))
    with logging_to_server(accept, **options) as (receiver, logger, handler):
        logger.warning(long)
        assert handler.flush(PATIENCE)
    with logging_to_relay(server, **options) as (logger, handler):
        logger.warning(long, extra={"logplex_stream": "acme"})
        assert handler.flush(PATIENCE)
        assert handler.stats().relayed == 1
    taken = take(engine, lease_all(engine))["acme"]
    assert texts(taken.frames) == [text.decode() for text in receiver.frames()]
    assert taken.records == 1
    assert taken.frames[0].split()[3:6] == [b"machine", b"shop", b"web.1"]


def test_a_chunk_has_at_most_500_frames_and_1_mib(server, engine):
    with logging_to_relay(server) as (logger, handler):
        log(logger, "many", *["x"] * 1234)
        log(logger, "large", *["y" * 9000] * 100)
        assert handler.flush(PATIENCE)
    leases = lease_all(engine)
    while taken := list(take(engine, leases).values()):
        chunks = [chunk for one in taken for chunk in one.chunks]
        assert max(chunk.frame_count for chunk in chunks) <= 500
        assert max(len(chunk.body) for chunk in chunks) <= 1024 * 1024
        engine.settle([Outcome(one, delivered=one.records) for one in taken])
    assert sum(books.delivered for books in engine.look()) == 1334


def test_no_token_is_in_a_chunk_that_needs_one(server, engine):
    """The shipper puts the token of the stream's URL there."""
    with logging_to_relay(server, token_as_appname=True) as (logger, handler):
        log(logger, "acme", "line")
        assert handler.flush(PATIENCE)
    taken = take(engine, lease_all(engine))["acme"]
    assert taken.chunks[0].has_token
    assert flattened(taken.frames)[0].split()[4] == b"-" * 48


def test_streams_that_are_due_together_are_pushed_together(server, engine, monkeypatch):
    pushes = []
    push = RedisEngine.push

    def noted(self, chunks, **options):
        pushes.append(len(chunks))
        return push(self, chunks, **options)

    monkeypatch.setattr(RedisEngine, "push", noted)
    with logging_to_relay(server, flush_interval=600) as (logger, handler):
        for number in range(300):
            log(logger, number, "line")
        assert handler.flush(PATIENCE)
    assert sum(pushes) == 300
    assert len(pushes) < 30
    assert pushed(engine) == 300


def test_streams_that_fail_together_are_one_failure_of_the_engine(server, engine, monkeypatch):
    """So it is asked again soon, however many streams wait for it."""
    pushes = []

    def away(self, chunks, **options):
        pushes.append(len(chunks))
        return [Pushed.AWAY] * len(chunks)

    monkeypatch.setattr(RedisEngine, "push", away)
    with logging_to_relay(server, flush_interval=600, shutdown_timeout=0) as (logger, handler):
        for number in range(50):
            log(logger, number, "line")
        breaker = handler._pipeline._relay.breaker
        assert wait_until(lambda: not handler.flush(0.1) and sum(pushes) >= 50)
        assert wait_until(lambda: breaker.backoff.failures > 0)
        assert breaker.backoff.failures <= len(pushes)


def test_records_without_a_stream_go_to_the_handlers_own_url(server, engine):
    with logging_to_server(accept, relay=server.url) as (receiver, logger, handler):
        logger.info("own")
        log(logger, "acme", "customer's")
        assert handler.flush(PATIENCE)
        stats = handler.stats()
        assert (stats.delivered, stats.relayed) == (1, 1)
    assert receiver.frames() == [b"own"]
    assert all_lines(engine) == {"acme": ["customer's"]}


def test_a_record_of_no_stream_or_of_an_id_that_cannot_be_stored_is_dropped(server, engine):
    with logging_to_relay(server) as (logger, handler):
        logger.info("of none")
        log(logger, 1.5, "of a float")
        assert handler.flush(PATIENCE)
        assert dict(handler.stats().dropped) == {"unknown_stream": 2}
    assert pushed(engine) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_a_connection_and_a_name_of_its_own(server, engine):
    with logging_to_relay(server) as (logger, handler):
        log(logger, "acme", "of the parent")
        assert handler.flush(PATIENCE)
        child = os.fork()
        if not child:
            try:
                log(logger, "acme", "of the child")
                os._exit(0 if handler.flush(PATIENCE) and handler.stats().relayed == 1 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        log(logger, "acme", "of the parent again")
        assert handler.flush(PATIENCE)
    producers = {chunk.producer for chunk in take(engine, lease_all(engine))["acme"].chunks}
    assert len(producers) == 2


_EXITS = """
import logging
from logplex_handler import LogplexHandler
handler = LogplexHandler(flush_interval=600, shutdown_timeout=60)
logging.basicConfig(level="INFO", handlers=[handler])
for number in range(1000):
    logging.info("line", extra={"logplex_stream": number % 10})
"""


def test_a_process_that_exits_has_pushed_all(server, engine):
    environ = {**os.environ, "LOGPLEX_RELAY": server.url, "LOGPLEX_URL": ""}
    ended = subprocess.run(
        [sys.executable, "-c", _EXITS], env=environ, capture_output=True, timeout=100, check=True
    )
    assert ended.stderr == b""
    assert pushed(engine) == 1000


@pytest.fixture
def lasting_server(tmp_path):
    """A server that keeps what it has acknowledged, also when it is killed."""
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.kill()


def test_a_killed_engine_has_each_line_once_when_it_is_back(relay_server, lasting_server, capsys):
    server = lasting_server
    with logging_to_relay(server) as (logger, handler):
        log(logger, "acme", *[f"line {number}" for number in range(100)])
        assert handler.flush(PATIENCE)
        server.kill()
        log(logger, "acme", *[f"line {number}" for number in range(100, 2000)])
        log(logger, "other", "line")
        assert not handler.flush(0.5)
        stats = handler.stats()
        assert (stats.relayed, stats.pending) == (100, 1901)
        server.start()
        assert wait_until(lambda: handler.flush(PATIENCE))
        assert handler.stats().relayed == 2001
    engine = RedisEngine(server.url, lease=600)
    lines = all_lines(engine)
    assert lines == {"acme": [f"line {number}" for number in range(2000)], "other": ["line"]}
    engine.close()


def test_a_flush_returns_in_time_though_the_engine_is_frozen(server):
    with logging_to_relay(server, shutdown_timeout=0.1) as (logger, handler):
        log(logger, "acme", "line")
        assert handler.flush(PATIENCE)
        server.freeze()
        try:
            log(logger, "acme", *["line"] * 10)
            log(logger, "other", "line")
            assert not handler.flush(0.5)
        finally:
            server.thaw()
        assert wait_until(lambda: handler.flush(PATIENCE))
        assert handler.stats().relayed == 12


def test_a_full_engine_has_lines_wait_and_then_drops_are_told(server, engine):
    """`on_full` applies to the memory; the notice is in the stream as soon as there is room."""
    small = logging_to_relay(server, max_buffer_bytes=50_000)
    with server.client as client, small as (logger, handler):
        log(logger, "acme", "first")
        assert handler.flush(PATIENCE)
        client.config_set("maxmemory", 1)
        # Nothing else is taken until there is room for the first of them.
        log(logger, "acme", "line 0")
        assert wait_until(lambda: handler.stats().requests > 1)
        log(logger, "acme", *[f"line {number}" for number in range(1, 5000)])
        reports = handler._pipeline._registry._streams["acme"].drop_reports
        assert wait_until(lambda: reports._claimed == handler.stats().dropped)
        assert handler.stats().dropped["buffer_full"] > 1000
        assert balances(handler.stats())
        assert handler.stats().relayed == 1
        client.config_set("maxmemory", 0)
        assert wait_until(lambda: handler.flush(PATIENCE))
        stats = handler.stats()
        assert stats.relayed + stats.dropped["buffer_full"] == 5001
    lines = all_lines(engine)["acme"]
    assert lines[-1] == "line 4999" or "logplex_handler.dropped" in lines[-1]
    assert f"count#logplex_handler.dropped={stats.dropped['buffer_full']}" in " ".join(lines)


def test_an_engine_that_evicts_is_named_and_records_wait(server, engine, capsys):
    """Until somebody has changed its settings."""
    with server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with logging_to_relay(server) as (logger, handler):
                log(logger, "acme", "line")
                assert wait_until(lambda: handler.stats().requests > 1)
                client.config_set("maxmemory-policy", "noeviction")
                assert wait_until(lambda: handler.flush(PATIENCE))
                assert handler.stats().relayed == 1
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    told = capsys.readouterr().err
    assert told.count("evicts lines") == 1
    assert "logplex_handler: relay: " in told


# The spool


def test_what_an_absent_engine_does_not_take_is_pushed_by_the_next_process(
    lasting_server, relay_server, tmp_path, capsys
):
    spool = tmp_path / "spool"
    server = lasting_server
    server.kill()
    left = logging_to_relay(server, spool=spool, shutdown_timeout=0.2)
    with patience(), left as (logger, handler):
        log(logger, "acme", *[f"line {number}" for number in range(1200)])
        log(logger, 7, "line")
    assert handler.stats().pending == 1201
    wait_until_left(spool)
    server.start()
    with logging_to_relay(server, spool=spool) as (logger, handler):
        log(logger, "acme", "new")
        assert wait_until(lambda: handler.flush(PATIENCE))
        assert (handler.stats().recovered, handler.stats().relayed) == (1201, 1202)
    engine = RedisEngine(server.url, lease=600)
    lines = all_lines(engine)
    assert lines == {"acme": [*(f"line {number}" for number in range(1200)), "new"], 7: ["line"]}
    engine.close()
    assert rows(spool) == []


def test_what_was_pushed_before_a_crash_is_stored_once(server, engine, tmp_path, monkeypatch):
    """The row on disk has the producer's name and number, under which it was pushed."""
    spool = tmp_path / "spool"
    push = RedisEngine.push

    def unanswered(self, chunks, **options):
        return [Pushed.AWAY for _ in push(self, chunks, **options)]

    with monkeypatch.context() as patched:
        patched.setattr(RedisEngine, "push", unanswered)
        left = logging_to_relay(server, spool=spool, shutdown_timeout=0.2)
        with patience(), left as (logger, handler):
            log(logger, "acme", "one", "two")
            assert wait_until(lambda: pushed(engine) == 2)
    assert handler.stats().pending == 2
    wait_until_left(spool)
    with logging_to_relay(server, spool=spool) as (logger, handler):
        log(logger, "acme", "three")
        assert wait_until(lambda: handler.flush(PATIENCE))
    assert pushed(engine) == 3
    assert sum(books.repeated for books in engine.look()) > 0
    assert all_lines(engine) == {"acme": ["one", "two", "three"]}


def test_what_is_stored_and_stays_on_disk_is_not_stored_again_by_the_next_process(
    server, engine, tmp_path, monkeypatch
):
    """The engine remembers it, whatever the process has pushed since."""
    spool = tmp_path / "spool"

    def fails(self, chunks):
        raise SpoolError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "delete", fails)
        with logging_to_relay(server, spool=spool) as (logger, handler):
            for number in range(3):
                log(logger, "acme", f"line {number}")
                assert handler.flush(PATIENCE)
    wait_until_left(spool)
    with logging_to_relay(server, spool=spool) as (logger, handler):
        log(logger, "acme", "another")
        assert handler.flush(PATIENCE)
    assert all_lines(engine) == {"acme": ["line 0", "line 1", "line 2", "another"]}
    assert rows(spool) == []


# Configuration


def test_a_url_that_cannot_be_used_is_an_error_that_does_not_show_it(monkeypatch):
    for url in ("https://:secret@host", "redis://:secret@", "redis://host/secret", ["", 1], 5):
        with pytest.raises(ConfigurationError, match=r"^relay: ") as raised:
            LogplexHandler(relay=url)
        assert "secret" not in str(raised.value)
    monkeypatch.setenv("LOGPLEX_RELAY", "http://:secret@host")
    with pytest.raises(ConfigurationError, match=r"^relay: ") as raised:
        LogplexHandler()
    assert "secret" not in str(raised.value)


def test_a_relay_without_its_library_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setattr(relay_server_module, "redis", None)
    with pytest.raises(ConfigurationError, match=r"relay.*pip install 'logplex-handler\[relay\]'"):
        LogplexHandler(relay="redis://127.0.0.1")


def test_the_relays_url_is_never_shown():
    handler = LogplexHandler(relay="redis://:secret@127.0.0.1:1", shutdown_timeout=0)
    assert repr(handler) == "<LogplexHandler relay (NOTSET)>"
    handler.close()
    assert "secret" not in repr(vars(handler)) + repr(vars(handler._pipeline))
    logging.getLogger().removeHandler(handler)
