"""What goes wrong with engines: restarts, full memory, lost scripts, replicas, settings."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from functools import partial

import pytest

from logplex_handler._relay import server as server_module
from logplex_handler._relay.parts import Part
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import EngineAway, Fate, Outcome, Pushed, Settled
from logplex_handler.errors import ConfigurationError
from tests.logs import logging_to, wait_until
from tests.relay.chunks import Producer, deliver, delivered, lease_all, take, texts
from tests.relay.servers import Line, RedisServer
from tests.servers import free_port

SECRET = "hunter2-hunter2"


@pytest.fixture
def start(tmp_path, request):
    """Starts servers of the test's own."""
    with contextlib.ExitStack() as ends:
        number = 0

        def started(*options, **more):
            nonlocal number
            number += 1
            server = RedisServer(tmp_path / str(number), *options, **more)
            ends.callback(server.kill)
            return server

        yield started


@pytest.fixture
def opened():
    """Makes engines that are closed after the test."""
    with contextlib.ExitStack() as ends:

        def make(url, **options):
            engine = RedisEngine(url, **{"shards": 4, "lease": 600, "timeout": 100, **options})
            ends.callback(engine.close)
            return engine

        yield make


pytestmark = pytest.mark.usefixtures("relay_server")


def test_scripts_that_are_gone_are_loaded_again(engine, server):
    producer = Producer()
    producer.push(engine, "a", "1")
    leases = lease_all(engine)
    with server.client as client:
        client.script_flush()
        assert engine.push([producer.chunk("a", "2"), producer.chunk("b", "3")]) == (
            [Pushed.STORED] * 2
        )
        client.script_flush()
        taken = take(engine, leases)
        assert {*taken} == {"a", "b"}
        client.script_flush()
        results = engine.settle([Outcome(one, delivered=one.records) for one in taken.values()])
        assert {*results} == {Settled.DONE}


def test_a_killed_engine_comes_back_with_all_that_it_confirmed(start, opened):
    server = start("--appendonly", "yes", "--appendfsync", "always")
    engine = opened(server.url)
    producer = Producer()
    for number in range(20):
        producer.push(engine, number % 3, f"{number}")
    leases = lease_all(engine)
    taken = take(engine, leases)
    engine.settle([Outcome(taken[0], delivered=taken[0].records)])
    server.kill()
    chunk = producer.chunk("late", "line")
    assert engine.push([chunk]) == [Pushed.AWAY]
    assert engine.take(leases).away == {0, 1, 2, 3}
    assert engine.settle([Outcome(taken[1], delivered=taken[1].records)]) == [Settled.AWAY]
    assert {lease.token for lease in engine.renew(leases)} == {lease.token for lease in leases}
    with pytest.raises(EngineAway, match=f"127.0.0.1:{server.port}: ConnectionError"):
        engine.look()
    with pytest.raises(EngineAway):
        engine.heartbeat("shipper")
    assert engine.problem == f"127.0.0.1:{server.port}: ConnectionError"
    server.start()
    assert engine.push([chunk]) == [Pushed.STORED]
    assert engine.problem == ""
    with server.client as client:
        client.delete(*client.keys("lp:*:lease"))
    again = take(engine, lease_all(engine))
    assert again[1].frame_id == taken[1].frame_id
    assert again[2].chunks == taken[2].chunks
    assert texts(again["late"].frames) == ["line"]
    assert all(one.balances for one in engine.look())
    assert sum(one.pushed for one in engine.look()) == 21


def test_an_engine_that_does_not_answer_is_away_for_a_bounded_time(start, opened):
    server = start()
    engine, hasty = opened(server.url), opened(server.url, timeout=0.2)
    producer = Producer()
    producer.push(engine, "a", "1")
    server.freeze()
    chunk = producer.chunk("a", "2")
    assert hasty.push([chunk]) == [Pushed.AWAY]
    assert "TimeoutError" in hasty.problem
    server.thaw()
    # It may have been stored.
    assert engine.push([chunk])[0].is_stored
    assert deliver(engine, lease_all(engine)) == {"a": ["1", "2"]}


