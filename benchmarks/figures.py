"""Computes figures from measurements: ratios within one round, then the median of all rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

# The measurements of one round, by case and run.
Result = dict[str, float]
Round = dict[str, dict[str, Result]]
# The results of one Python; see `run`.
Measured = dict[str, Any]

MIB = 1024 * 1024
# How the names of our handler's runs begin, also of those without an optimization.
OURS = ("ours", "spool", "with")


@dataclass(frozen=True)
class Spread:
    """The median over all rounds, with the minimum and the maximum."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


class Dropped(Exception):
    """Our handler has dropped records, so that their costs are no figures: dropping is cheap."""


def complete(one: Round, case: str, name: str) -> Result:
    """Return the result of a run, of our handler only if all of its records arrived.

    What others lose is shown beside their costs.

    Raises:
        Dropped: Records of our handler are missing.
    """
    result = one[case][name]
    if name.startswith(OURS) and delivered(result) < result["records"]:
        raise Dropped
    return result


def spread(value: Callable[[Round], float], rounds: Sequence[Round]) -> Spread | None:
    """The spread of one value over the rounds in which it counts; None if there are none."""
    values = []
    for one in rounds:
        try:
            values.append(value(one))
        except (KeyError, ZeroDivisionError, Dropped):
            continue
    return Spread.of(values) if values else None


def overhead(case: str, part: str, subject: str = "ours") -> Callable[[Round], float]:
    """The cost that a handler adds to logging, divided by that of QueueHandler and its listener."""

    def value(one: Round) -> float:
        runs = one[case]
        null = runs["null"][part] / runs["null"]["records"]
        measured = complete(one, case, subject)
        added = measured[part] / measured["records"] - null
        return added / (runs["queue"][part] / runs["queue"]["records"] - null)

    return value


def microseconds(case: str, part: str, subject: str) -> Callable[[Round], float]:
    """CPU time for each record."""

    def value(one: Round) -> float:
        measured = complete(one, case, subject)
        return 1e6 * measured[part] / measured["records"]

    return value


def delivered(result: Result) -> float:
    """The number of records that arrived: those with a number once, and those without one."""
    return result["distinct"] + result["unnumbered"]


def lost(case: str, subject: str = "ours") -> Callable[[Round], float]:
    return lambda one: one[case][subject]["records"] - delivered(one[case][subject])


def lost_of_numbered(case: str, subject: str) -> Callable[[Round], float]:
    """The share that a handler has lost of the records of a mix that have a number.

    Of a peer's other records, nobody knows whether they arrived.
    """

    def value(one: Round) -> float:
        arrived = one[case][subject]["distinct"] / complete(one, case, "ours")["distinct"]
        # In protobuf, what follows a number may look like another digit.
        return max(0.0, 1 - arrived)

    return value


def per_cpu_second(subject: str) -> Callable[[Round], float]:
    """Records delivered for each CPU second of logging and delivering."""
    return lambda one: delivered(one["burst"][subject]) / one["burst"][subject]["whole"]


def beside_best_peer(one: Round) -> float:
    others = [name for name in one["burst"] if name not in ("null", "queue", "ours")]
    if not others:
        raise KeyError("no peer was measured")
    return per_cpu_second("ours")(one) / max(per_cpu_second(name)(one) for name in others)


def threads(one: Round) -> float:
    """How logging from many threads scales, relative to a handler that does nothing."""
    ours, null = one["threads"]["ours"], one["threads"]["null"]
    scales = ours["many_per_second"] / ours["one_per_second"]
    return scales / (null["many_per_second"] / null["one_per_second"])


def evenness(part: str) -> Callable[[Round], float]:
    """The cost of a record at the most expensive size ÷ that at the cheapest.

    Each cost is relative to logging's own cost at that size, because the machine's speed drifts.
    """

    def value(one: Round) -> float:
        runs = one["sizes"]
        costs = []
        for name in runs:
            subject, _, size = name.partition(" ")
            if subject == "ours":
                costs.append(complete(one, "sizes", name)[part] / runs[f"null {size}"][part])
        return max(costs) / min(costs)

    return value


