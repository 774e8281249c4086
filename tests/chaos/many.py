"""Many scenarios, some at a time, in processes of their own that play one after the other."""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.chaos.checks import broken
from tests.chaos.run import play
from tests.chaos.scenario import of_seed

# Bytes by which a process may grow while it plays scenario after scenario.
_MOST_GROWTH = 100 * 1024 * 1024


def outcome(seed: int) -> tuple[int, list[str], Counter[str], float, int]:
    """The seed, what does not hold, totals, the longest call in seconds, and memory in bytes."""
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
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return seed, broken(seen), totals, longest, memory


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
    memory: list[int] = []
    failed = 0
    started = time.monotonic()
    with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(outcome, seed) for seed in seeds]):
            seed, wrong, some, call, peak = future.result()
            totals.update(some)
            longest.append(call)
            memory.append(peak)
            failed += bool(wrong)
            for one in wrong:
                print(f"seed {seed}: {one}", flush=True)
    growth = max(memory) - memory[0]
    print(
        f"{len(seeds)} scenarios in {time.monotonic() - started:.0f} s, {failed} failed: "
        + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in totals.items())
        + f"; longest call {max(longest) * 1000:.1f} ms"
        + f"; largest process {max(memory) / 2**20:.0f} MiB"
    )
    if growth > _MOST_GROWTH:
        print(f"a process grew by {growth / 2**20:.0f} MiB")
    return 1 if failed or growth > _MOST_GROWTH else 0