def test_a_full_engine_refuses_what_is_pushed_and_still_hands_over(start, opened):
    server = start("--maxmemory", "8mb")
    engine = opened(server.url, max_relay_bytes=10**9, max_stream_bytes=10**9)
    producer = Producer()
    stored = 0
    lines = ["x" * 1000] * 100
    while (result := engine.push([producer.chunk(stored % 50, *lines)])) == [Pushed.STORED]:
        stored += 1
    assert result == [Pushed.FULL]
    assert stored > 10
    with server.client as client:
        client.script_flush()
    assert engine.heartbeat("shipper").shippers == {"shipper"}
    leases = lease_all(engine)
    taken = take(engine, leases, max_streams=1)
    assert taken
    outcomes = [Outcome(one, Fate.LATER) for one in taken.values()]
    assert {*engine.settle(outcomes)} == {Settled.DONE}
    assert len(engine.renew(leases)) == 4
    assert all(one.balances for one in engine.look())
    engine.check()
    found = deliver(engine, leases)
    assert sum(map(len, found.values())) == 100 * stored
    assert engine.push([producer.chunk("a", "room")]) == [Pushed.STORED]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_an_engine_that_evicts_is_refused_by_name(start, opened, policy):
    server = start("--maxmemory", "8mb", "--maxmemory-policy", policy)
    engine = opened(server.url)
    for use in (
        engine.check,
        lambda: engine.push([Producer().chunk("a", "1")]),
        lambda: engine.acquire([0], "shipper"),
        lambda: engine.heartbeat("shipper"),
        engine.look,
    ):
        with pytest.raises(ConfigurationError, match=f"evicts .*{policy}.* noeviction"):
            use()
    with server.client as client:
        assert client.keys("*") == []
        client.config_set("maxmemory-policy", "noeviction")
    assert engine.push([Producer().chunk("a", "1")]) == [Pushed.STORED]


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ({"redis_version": "6.2.14"}, "is Redis 6.2.14; Redis 7 or Valkey is needed"),
        ({"redis_version": "6.\x1b[31m"}, r"is Redis 6.\\x1b\[31m;"),
        ({"redis_mode": "sentinel"}, "is a Sentinel, which stores nothing"),
    ],
)
def test_an_engine_that_cannot_do_it_is_refused_by_name(engine, monkeypatch, info, problem):
    import redis

    original = redis.Redis.info
    monkeypatch.setattr(redis.Redis, "info", lambda client: {**original(client), **info})
    with pytest.raises(ConfigurationError, match=problem):
        engine.check()


@pytest.mark.parametrize(
    "info", [{"redis_version": "\x1b[31m"}, {"maxmemory": {"a": 1}}, {"maxclients": "many"}]
)
def test_a_server_that_answers_anything_else_is_away(engine, monkeypatch, info):
    import redis

    original = redis.Redis.info
    monkeypatch.setattr(redis.Redis, "info", lambda client: {**original(client), **info})
    with pytest.raises(EngineAway, match=r"^127.0.0.1:\d+: its answer makes no sense$"):
        engine.check()
    assert engine.push([Producer().chunk("a", "1")]) == [Pushed.AWAY]


def test_a_member_of_a_cluster_is_refused_by_name(start, opened, capsys):
    """A handler reports it, and its records wait."""
    server = start("--cluster-enabled", "yes")
    name = f"127.0.0.1:{server.port} belongs to a Redis Cluster, which is not supported"
    engine = opened(server.url)
    for use in (engine.check, engine.look, lambda: engine.push([Producer().chunk("a", "1")])):
        with pytest.raises(ConfigurationError, match=name):
            use()
    with logging_to(None, relay=server.url, shutdown_timeout=0) as (logger, handler):
        logger.info("line", extra={"logplex_stream": "a"})
        # The second request begins after the report of the first one.
        assert wait_until(lambda: not handler.flush(0.1) and handler.stats().requests > 1)
        assert handler.stats().pending == 1
    assert f"logplex_handler: relay: {name}" in capsys.readouterr().err