def beside_memory(part: str) -> Callable[[Round], float]:
    """The cost of a record with a spool ÷ that without one."""

    def value(one: Round) -> float:
        return complete(one, "spool", "spool")[part] / complete(one, "spool", "ours")[part]

    return value


def field(case: str, name: str, unit: float, subject: str = "ours") -> Callable[[Round], float]:
    return lambda one: one[case][subject][name] / unit


@dataclass(frozen=True)
class Target:
    """A figure with its required and its desired value."""

    title: str
    value: Callable[[Round], float]
    must: float | None = None
    aim: float | None = None
    at_least: bool = False
    digits: int = 2

    def mark(self, measured: Spread) -> str:
        """A mark that says whether the median reaches the target."""

        def holds(limit: float) -> bool:
            # Rounded as shown: a reader could not see why 0.3501 misses 0.35.
            value = round(measured.middle, self.digits)
            return value >= limit if self.at_least else value <= limit

        if self.must is None:
            return ""
        if self.aim is not None and holds(self.aim):
            return " ✓ aim"
        return " ✓" if holds(self.must) else " ✗"


TARGETS = (
    Target("caller's overhead ÷ QueueHandler's", overhead("burst", "caller"), 0.35, 0.25),
    Target(
        "the same at a steady pace: 5,000 a second, in groups of ten",
        overhead("pace", "caller"),
        0.35,
        0.20,
    ),
    Target(
        "overhead of the whole process ÷ QueueHandler's with an idle listener, all delivered",
        overhead("burst", "whole"),
        0.60,
        0.50,
    ),
    Target("the same at that steady pace", overhead("pace", "whole"), 0.60, 0.45),
    Target("delivered records for each second of CPU", per_cpu_second("ours"), digits=0),
    Target("the same ÷ the best peer's", beside_best_peer, 1.0, 1.5, at_least=True),
    Target("records lost in the burst", lost("burst"), 0, 0, digits=0),
    Target(
        "p99.9 of one call in the burst ÷ QueueHandler's",
        lambda one: one["calls"]["ours"]["p999_ns"] / one["calls"]["queue"]["p999_ns"],
        1.0,
        0.5,
    ),
    Target("longest call in the burst, ms", field("calls", "longest_ns", 1e6), 15, 5, digits=1),
    Target(
        "longest call, the sink never answers, ms",
        field("calls", "longest_ns", 1e6, "hang"),
        15,
        5,
        digits=1,
    ),
    Target(
        "longest call, the sink answers after 2 s, ms",
        field("calls", "longest_ns", 1e6, "slow"),
        15,
        5,
        digits=1,
    ),
    Target(
        "memory of a waiting record, bytes",
        field("waiting", "bytes_per_record", 1),
        400,
        250,
        digits=0,
    ),
    # max_buffer_bytes is 16 MiB by default.
    Target(
        "memory growth while the sink is dead, MiB",
        field("growth", "grown_bytes", MIB),
        16 + 16,
        digits=1,
    ),
    # Both run the same code, so a difference from 1 is the machine's noise.
    Target(
        "a record below the level ÷ the same with NullHandler",
        lambda one: one["level"]["ours"]["caller"] / one["level"]["ours"]["null"],
        1.05,
    ),
    Target("caller's CPU with a spool ÷ without one", beside_memory("caller"), 1.10),
    Target("time until all is delivered, with a spool ÷ without one", beside_memory("wall"), 1.25),
    Target("CPU of the whole process, with a spool ÷ without one", beside_memory("whole")),
    Target("records lost in the burst with a spool", lost("spool", "spool"), 0, digits=0),
    Target(
        "8 threads' throughput ÷ one's, ÷ the same with NullHandler",
        threads,
        0.95,
        at_least=True,
    ),
    Target("caller's cost, most expensive size ÷ cheapest", evenness("caller"), 1.2),
    Target("cost of the whole process, most expensive size ÷ cheapest", evenness("whole"), 1.2),
)
