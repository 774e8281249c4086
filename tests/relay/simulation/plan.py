"""What happens in a simulation: drawn from its seed, and from nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass

# What happens between two shippers that are killed.
EVENTS = (
    *("a shipper is frozen", "a shipper ends", "one more shipper", "one shipper less"),
    *("the engine is killed", "the engine is frozen", "the engine forgets its scripts"),
)
# Lines that a stream gets, by share: most customers are sparse.
_LINES = (1,) * 12 + (2,) * 4 + (5,) * 3 + (20,)
# Bytes of a line; and lines of streams that are refused and exceed what may wait of a stream.
LINE = 100
_LOUD_LINES = 15_000
# Streams among which one is loud.
_LOUD = 20_000


@dataclass(frozen=True)
class Event:
    """Something fails.

    Attributes:
        at: Seconds from the start.
        which: Chooses among the shippers.
        lasts: Seconds, of what is frozen.
    """

    at: float
    kind: str
    which: float
    lasts: float


@dataclass(frozen=True)
class Push:
    """Lines that a producer pushes together, as one chunk for each stream.

    Attributes:
        is_repeated: Whether it is pushed once more, as after a crash before the answer.
    """

    producer: int
    lines: tuple[tuple[int, int], ...]
    is_repeated: bool


@dataclass(frozen=True)
class Plan:
    """A simulation; streams are numbers, and what becomes of one is told by `kind_of`."""

    seed: int
    producers: int
    streams: int
    shippers: int
    seconds: float
    pushes: tuple[Push, ...]
    events: tuple[Event, ...]


def of_seed(seed: int, *, producers: int, streams: int, shippers: int, pause: float) -> Plan:
    """The plan of a seed; a shipper is killed each `pause` seconds."""
    dice = random.Random(f"relay {seed}")
    seconds = max(2 * pause, streams / 1000)
    # A line each of shuffled streams, so that those of one stream are of several producers.
    lines = [number for number in range(streams) for _ in range(dice.choice(_LINES))]
    dice.shuffle(lines)
    pushes = []
    place = 0
    while place < len(lines):
        together = dice.randrange(1, 120)
        counts: dict[int, int] = {}
        for number in lines[place : place + together]:
            counts[number] = counts.get(number, 0) + 1
        place += together
        pushes.append(Push(dice.randrange(producers), tuple(counts.items()), dice.random() < 0.02))
    for loud in range(0, streams, _LOUD):
        # Their producers push for them alone, a part of the lines at a time.
        parts = [Push(dice.randrange(producers), ((loud, 500),), False)] * (_LOUD_LINES // 500)
        for part in parts:
            pushes.insert(dice.randrange(len(pushes) + 1), part)
    events = []
    at = pause / 2
    while at < seconds:
        events.append(Event(at, "a shipper is killed", dice.random(), 0.0))
        kind = dice.choice(EVENTS)
        # Some are frozen for longer than a lease lasts.
        lasts = dice.uniform(0.5, 9.0)
        events.append(Event(at + pause / 2, kind, dice.random(), lasts))
        at += pause
    return Plan(seed, producers, streams, shippers, seconds, tuple(pushes), tuple(events))


def kind_of(stream: int) -> str:
    """What becomes of a stream: 5 % are refused, 1 % hang, and 1 % have a new URL."""
    number = stream % 100
    if number < 5:
        return "refused"
    return {5: "hangs", 6: "rotated"}.get(number, "accepted")
