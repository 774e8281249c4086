"""A server for the tests of this folder, and engines that use it."""

from __future__ import annotations

import pytest

from tests.relay.servers import PROGRAM, RedisServer


def pytest_collection_modifyitems(items):
    """Said, and not failed: the rest of the package needs no engine."""
    if PROGRAM is None:
        reason = "there is no redis-server here: apt-get install redis-server"
        for item in items:
            if "relay_server" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def relay_server(tmp_path_factory):
    """One for all tests, each of which begins with an empty one (see `server`)."""
    server = RedisServer(tmp_path_factory.mktemp("redis") / "data")
    yield server
    server.kill()


@pytest.fixture
def server(relay_server):
    """An empty server."""
    with relay_server.client as client:
        client.flushall()
    return relay_server


@pytest.fixture
def engine(server):
    from logplex_handler._relay.redis_engine import RedisEngine

    engine = RedisEngine(server.url, shards=4, lease=600, timeout=100)
    yield engine
    engine.close()
