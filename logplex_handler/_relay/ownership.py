"""Which shards a shipper should own: a decision without I/O or a clock."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import NamedTuple

from logplex_handler._relay.values import Fleet

# The system's: the application may have seeded the module's own.
_RANDOM = random.SystemRandom()


class Plan(NamedTuple):
    """The shards to acquire and to release, which may fail."""

    acquire: list[int]
    release: list[int]


def plan(
    fleet: Fleet, shipper: str, owned: Collection[int], shards: int, rng: random.Random = _RANDOM
) -> Plan:
    """What a shipper should do, so that each owns its share: the shards ÷ the shippers, rounded up.

    Whoever has more gives back what exceeds it; whoever has less takes free ones. Both are chosen
    at random, or shippers that start together would all try the same ones.
    """
    share = -(-shards // len(fleet.shippers | {shipper}))
    spare = len(owned) - share
    if spare > 0:
        return Plan([], rng.sample(sorted(owned), spare))
    free = [shard for shard, owner in fleet.owners.items() if owner is None and shard not in owned]
    return Plan(rng.sample(free, min(len(free), -spare)), [])
