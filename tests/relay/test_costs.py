"""What calls of the scripts cost the engine: commands, each of which takes O(log n) at most."""

from __future__ import annotations

import pytest

from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Fate, Outcome
from tests.relay.chunks import Producer, lease_all, take

# Commands that take time in proportion to what they return or remove; each is bounded otherwise.
_LINEAR = {"keys", "smembers", "zrange", "lrem", "sort", "scan"}


@pytest.fixture
def engine(server):
    engine = RedisEngine(
        server.url, shards=1, lease=600, timeout=100, max_stream_bytes=20_000, max_relay_bytes=10**9
    )
    yield engine
    engine.close()


def commands(server, call):
    """How often the engine runs each command in a call."""
    with server.client as client:
        client.config_resetstat()
        call()
        stats = client.info("commandstats")
    own = ("config|resetstat", "info", "evalsha", "client|setname", "client|setinfo")
    found = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    return {name: calls for name, calls in found.items() if name not in own}


def _costs(engine, server, producer):
    """The commands of each kind of call, for one stream."""
    found = {}
    # The scripts are loaded, and the server inspected, once.
    producer.push(engine, "warm", "1")
    found["push"] = commands(server, lambda: producer.push(engine, "a", "1"))
    found["look"] = commands(server, engine.look)
    leases = lease_all(engine)
    found["renew"] = commands(server, lambda: engine.renew(leases))
    found["take none"] = commands(server, lambda: engine.take(leases, linger=1000))
    taken = []
    found["take"] = commands(server, lambda: taken.append(take(engine, leases, max_streams=1)))
    (one,) = taken[0].values()
    outcome = Outcome(one, delivered=one.records)
    found["settle"] = commands(server, lambda: engine.settle([outcome]))
    producer.push(engine, "full", *(["x" * 5000] * 3))
    found["push and drop"] = commands(
        server, lambda: producer.push(engine, "full", *(["x" * 5000] * 3))
    )
    engine.release(leases)
    found["acquire"] = commands(server, lambda: lease_all(engine))
    engine.release(engine.acquire([0], "none"))
    return found


def test_no_call_costs_more_where_there_are_many_streams(engine, server):
    few = _costs(engine, server, Producer("few"))
    for calls in few.values():
        assert calls
        assert not _LINEAR - {"zrange", "lrem"} & {*calls}
    with server.client as client:
        client.flushall()
    producer = Producer("many")
    # Half of them are refused, and wait for their next try.
    engine.push([producer.chunk(number, "line") for number in range(2000)])
    leases = lease_all(engine)
    refused = engine.take(leases, max_streams=1000).taken
    assert len(refused) == 1000
    engine.settle([Outcome(one, Fate.LATER, again_in=1000) for one in refused])
    with server.client as client:
        client.delete("lp:{0}:lease")
    assert _costs(engine, server, producer) == few
