"""A scenario: what one seed stands for. Drawn from it alone, so that a seed says it all."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.chaos.spools import KINDS

# What may fail beside the way to the receiver, by the names of `surroundings`.
SURROUNDINGS = ("failing_names", "jumping_clock", "full_disk", "few_descriptors")


@dataclass(frozen=True)
class Scenario:
    """What is logged, how the handler is set up, what breaks, and how it ends.

    Attributes:
        seed: What all of it is drawn from.
        threads: How many threads log.
        records: How many records each of them logs.
        longest: Characters of the longest texts; one in fifty is that long.
        poisoned: The share of records that the receiver refuses for their text.
        pace: Seconds between two records of a thread.
        tls: Whether the receiver speaks TLS.
        proxy_rages: Whether the proxy misbehaves.
        receiver_rages: Whether the receiver does.
        surroundings: What fails besides.
        ends_in_the_storm: Whether the handler is closed before things are well again.
        options: Of the handler.
        key_value: Whether its formatter is the package's own, which it formats for later.
        hostile: Whether a receiver that rages means ill, too.
        spool: What stands where the spool is to be, by the names of `spools`; empty without one.
    """

    seed: int
    threads: int
    records: int
    longest: int
    poisoned: float
    pace: float
    tls: bool
    proxy_rages: bool
    receiver_rages: bool
    surroundings: tuple[str, ...]
    ends_in_the_storm: bool
    options: dict[str, Any]
    key_value: bool
    hostile: bool
    spool: str


def of_seed(seed: int) -> Scenario:
    """The scenario of a seed."""
    dice = random.Random(seed)
    rages = dice.choice(("proxy", "receiver", "both", "both", "neither"))
    ends_in_the_storm = dice.random() < 0.15
    options: dict[str, Any] = {
        "timeout": dice.choice((0.1, 0.2)),
        "flush_interval": dice.choice((0.0, 0.01, 0.05, 60.0)),
        "batch_size": dice.choice((1, 10, 100, 500)),
        "max_batch_bytes": dice.choice((12_000, 50_000, 1_000_000)),
        "max_packet_bytes": dice.choice((2_048, 10_000)),
        "max_buffer_bytes": dice.choice((30_000, 100_000, 16_000_000)),
        "on_full": dice.choice(("drop_oldest", "drop_oldest", "drop_newest", "block")),
        "compress": dice.random() < 0.3,
        "shutdown_timeout": dice.choice((0.1, 0.5)) if ends_in_the_storm else 0.5,
    }
    return Scenario(
        seed=seed,
        threads=dice.choice((1, 2, 4)),
        records=dice.choice((30, 150, 400)),
        longest=dice.choice((100, 1_000, 25_000)),
        poisoned=dice.choice((0.0, 0.0, 0.01, 0.2)),
        pace=dice.choice((0.0, 0.001, 0.003)),
        tls=dice.random() < 0.4,
        proxy_rages=rages in ("proxy", "both"),
        receiver_rages=rages in ("receiver", "both"),
        surroundings=tuple(name for name in SURROUNDINGS if dice.random() < 0.3),
        ends_in_the_storm=ends_in_the_storm,
        options=options,
        key_value=dice.random() < 0.5,
        hostile=dice.random() < 0.3,
        # What is left on disk at the end is neither delivered nor dropped.
        spool="" if ends_in_the_storm else dice.choice(("",) * 12 + KINDS),
    )


def text(scenario: Scenario, thread: int, number: int) -> str:
    """The text of a thread's record of that number; it begins with thread, number and length."""
    dice = random.Random(f"{scenario.seed} {thread} {number}")
    poison = "poison" if dice.random() < scenario.poisoned else ""
    filling = scenario.longest if dice.random() < 0.02 else dice.randrange(60)
    return f"<{thread} {number}>{poison}{dice.choice('xé日🎉') * filling}"


def line(scenario: Scenario, thread: int, number: int) -> str:
    """The line of that record, as it should arrive."""
    logged = text(scenario, thread, number)
    return f'level=info logger=chaos msg="{logged}"' if scenario.key_value else logged
