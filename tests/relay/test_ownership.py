"""Which shards a shipper should own."""

from __future__ import annotations

import random

import pytest

from logplex_handler._relay.ownership import plan
from logplex_handler._relay.values import Fleet


def _fleet(shippers: str, owners: str) -> Fleet:
    """Shippers, and the owner of each shard; a dash if it has none."""
    return Fleet(
        frozenset(shippers),
        {shard: None if owner == "-" else owner for shard, owner in enumerate(owners)},
    )


@pytest.mark.parametrize(
    ("shippers", "owners", "acquires", "releases"),
    [
        ("a", "----", 4, 0),
        ("", "----", 4, 0),
        ("ab", "----", 2, 0),
        ("abc", "----", 2, 0),
        ("abc", "aab-", 0, 0),
        ("ab", "aaaa", 0, 2),
        ("abcde", "aaaa", 0, 3),
        ("ab", "a--b", 1, 0),
        ("ab", "bbbb", 0, 0),
        ("ab", "-bbb", 1, 0),
    ],
)
def test_a_shipper_aims_at_its_share(shippers, owners, acquires, releases):
    owned = [shard for shard, owner in enumerate(owners) if owner == "a"]
    acquire, release = plan(_fleet(shippers, owners), "a", owned, len(owners))
    assert (len(acquire), len(release)) == (acquires, releases)
    assert len({*acquire}) == acquires
    assert all(owners[shard] == "-" for shard in acquire)
    assert {*release} <= {*owned}


def test_shippers_that_start_together_do_not_try_the_same_shards():
    fleet = _fleet("ab", "-" * 64)
    tried = [plan(fleet, "a", [], 64, random.Random(seed)).acquire for seed in range(2)]
    assert tried[0] != tried[1]


@pytest.mark.parametrize("numbers", [(1, 5, 2), (3, 64, 1), (2, 70, 7)])
def test_shippers_that_come_and_go_share_all_shards(numbers):
    rng = random.Random(1)
    owners: dict[int, str | None] = dict.fromkeys(range(64))
    for number in numbers:
        names = [f"shipper {place}" for place in range(number)]
        for shard, owner in owners.items():
            if owner not in names:
                owners[shard] = None
        for _ in range(2):
            for name in names:
                owned = [shard for shard, owner in owners.items() if owner == name]
                acquire, release = plan(Fleet(frozenset(names), owners), name, owned, 64, rng)
                owners.update(dict.fromkeys(release, None))
                owners.update(dict.fromkeys(acquire, name))
        shares = [[*owners.values()].count(name) for name in names]
        assert sum(shares) == 64
        assert max(shares) <= -(-64 // number)
