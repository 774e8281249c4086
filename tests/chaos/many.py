"""Many scenarios, some at a time, in processes of their own that play one after the other."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tests.chaos.checks import broken
from tests.chaos.run import play
from tests.chaos.scenario import of_seed

# Bytes by which a process may grow while it plays scenario after scenario.
_MOST_GROWTH = 32 * 1024 * 1024


class Memory(NamedTuple):
    """A process that has played scenarios, and its memory in bytes: the peak, and what is held."""

    pid: int
    peak: int
    held: int


def outcome(seed: int) -> tuple[int, list[str], Counter[str], float, Memory]:
    """The seed, what does not hold, totals, the longest call in seconds, and memory."""
    seen = play(of_seed(seed))
    stats = seen.stats
    totals = Counter(
        records=stats.accepted,
        delivered=stats.delivered,
        dropped=sum(stats.dropped.values()),
        requests=stats.requests,
        faults=seen.faults,
        batches_twice=len(seen.routed) - len({one.frame_id for one in seen.routed}),
    )
    longest = max((wall - late for wall, _, late in seen.calls), default=0.0)
    if seen.scenario.options["on_full"] == "block":
        longest = 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with contextlib.suppress(AttributeError):
        # The GNU C library keeps much of what was freed.
        ctypes.CDLL(None).malloc_trim(0)
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return seed, broken(seen), totals, longest, Memory(os.getpid(), peak, held)


def main() -> int:
    """Play the scenarios; report the conditions that do not hold, and totals."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Play scenarios, and say what does not hold."
    )
    parser.add_argument("--seeds", type=int, default=500, help="how many scenarios (500)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=4, help="how many at a time (4)")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    totals: Counter[str] = Counter()
    longest: list[float] = []
    largest = growth = 0
    held_at_first: dict[int, int] = {}
    failed = 0
    started = time.monotonic()
    # Threads that end would leave memory behind in parts of the heap that are their own.
    os.environ["MALLOC_ARENA_MAX"] = "1"
    with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(outcome, seed) for seed in seeds]):
            seed, wrong, some, call, memory = future.result()
            totals.update(some)
            longest.append(call)
            largest = max(largest, memory.peak)
            first = held_at_first.setdefault(memory.pid, memory.held)
            growth = max(growth, memory.held - first)
            failed += bool(wrong)
            for one in wrong:
                print(f"seed {seed}: {one}", flush=True)
    print(
        f"{len(seeds)} scenarios in {time.monotonic() - started:.0f} s, {failed} failed: "
        + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in totals.items())
        + f"; longest call {max(longest) * 1000:.1f} ms"
        + f"; largest process {largest / 2**20:.0f} MiB, which grew by {growth / 2**20:.0f} MiB"
    )
    return 1 if failed or growth > _MOST_GROWTH else 0
