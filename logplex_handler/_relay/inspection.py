"""Whether a server can be used for a relay, and what its operator should know."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logplex_handler._relay.values import Health
from logplex_handler.errors import ConfigurationError

# Redis 7 has scripts with flags. Valkey calls itself by the version of Redis that it comes from.
_OLDEST = 7
# Of the memory that a server may use, the share that chunks may have. Half of what an item takes is
# not the chunk, if that has one line.
_SHARE = 0.6
# The form of all that is stored: keys, chunks and batches.
_FORMAT = 1
_CONFIG = "lp:config"
# What to say of servers that are in another mode than `standalone`.
_INSTEAD = {
    "cluster": "belongs to a Redis Cluster, which is not supported; give the URLs of several "
    "servers instead, over which the shards are spread",
    "sentinel": "is a Sentinel, which stores nothing; give the URL of the server that it watches",
}
# A server whose connections are used to this share is nearly full.
_MANY = 0.9


@dataclass(frozen=True, slots=True)
class Place:
    """What all processes must agree on about a server: it is one of how many, for which shards."""

    index: int
    servers: int
    shards: int

    def __str__(self) -> str:
        return f"format {_FORMAT}, {self.shards} shards, server {self.index + 1} of {self.servers}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; `max_bytes` are those that chunks may have if no bound is given."""

    health: Health
    max_bytes: int


def inspected(client: Any, name: str, place: Place) -> Inspection:
    """Look at a server.

    Raises:
        ConfigurationError: It cannot be used. An error of redis-py: it did not answer.
    """
    began = time.perf_counter()
    client.ping()
    latency = time.perf_counter() - began
    info: Mapping[str, Any] = client.info()
    mode = info.get("redis_mode")
    if mode in _INSTEAD:
        raise ConfigurationError(f"relay: {name} {_INSTEAD[mode]}")
    version = _version(info)
    number = str(info.get("redis_version", "0"))
    if int(number.partition(".")[0]) < _OLDEST:
        raise ConfigurationError(f"relay: {name} is {version}; Redis 7 or Valkey is needed")
    policy = str(info.get("maxmemory_policy", ""))
    if policy != "noeviction":
        raise ConfigurationError(
            f"relay: {name} evicts lines that it has confirmed "
            f"(maxmemory-policy {_shown(policy)}); set it to noeviction"
        )
    _agree(client, name, place)
    max_memory = int(info.get("maxmemory", 0))
    limit = max_memory or int(info.get("total_system_memory", 0))
    connections = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    health = Health(
        server=name,
        version=version,
        policy=policy,
        max_memory=max_memory,
        used_memory=int(info.get("used_memory", 0)),
        connections=connections,
        latency=latency,
        warnings=tuple(_warnings(client, info, max_memory, connections)),
    )
    return Inspection(health, int(limit * _SHARE))


def _version(info: Mapping[str, Any]) -> str:
    if info.get("server_name") == "valkey":
        return f"Valkey {_shown(info.get('valkey_version'))}"
    return f"Redis {_shown(info.get('redis_version'))}"


def _shown(value: object) -> str:
    """A value of the server's as text for a terminal."""
    return ascii(value).strip("'")[:40]


def _agree(client: Any, name: str, place: Place) -> None:
    """Write what all must agree on, or compare with what another process wrote first."""
    found = client.get(_CONFIG)
    if found is None:
        # Whoever writes first decides.
        found = client.set(_CONFIG, str(place), nx=True, get=True)
    if found is not None and found != str(place).encode():
        text = found.decode("ascii", "replace") if isinstance(found, bytes) else "something else"
        raise ConfigurationError(
            f"relay: {name} was set up as {text[:80]!a}, and not as '{place}'; "
            "all processes must name the same servers in the same order, and the same shards"
        )


def _warnings(
    client: Any, info: Mapping[str, Any], max_memory: int, connections: tuple[int, int]
) -> list[str]:
    found = []
    if not info.get("aof_enabled"):
        found.append(
            "it keeps no append-only file: what came since its last snapshot, if it makes any, is "
            "lost when it ends (appendonly)"
        )
    if not max_memory:
        found.append("its memory has no bound (maxmemory)")
    if connections[1] and connections[0] > connections[1] * _MANY:
        found.append(f"{connections[0]} of {connections[1]} connections are in use")
    return found