def test_valkey_is_known_by_its_name(engine, monkeypatch):
    import redis

    original = redis.Redis.info
    valkey = {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.0.1"}
    monkeypatch.setattr(redis.Redis, "info", lambda client: {**original(client), **valkey})
    (health,) = engine.check()
    assert health.version == "Valkey 8.0.1"


def test_what_an_operator_should_know(start, opened, monkeypatch):
    import redis

    server = start("--maxmemory", "100mb", "--appendonly", "yes")
    (health,) = opened(server.url).check()
    assert health.server == f"127.0.0.1:{server.port}"
    assert health.version.startswith(("Redis ", "Valkey "))
    assert (health.policy, health.max_memory) == ("noeviction", 100 * 1024 * 1024)
    assert 0 < health.used_memory < health.max_memory
    assert health.connections[0] >= 1
    assert health.connections[1] > 100
    assert 0 < health.latency < 100
    assert health.warnings == ()
    with server.client as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory", 0)
        original = redis.Redis.info
        many = {"connected_clients": 19, "maxclients": 20}
        monkeypatch.setattr(redis.Redis, "info", lambda client: {**original(client), **many})
        engine = opened(server.url)
        persistence, memory, connections = engine.check()[0].warnings
    assert "appendonly" in persistence
    assert "maxmemory" in memory
    assert connections == "19 of 20 connections are in use"


def test_processes_that_do_not_agree_are_told(server, opened):
    other = f"redis://127.0.0.1:{free_port()}"
    engine = opened(server.url, shards=8)
    Producer().push(engine, "a", "1")
    for urls, shards in ((server.url, 4), ([server.url, other], 8), ([other, server.url], 8)):
        wrong = opened(urls, shards=shards)
        with pytest.raises((ConfigurationError, EngineAway)) as caught:
            list(wrong._servers)[-1 if urls[0] == other else 0].inspect_again()
        assert "was set up as 'format 1, 8 shards, server 1 of 1'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="too few for its servers"):
        opened([server.url, other], shards=1)


def test_processes_that_are_the_first_ones_together_agree(server, opened, monkeypatch):
    """Each finds nothing, and then one of them writes first."""
    import redis

    assert opened(server.url, shards=8).check()
    monkeypatch.setattr(redis.Redis, "get", lambda client, key: None)
    assert opened(server.url, shards=8).check()
    with pytest.raises(ConfigurationError, match="was set up as 'format 1, 8 shards"):
        opened(server.url, shards=4).check()


def test_shards_are_spread_over_several_servers(start, opened):
    servers = [start(), start()]
    engine = opened(",".join(server.url for server in servers))
    producer = Producer()
    chunks = [producer.chunk(number, f"{number}") for number in range(40)]
    assert {*engine.push(chunks)} == {Pushed.STORED}
    for index, server in enumerate(servers):
        with server.client as client:
            shards = {int(key.split(b"{")[1].split(b"}")[0]) for key in client.keys("lp:{*")}
        assert shards == {index, index + 2}
    leases = lease_all(engine)
    assert engine.heartbeat("shipper").owners == dict.fromkeys(range(4), "shipper")
    # One of them ends: the other half goes on.
    servers[1].kill()
    assert engine.take(leases, max_streams=1).away == {1, 3}
    results = engine.push([producer.chunk(number, "more") for number in range(40)])
    assert {*results} == {Pushed.STORED, Pushed.AWAY}
    assert engine.heartbeat("shipper").owners == {0: "shipper", 2: "shipper"}
    assert {lease.shard for lease in engine.renew(leases)} == {0, 1, 2, 3}


def test_a_server_that_hangs_holds_up_no_other(start, opened, monkeypatch):
    """It is asked last, and now and then only: leases on the others would end meanwhile."""
    servers = [start(), start()]
    engine = opened([server.url for server in servers])
    leases = lease_all(engine)
    hanging, other = engine._servers
    asked = []
    original = server_module._pipelined

    def noted(client, calls):
        asked.append(hanging if client is hanging._client else other)
        return original(client, calls)

    monkeypatch.setattr(server_module, "_pipelined", noted)
    for name in ("_REST", "_MAX_REST"):
        monkeypatch.setattr(server_module, name, 1000.0)
    servers[0].freeze()
    with monkeypatch.context() as patch:
        hanging.close()
        patch.setattr(hanging, "_timeout", 0.1)
        assert engine.take(leases).away == {0, 2}
    assert asked == [hanging, other]
    assert engine.take(leases).away == {0, 2}
    producer = Producer()
    results = engine.push([producer.chunk(number, f"{number}") for number in range(40)])
    assert {*results} == {Pushed.STORED, Pushed.AWAY}
    assert asked == [hanging, other, other, other]
    servers[0].thaw()
    hanging.close()
    monkeypatch.setattr(hanging, "_rests_until", 0.0)
    assert not engine.take(leases).away
    assert asked[4:] == [other, hanging]
    assert not engine.take(leases).away
    assert asked[6:] == [hanging, other]


def test_an_answer_that_makes_no_sense_is_none(start, opened, monkeypatch):
    """And what comes from the other servers counts."""
    servers = [start(), start()]
    engine = opened([server.url for server in servers])
    leases = lease_all(engine)
    lying = engine._servers.first
    producer = Producer()
    engine.push([producer.chunk(number, f"{number}") for number in range(40)])
    taken = engine.take(leases).taken
    are_lost = [one.lease.shard in (0, 2) for one in taken]
    original = server_module._pipelined

    def lied(lie, client, calls):
        answers = original(client, calls)
        return [lie for _ in answers] if client is lying._client else answers

    with monkeypatch.context() as patch:
        for lie in ([], [1, b"soon", 3], b"yes", 7, [None] * are_lost.count(True)):
            patch.setattr(server_module, "_pipelined", partial(lied, lie))
            results = engine.push([producer.chunk(number, "more") for number in range(40)])
            assert {*results} == {Pushed.STORED, Pushed.AWAY}
            assert engine.take(leases).away == {0, 2}
            settled = engine.settle([Outcome(one) for one in taken])
            assert [one is Settled.AWAY for one in settled] == are_lost
        with pytest.raises(EngineAway, match="its answer makes no sense"):
            engine.heartbeat("shipper")
    assert not engine.take(leases).away


def test_a_push_that_half_succeeds_is_completed_by_pushing_it_again(start, opened):
    servers = [start(), start()]
    engine = opened([server.url for server in servers])
    producer = Producer()
    engine.check()
    servers[1].kill()
    chunks = [producer.chunk(number % 10, f"{number}") for number in range(40)]
    first = engine.push(chunks)
    assert {*first} == {Pushed.STORED, Pushed.AWAY}
    servers[1].start()
    second = engine.push(chunks)
    expected = {Pushed.STORED: Pushed.KNOWN, Pushed.AWAY: Pushed.STORED}
    assert second == [expected[result] for result in first]
    found = deliver(engine, lease_all(engine))
    assert found == {one: [f"{number}" for number in range(one, 40, 10)] for one in range(10)}


def test_an_answer_that_is_lost_after_the_chunks_were_stored(engine, server, monkeypatch):
    producer = Producer()
    producer.push(engine, "a", "0")
    original = server_module._pipelined

    def lost(*args):
        original(*args)
        raise ConnectionResetError

    chunks = [producer.chunk("a", "1"), producer.chunk("b", "2")]
    with monkeypatch.context() as patch:
        patch.setattr(server_module, "_pipelined", lost)
        assert engine.push(chunks) == [Pushed.AWAY] * 2
    assert "ConnectionResetError" in engine.problem
    assert engine.push(chunks) == [Pushed.KNOWN] * 2
    assert deliver(engine, lease_all(engine)) == {"a": ["0", "1"], "b": ["2"]}


def test_a_damaged_chunk_is_counted_and_told_and_the_others_are_delivered(engine, server):
    producer = Producer()
    producer.push(engine, "a", "1", "2")
    producer.push(engine, "a", "3")
    producer.push(engine, "b", "4", "5")
    with server.client as client:
        for stream in ("a", "b"):
            (key,) = client.keys(f"lp:*:q:s{stream}")
            item = client.lindex(key, 0)
            client.lset(key, 0, item[:-3] + b"X" + item[-2:])
    leases = lease_all(engine)
    found = take(engine, leases)
    assert texts(found["a"].frames) == ["3"]
    # Of a stream that has nothing else, only the drop is to be told, the next time.
    assert "b" not in found
    engine.settle([Outcome(found["a"], delivered=1)])
    unreported = take(engine, leases)
    assert unreported["a"].unreported == {"relay_lost": 2}
    assert unreported["b"].unreported == {"relay_lost": 2}
    assert unreported["b"].requests == []
    books = engine.look()
    assert all(one.balances for one in books)
    assert sum(one.dropped.get("relay_lost", 0) for one in books) == 4


def test_what_is_lost_is_taken_again_if_that_could_not_be_settled(engine, server, monkeypatch):
    """Else, its stream would stay in hand for as long as the shipper has its shard."""
    producer = Producer()
    producer.push(engine, "a", "1")
    with server.client as client:
        (key,) = client.keys("lp:*:q:sa")
        client.lset(key, 0, b"damaged")
    leases = lease_all(engine)
    with monkeypatch.context() as patched:
        patched.setattr(
            RedisEngine, "settle", lambda self, outcomes: [Settled.AWAY] * len(outcomes)
        )
        assert take(engine, leases) == {}
    producer.push(engine, "a", "2")
    assert take(engine, leases) == {}
    assert texts(take(engine, leases)["a"].frames) == ["2"]


def test_an_item_that_is_larger_than_any_chunk_is_not_read(engine, server):
    """No shipper needs memory for what another program has put there."""
    producer = Producer()
    producer.push(engine, "a", "1")
    with server.client as client:
        (key,) = client.keys("lp:*:q:sa")
        client.lpush(key, b"x" * (17 * 1024 * 1024))
        client.lpush(key, b"x" * 1000)
    producer.push(engine, "a", "2")
    leases = lease_all(engine)
    with server.client as client:
        before = int(client.info("stats")["total_net_output_bytes"])
        # Of what is damaged alone, nothing is to be delivered.
        found = [deliver(engine, leases) for _ in range(3)]
        sent = int(client.info("stats")["total_net_output_bytes"]) - before
    assert {"a": ["1", "2"]} in found
    assert sent < 1024 * 1024
    assert all(one.balances for one in engine.look())


@pytest.mark.parametrize("item", [b"\x00", b"", b"x" * 100, b"\xff" * 30])
def test_items_and_streams_of_other_programs_do_no_harm(engine, server, item):
    Producer().push(engine, "a", "1")
    with server.client as client:
        for stream in ("xyz", "i", "sa"):
            client.rpush(f"lp:{{0}}:q:{stream}", item)
            client.zadd("lp:{0}:ready", {stream: 1})
        client.hset("lp:{0}:fly", "xyz", "nonsense")
    leases = lease_all(engine)
    found = deliver(engine, leases)
    assert found["a"] == ["1"]
    assert all(one.lag == 0 for one in engine.look())


# What other programs may write into the fields of a stream.
POISON = {
    "drops": [
        b"\xff", "", "[1]", "null", '{"a":"b"}', '{"a":1e400}', '{"a":1.5}', '{"a":-1}', "[" * 3000,
        '{"x count#y=5":1}', '{"' + "x" * 41 + '":1}',
    ],
    "fly": [
        "nonsense", "a:" + ":".join(["9" * 400] * 4) + ":", "a" * 65 + ":1:1:1:1:",
        'a:1:1:1:1:[1,["x\\r\\ny",[[0,1]]]]', 'a:1:1:1:1:[1,["x",[[0,1e400]]]]', 'a:1:1:1:1:[1,5]',
    ],
    "bytes": ["x", "1.5", "9" * 400],
}  # fmt: skip


def test_fields_of_other_programs_hold_nobody_up(engine, server):
    """Neither other streams of the shard nor other shards; and nothing of it leaves the relay."""
    producer = Producer()
    streams = []
    with server.client as client:
        for name, values in POISON.items():
            for value in values:
                streams.append(f"{name}{len(streams)}")
                producer.push(engine, streams[-1], "1")
                (key,) = client.keys(f"lp:*:q:s{streams[-1]}")
                client.hset(key.partition(b"q:")[0] + name.encode(), f"s{streams[-1]}", value)
        for shard in range(engine.shards):
            client.hset(f"lp:{{{shard}}}:books", "waiting", "x")
        client.set("lp:bytes", "x")
    leases = lease_all(engine)
    found = []
    # Nothing is taken again and again.
    while taken := take(engine, leases):
        found += [one.stream for one in taken.values() if texts(one.frames) == ["1"]]
        assert all(not one.unreported for one in taken.values())
        assert all(
            frame_id.isalnum() and len(frame_id) <= 64
            for one in taken.values()
            for frame_id, _ in one.requests
        )
        engine.settle([delivered(one) for one in taken.values()])
    assert sorted(found) == sorted(streams)
    assert sum(books.delivered for books in engine.look()) == len(streams)
    producer.push(engine, "later", "2")
    assert deliver(engine, leases) == {"later": ["2"]}


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_key_of_another_type_in_place_of_chunks_holds_nobody_up(engine, server, is_taken):
    """Neither the others whose chunks are pushed with those of its stream, nor what comes later."""
    producer = Producer()
    producer.push(engine, "a", "lost")
    leases = lease_all(engine)
    if is_taken:
        assert take(engine, leases)
    with server.client as client:
        (key,) = client.keys("lp:*:q:sa")
        client.set(key, "of another program")
    producer.push(engine, "b", "1")
    chunks = [producer.chunk("a", "2"), producer.chunk("b", "3")]
    engine.look()
    assert engine.push(chunks) == [Pushed.STORED] * 2
    if is_taken:
        engine.release(leases)
        leases = lease_all(engine, "another")
    assert deliver(engine, leases) == {"a": ["2"], "b": ["1", "3"]}


@pytest.mark.parametrize("came", ["nan", "inf", "-inf", "2e12"])
def test_a_damaged_time_of_a_chunk_holds_nothing_up(engine, server, came):
    producer = Producer()
    producer.push(engine, "a", "1")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    producer.push(engine, "a", "2")
    with server.client as client:
        (key,) = client.keys("lp:*:q:sa")
        client.lset(key, 1, struct.pack(">d", float(came)) + client.lindex(key, 1)[8:])
    assert engine.settle([Outcome(taken, delivered=1)]) == [Settled.DONE]
    assert deliver(engine, leases) == {"a": ["2"]}
    assert all(one.balances for one in engine.look())


def test_what_waits_is_taken_though_the_clock_of_the_engine_is_set_back(engine, server):
    """Then it seems to have come in an hour; a stream with much has another place."""
    producer = Producer()
    producer.push(engine, "a", "1")
    producer.push(engine, "b", *["x" * 1000] * 70)
    with server.client as client:
        for state, stream in (("ready", "sa"), ("due", "sb")):
            (key,) = client.keys(f"lp:*:{state}")
            client.zincrby(key, 3600, stream)
    leases = lease_all(engine)
    assert deliver(engine, leases) == {"a": ["1"], "b": ["x" * 1000] * 70}


def test_a_frozen_owner_that_wakes_changes_nothing(start, opened):
    """Its lease ended by time, as after SIGSTOP, and it did not see so."""
    server = start()
    old, new = opened(server.url), opened(server.url)
    producer = Producer()
    producer.push(old, "a", "1")
    with server.client as client:
        leases = lease_all(old, "old")
        taken = take(old, leases)["a"]
        for lease in leases:
            client.pexpire(f"lp:{{{lease.shard}}}:lease", 1)
        assert wait_until(lambda: not client.keys("lp:*:lease"))
    again = take(new, lease_all(new, "new"))["a"]
    assert old.settle([Outcome(taken, delivered=1)]) == [Settled.FENCED]
    assert again.frame_id == taken.frame_id
    assert new.settle([Outcome(again, delivered=1)]) == [Settled.DONE]
    assert old.take(leases).fenced == {0, 1, 2, 3}


def test_clocks_of_machines_do_not_matter(engine, monkeypatch):
    """Only the engine's own is used, but for when a lease ends here."""
    monkeypatch.setattr(time, "time", lambda: 1.0)
    Producer().push(engine, "a", "1")
    taken = take(engine, lease_all(engine))["a"]
    assert taken.since > 1e9
    assert taken.waited < 60
    assert all(0 < one.owned_for <= 600 for one in engine.look())


def _follows(replica, port):
    with replica.client as client:
        client.replicaof("127.0.0.1", port)
        assert wait_until(lambda: client.info()["master_link_status"] == "up")


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_replica_that_lags_and_is_promoted(start, opened, replicas, monkeypatch):
    """Without `replicas`, what was confirmed last is lost; with it, it was not confirmed."""
    primary, replica = start(), start()
    monkeypatch.setattr(server_module, "_REPLICA_PATIENCE", 60_000)
    with contextlib.closing(Line(primary.port)) as line:
        _follows(replica, line.port)
        engine = opened(primary.url, replicas=replicas)
        producer = Producer()
        first = producer.push(engine, "a", "1")
        leases = lease_all(engine)
        taken = take(engine, leases)["a"]
        with primary.client as client:
            client.set("mark", 1)
        with replica.client as client:
            assert wait_until(lambda: client.get("mark"))
        line.cut.set()
        monkeypatch.setattr(server_module, "_REPLICA_PATIENCE", 100)
        second = producer.chunk("a", "2")
        assert engine.push([second]) == [Pushed.AWAY if replicas else Pushed.STORED]
        opened(primary.url).push([Producer("other").chunk("b", "3")])
        takes = engine.take(leases)
        assert [one.stream for one in takes.taken] == ([] if replicas else ["b"])
        assert takes.away == ({0, 1, 2, 3} if replicas else set())
        primary.kill()
    with replica.client as client:
        client.replicaof("no", "one")
        client.delete(*client.keys("lp:*:lease"))
    promoted = opened(replica.url)
    again = take(promoted, lease_all(promoted))
    assert {*again} == {"a"}
    assert (again["a"].frame_id, again["a"].chunks) == (taken.frame_id, (first,))
    # Whoever was not told that it is stored pushes it again.
    assert promoted.push([second]) == [Pushed.STORED]


@pytest.fixture
def failing_over(start, opened):
    """An engine whose server has a replica, and a function that promotes that, lagging."""
    primary, replica = start(), start()
    with (
        contextlib.closing(Line(primary.port)) as behind,
        contextlib.closing(Line(primary.port)) as line,
    ):
        _follows(replica, behind.port)

        def lag():
            """From now on, the replica lacks what is written."""
            with primary.client as client:
                client.set("mark", 1)
            with replica.client as client:
                assert wait_until(lambda: client.get("mark"))
            behind.cut.set()

        def promote():
            primary.kill()
            with replica.client as client:
                client.replicaof("no", "one")
            line.lead_to(replica.port)

        yield partial(opened, line.url), lag, promote


def test_an_outcome_that_a_promoted_replica_lacks_holds_no_stream_up(failing_over):
    """The shipper that has settled it goes on with the same lease, and takes the batch again."""
    open_engine, lag, promote = failing_over
    engine = open_engine()
    producer = Producer()
    producer.push(engine, "a", "1")
    producer.push(engine, "b", "2")
    leases = lease_all(engine)
    taken = take(engine, leases)
    lag()
    assert engine.settle([delivered(taken["a"])]) == [Settled.DONE]
    promote()
    assert wait_until(lambda: engine.renew(leases) and not engine.problem)
    producer.push(engine, "a", "3")
    # As long as anything of the same call is in hand, it may be that batch.
    assert engine.settle([delivered(taken["b"])]) == [Settled.DONE]
    again = take(engine, leases)["a"]
    assert (again.frame_id, again.chunks) == (taken["a"].frame_id, taken["a"].chunks)
    assert engine.settle([delivered(again)]) == [Settled.DONE]
    assert deliver(engine, leases) == {"a": ["3"]}
    assert all(one.balances for one in engine.look())


def test_what_follows_an_outcome_that_a_promoted_replica_lacks_is_counted(failing_over):
    open_engine, lag, promote = failing_over
    engine = open_engine()
    Producer().push(engine, "a", "1", "2", "3")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    lag()
    held = Outcome(taken, Fate.HELD, delivered=1)
    assert engine.settle([held]) == [Settled.DONE]
    promote()
    assert wait_until(lambda: engine.renew(leases) and not engine.problem)
    assert engine.settle([Outcome(held.rest, delivered=2)]) == [Settled.DONE]
    books = engine.look()
    assert all(one.balances for one in books)
    # Nobody knows any more what became of the first one.
    assert sum(one.delivered for one in books) == 2
    assert [one.dropped for one in books if one.dropped] == [{"relay_lost": 1}]


def test_an_outcome_that_comes_again_after_a_failover_counts_once(failing_over):
    """Its answer was lost, and the promoted replica lacks the one before it."""
    open_engine, lag, promote = failing_over
    engine = open_engine()
    Producer().push(engine, "a", "1", "2", "3", "4", "5")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    lag()
    first = Outcome(taken, Fate.HELD, delivered=2, parts=(Part("e" * 32, ((2, 5),)),))
    assert engine.settle([first]) == [Settled.DONE]
    promote()
    assert wait_until(lambda: engine.renew(leases) and not engine.problem)
    rest = (Part("f" * 32, ((3, 5),)),)
    second = Outcome(first.rest, Fate.HELD, dropped={"refused": 1}, parts=rest)
    for _ in range(3):
        assert engine.settle([second]) == [Settled.DONE]
    assert engine.settle([Outcome(second.rest, delivered=2)]) == [Settled.DONE]
    books = engine.look()
    assert all(one.balances for one in books)
    assert sum(one.delivered for one in books) == 2
    # Nobody knows any more what became of the first two.
    assert [one.dropped for one in books if one.dropped] == [{"refused": 1, "relay_lost": 2}]


def test_what_is_held_does_not_count_before_the_replicas_have_it(failing_over, monkeypatch):
    """It is sent under frame ids of its own."""
    monkeypatch.setattr(server_module, "_REPLICA_PATIENCE", 60_000)
    open_engine, lag, _ = failing_over
    engine = open_engine(replicas=1)
    Producer().push(engine, "a", "1", "2")
    taken = take(engine, lease_all(engine))["a"]
    held = Outcome(taken, Fate.HELD, delivered=1)
    assert engine.settle([held]) == [Settled.DONE]
    lag()
    monkeypatch.setattr(server_module, "_REPLICA_PATIENCE", 100)
    assert engine.settle([Outcome(held.rest, Fate.HELD)]) == [Settled.AWAY]
    assert engine.settle([Outcome(held.rest, delivered=1)]) == [Settled.DONE]
    assert all(one.balances and not one.dropped for one in engine.look())


def test_a_batch_whose_shipper_does_not_know_that_some_is_settled_is_not_sent_whole(engine):
    """It has heard no answer, and puts back what it had before."""
    Producer().push(engine, "a", "1", "2", "3")
    leases = lease_all(engine)
    taken = take(engine, leases)["a"]
    rest = (Part("f" * 32, ((1, 3),)),)
    held = Outcome(taken, Fate.HELD, delivered=1, parts=rest)
    assert engine.settle([held, held, Outcome(taken, Fate.LATER)]) == [Settled.DONE] * 3
    again = take(engine, leases)["a"]
    assert (again.records, again.parts) == (2, rest)
    assert engine.settle([Outcome(again, delivered=1, dropped={"refused": 1})]) == [Settled.DONE]
    books = engine.look()
    assert all(one.balances for one in books)
    assert sum(one.delivered for one in books) == 2
    assert [one.dropped for one in books if one.dropped] == [{"refused": 1}]


def test_a_replica_is_away(start, opened):
    primary, replica = start(), start()
    engine = opened(primary.url)
    chunk = Producer().push(engine, "a", "1")
    _follows(replica, primary.port)
    wrong = opened(replica.url)
    assert wrong.push([chunk]) == [Pushed.AWAY]
    assert "ReadOnlyError" in wrong.problem


def test_an_engine_that_loads_its_data_is_away(engine, server, monkeypatch):
    import redis

    Producer().push(engine, "a", "1")
    for error in (
        redis.exceptions.BusyLoadingError("LOADING"),
        redis.exceptions.ClusterDownError("CLUSTERDOWN"),
        redis.exceptions.TimeoutError(SECRET),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(server_module, "_pipelined", lambda *args, error=error: _raise(error))
            assert engine.push([Producer("p").chunk("a", "2")]) == [Pushed.AWAY]
            assert type(error).__name__ in engine.problem
            assert SECRET not in engine.problem
    for error in (
        redis.exceptions.ReadOnlyError("READONLY"),
        redis.exceptions.MovedError("1 127.0.0.1:1"),
        redis.exceptions.ResponseError("BUSY Redis is busy running a script"),
        redis.exceptions.ResponseError("MISCONF errors writing to disk"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(server_module, "_pipelined", lambda *args, error=error: [error])
            assert engine.push([Producer("p").chunk("a", "2")]) == [Pushed.AWAY]
    assert engine.problem.endswith(": MISCONF")


def _raise(error):
    raise error


def test_a_password_is_used_and_never_shown(start, opened):
    server = start(password=SECRET)
    engine = opened(server.url)
    Producer().push(engine, "a", "1")
    shown = [repr(engine), repr(engine.check()), engine.problem, *map(repr, engine._servers)]
    for password in ("", "wrong-" + SECRET):
        wrong = opened(f"redis://:{password}@127.0.0.1:{server.port}")
        with pytest.raises(ConfigurationError, match="does not allow what is needed") as caught:
            wrong.check()
        shown += [str(caught.value), wrong.problem, repr(wrong)]
    server.kill()
    with pytest.raises(EngineAway) as away:
        engine.look()
    shown.append(str(away.value))
    assert not [text for text in shown if SECRET in text]


def test_what_a_user_of_the_engine_must_be_allowed(start, opened):
    server = start()
    with server.client as client:
        client.execute_command(
            *f"ACL SETUSER lp on >{SECRET} ~lp:* resetchannels -@all".split(), *COMMANDS.split()
        )
        client.execute_command(*f"ACL SETUSER less on >{SECRET} ~lp:* -@all +ping".split())
    url = f"redis://lp:{SECRET}@127.0.0.1:{server.port}"
    engine = opened(url, max_stream_bytes=5000, max_relay_bytes=10_000)
    engine.check()
    producer = Producer()
    leases = lease_all(engine)
    engine.heartbeat("shipper")
    producer.push(engine, "a", "1")
    taken = take(engine, leases)["a"]
    for number in range(60):
        producer.push(engine, "ab"[number % 2], "x" * 1000)
    engine.settle([Outcome(taken, Fate.LATER, reported={"a": 1})])
    deliver(engine, engine.renew(leases))
    engine.look()
    engine.leave("shipper")
    engine.release(leases)
    with pytest.raises(ConfigurationError, match="NoPermissionError"):
        opened(url.replace("lp:", "less:", 1)).check()


# All that is used; the documentation has the same.
COMMANDS = (
    "+ping +info +get +set +mget +evalsha +script|load +wait +client|setname "
    "+time +rpush +lpop +lindex +llen +lset +lrem +lrange +ltrim +exists +del "
    "+hget +hset +hdel +hexists +hincrby +hgetall +incrby +expire +pexpire +pttl "
    "+zadd +zrem +zscore +zrange +zrangebyscore +zremrangebyscore +zcard +zcount"
)


def test_a_forked_child_has_a_connection_of_its_own(engine, server):
    import os

    producer = Producer()
    producer.push(engine, "a", "1")
    pid = os.fork()
    if not pid:
        stored = engine.push([Producer("child").chunk("b", "2")]) == [Pushed.STORED]
        os._exit(0 if stored else 1)
    assert os.waitpid(pid, 0)[1] == 0
    producer.push(engine, "a", "3")
    assert deliver(engine, lease_all(engine)) == {"a": ["1", "3"], "b": ["2"]}


def test_threads_share_one_connection(engine, server):
    def connections():
        return {one["id"] for one in client.client_list()}

    producers = [Producer(f"{number}") for number in range(8)]
    threads = [
        threading.Thread(target=lambda one=one: [one.push(engine, "a", f"{n}") for n in range(20)])
        for one in producers
    ]
    with server.client as client:
        # Objects of other tests, which are garbage not yet collected, may have theirs.
        others = connections()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert len(connections() - others) == 1
    assert sum(one.pushed for one in engine.look()) == 160
    engine.close()
    engine.close()
    assert sum(one.pushed for one in engine.look()) == 160
