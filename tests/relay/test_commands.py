"""The commands for a relay: what they need, what they say, and that they show no password."""

from __future__ import annotations

import json
import re

import pytest

from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Outcome, Settled
from tests.commands import ROOT, call
from tests.relay.chunks import Producer, lease_all, take
from tests.relay.servers import RedisServer


@pytest.fixture
def engine(server):
    """An engine with as many shards as the commands' by default."""
    engine = RedisEngine(server.url, lease=600)
    yield engine
    engine.close()


def run(*arguments, **environ):
    ended = call(*arguments, environ=environ)
    assert b"secret" not in ended.stdout + ended.stderr
    return ended


def test_what_a_shipper_needs_is_asked_for_by_name(server, tmp_path):
    for arguments, environ, words in [
        ((), {}, b"LOGPLEX_RELAY: is not set"),
        ((), {"LOGPLEX_RELAY": server.url}, b"LOGPLEX_STREAMS: is not set"),
        (("--relay", "http://:secret@x"), {}, b"LOGPLEX_RELAY: the URL must begin with redis://"),
        (("--relay", server.url, "--streams", "no:such"), {}, b"no:such raises ModuleNotFound"),
    ]:
        ended = run("ship", *arguments, **environ)
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert words in ended.stderr
        assert b"secret" not in ended.stderr


def test_a_shipper_refuses_an_engine_that_evicts(server):
    with server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            ended = run("ship", "--relay", server.url, "--streams", "os:environ")
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert ended.returncode == 2
    assert b"evicts" in ended.stderr


def test_the_command_relay_shows_the_books(server, engine):
    Producer().push(engine, "acme", "one", "two")
    leases = engine.acquire([0, 1], "a shipper")
    with server.client as client:
        # Nothing that other programs write acts on the terminal.
        client.set("lp:{63}:lease", "\x1b[31m a")
        client.hset("lp:{63}:books", "dropped:\x1b[31m", 0)
    ended = run("relay", LOGPLEX_RELAY=server.url)
    assert ended.returncode == 0
    assert b"\x1b" not in ended.stdout
    assert re.search(rb"a shipper +2 ", ended.stdout)
    assert b"2 lines were pushed" in ended.stdout
    assert b"The books balance." in ended.stdout
    ended = run("relay", "--relay", server.url, "--json")
    found = json.loads(ended.stdout)
    assert (found["pushed"], found["waiting"], found["balances"]) == (2, 2, True)
    assert [one["owner"] for one in found["shards"]][:3] == ["a shipper", "a shipper", None]
    engine.release(leases)
    with server.client as client:
        client.hincrby("lp:{0}:books", "pushed", 1)
    ended = run("relay", "--relay", server.url)
    assert ended.returncode == 1
    assert b"DO NOT balance" in ended.stdout


def test_the_command_relay_says_that_the_relay_is_away():
    ended = run("relay", "--relay", "redis://:secret@127.0.0.1:1")
    assert ended.returncode == 1
    assert b"the relay is away" in ended.stderr
    assert b"secret" not in ended.stderr


def test_check_says_what_an_operator_should_know(server):
    ended = run("check", LOGPLEX_RELAY=server.url)
    assert ended.returncode == 0
    shown = ended.stdout.decode()
    assert re.search(
        r"ok   relay: 127.0.0.1:\d+: (Redis|Valkey) [0-9.]+, noeviction, [0-9.]+ MiB used, "
        r"\d+ of \d+ connections, answers within [0-9.]+ ms",
        shown,
    )
    assert "keeps no append-only file" in shown
    assert "its memory has no bound" in shown


def test_check_says_why_a_relay_cannot_be_used(relay_server, tmp_path):
    relay = "redis://:secret@127.0.0.1"
    for url, words in [
        (f"{relay}:1", b"FAIL relay: does not answer: 127.0.0.1:1: ConnectionError"),
        ("http://:secret@x", b"FAIL LOGPLEX_RELAY: the URL must begin with redis://"),
    ]:
        ended = run("check", LOGPLEX_RELAY=url)
        assert (ended.returncode, words in ended.stdout) == (1, True)
    server = RedisServer(tmp_path / "data", password="right")
    try:
        ended = run("check", LOGPLEX_RELAY=f"{relay}:{server.port}")
        assert ended.returncode == 1
        assert b"does not allow what is needed" in ended.stdout
    finally:
        server.kill()


def test_the_user_in_the_documentation_can_do_all_that_is_needed(server):
    page = (ROOT / "docs" / "relay.md").read_text()
    found = re.search("^ACL SETUSER .*$", page, re.MULTILINE)
    assert found is not None
    with server.client as client:
        client.execute_command(*found[0].replace("PASSWORD", "secret").split())
        url = f"redis://logs:secret@127.0.0.1:{server.port}"
        engine = RedisEngine(url, shards=4, lease=600, timeout=100)
        engine.check()
        Producer().push(engine, "acme", "line")
        engine.heartbeat("shipper")
        leases = lease_all(engine)
        (taken,) = take(engine, leases).values()
        assert engine.settle([Outcome(taken, delivered=1)]) == [Settled.DONE]
        assert len(engine.renew(leases)) == 4
        engine.release(leases)
        engine.leave("shipper")
        assert all(books.balances for books in engine.look())
        assert not engine.problem
        engine.close()
        client.execute_command("ACL", "DELUSER", "logs")
