"""A fixed scene: processes that log, and shippers that come and go. How soon are shards taken over?

python -m tests.relay.simulation.takeovers
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from logplex_handler._relay.engine import LEASE, SHARDS
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import EngineAway
from tests.commands import environment
from tests.forks import Fork
from tests.logs import wait_until
from tests.relay.servers import PATIENCE, RedisServer
from tests.relay.simulation.checks import Seen, broken
from tests.relay.simulation.plan import LINE
from tests.relay.simulation.receiver import Receiver
from tests.relay.simulation.run import DURABLE
from tests.relay.simulation.shippers import Fleet, ShipperProcess

_PROGRAM = """
import logging, sys, time
from logplex_handler import LogplexHandler
name, (first, lines, customers, width) = sys.argv[1], map(int, sys.argv[2:6])
pace = float(sys.argv[6])
# A busy machine may keep a thread from the memory that is left for long enough to drop a line.
options = {"on_full": "block", "shutdown_timeout": 100}
handler = LogplexHandler(flush_interval=0.2, spool=sys.argv[7], **options)
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("fleet")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
began = time.monotonic()
for number in range(1, lines + 1):
    extra = {"logplex_stream": (first + number) % customers}
    logger.info(f"{name} {number}".ljust(width, "."), extra=extra)
    time.sleep(max(0.0, began + number * pace - time.monotonic()))
"""
# Steps of the scene; more of them take longer.
ALL_STEPS = ("scale up", "kill", "terminate", "freeze", "restart the engine", "scale down")
# Seconds, besides the lease, within which all shards of a killed shipper have to be owned again.
_AFTER_LEASE = 1.0
_FROZEN = LEASE + 3.0


class Scene:
    """A server, a receiver, producers and shippers.

    Args:
        lines: Those of all producers together, and in how many seconds.
        more: Shippers that are added to the first one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lines: int,
        customers: int,
        producers: int,
        seconds: float,
        more: int = 4,
    ) -> None:
        self._folder = folder
        self._more = more
        self._lines = lines // producers
        self._customers = customers
        self._producers = producers
        self._pace = seconds / self._lines
        self.server = RedisServer(folder / "redis", *DURABLE)
        self.receiver = Receiver(0, is_calm=True)
        self.fleet = Fleet(self.server.url, self.receiver.ports, flush_interval=0.5)
        self.engine = RedisEngine(self.server.url, timeout=5)
        # Seconds that each step took, until all shards had owners that were awake.
        self.took: dict[str, float] = {}
        self._processes: list[Fork] = []

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(PATIENCE)
        self.engine.close()
        self.fleet.close()
        self.receiver.close()
        self.server.kill()

    def play(self, steps: Sequence[str]) -> Seen:
        (first,) = self.fleet.start()
        assert wait_until(lambda: self.owned_by(first) == SHARDS, PATIENCE)
        self._processes += [self._producer(number) for number in range(self._producers)]
        for step in steps:
            self._step(step)
        problems = [
            f"a producer has ended with {process.returncode}"
            for process in self._processes
            if process.wait(PATIENCE)
        ]
        pushed = self._pushed()
        records = sum(map(len, pushed.values()))
        if not wait_until(lambda: self._sums()["delivered"] == records, PATIENCE):
            problems.append(f"of {records} lines not all were delivered: {self._sums()}")
        self.fleet.end_all()
        problems += [
            f"{one.name} has ended with {one.process.returncode}"
            for one in self.fleet.all
            if one.process.returncode not in (0, -9)
        ]
        dropped: Counter[str] = Counter()
        for books in self.engine.look():
            dropped.update(books.dropped)
        return Seen(
            pushed=pushed,
            requests=self.receiver.requests,
            left={},
            books=self._sums(),
            dropped=dropped,
            said=[one.stderr for one in self.fleet.all],
            problems=problems,
        )

    def _producer(self, number: int) -> Fork:
        spool = self._folder / f"spool{number}"
        counts = (number * 31, self._lines, self._customers, LINE)
        arguments = [f"producer-{number}", *map(str, counts), str(self._pace), str(spool)]
        return Fork(["-c", _PROGRAM, *arguments], env=environment(LOGPLEX_RELAY=self.server.url))

    def _pushed(self) -> dict[int, list[str]]:
        pushed: dict[int, list[str]] = {}
        for producer in range(self._producers):
            for number in range(1, self._lines + 1):
                stream = (producer * 31 + number) % self._customers
                line = f"producer-{producer} {number}".ljust(LINE, ".")
                pushed.setdefault(stream, []).append(line)
        return pushed

    def _step(self, step: str) -> None:
        chosen = self.fleet.awake[0]
        match step:
            case "scale up":
                self.fleet.start(self._more)
                # A busy machine starts them late.
                assert wait_until(lambda: self.fleet.awake == self.fleet.alive, PATIENCE)
                self._until_shared(step)
            case "kill":
                chosen.kill()
                self._until_owned(step)
            case "terminate":
                chosen.terminate()
                chosen.process.wait(PATIENCE)
                self._until_owned(step)
            case "freeze":
                chosen.freeze()
                began = time.monotonic()
                self._until_owned(step)
                time.sleep(max(0.0, began + _FROZEN - time.monotonic()))
                chosen.thaw()
                self._until_shared(f"{step}, and go on")
            case "restart the engine":
                self.server.kill()
                self.server.start()
                self._until_shared(step)
            case "scale down":
                for one in self.fleet.alive[2:]:
                    one.terminate()
                    one.process.wait(PATIENCE)
                self._until_owned(step)

    def _until_owned(self, step: str) -> None:
        """Wait until shippers that are awake own all shards."""
        self._until(step, lambda: sum(map(self.owned_by, self.fleet.awake)) == SHARDS)

    def _until_shared(self, step: str) -> None:
        """Wait until all shippers own their share of all shards."""

        def is_shared() -> bool:
            owned = [self.owned_by(one) for one in self.fleet.alive]
            return sum(owned) == SHARDS and max(owned) <= -(-SHARDS // len(owned))

        self._until(step, is_shared)

    def _until(self, step: str, condition: Callable[[], bool]) -> None:
        began = time.monotonic()
        assert wait_until(condition, PATIENCE), f"{step}: {self.engine.look()}"
        self.took[step] = time.monotonic() - began

    def owned_by(self, shipper: ShipperProcess) -> int:
        try:
            return sum(one.owner == shipper.relay_name for one in self.engine.look())
        except EngineAway:
            return 0

    def _sums(self) -> dict[str, int]:
        books = self.engine.look()
        names = ("pushed", "waiting", "in_flight", "delivered", "repeated", "retaken")
        return {name: sum(getattr(one, name) for one in books) for name in names}


def played(steps: Sequence[str] = ALL_STEPS, **options: Any) -> tuple[Scene, Seen]:
    """The scene, when it is over."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), **options)
        try:
            return scene, scene.play(steps)
        finally:
            scene.close()


def main() -> int:
    """Play the scene; report how soon shards were taken over, and what does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.relay.simulation.takeovers",
        description="Say how soon shards are taken over, and what does not hold.",
    )
    parser.add_argument("--lines", type=int, default=27_000, help="(27000)")
    parser.add_argument("--customers", type=int, default=800, help="(800)")
    parser.add_argument("--producers", type=int, default=6, help="processes that log (6)")
    parser.add_argument("--seconds", type=float, default=45.0, help="in which they log (45)")
    asked = parser.parse_args()
    scene, seen = played(
        lines=asked.lines,
        customers=asked.customers,
        producers=asked.producers,
        seconds=asked.seconds,
    )
    wrong = broken(seen)
    for step, seconds in scene.took.items():
        print(f"{step}: all shards are owned after {seconds:.2f} s")
    if scene.took["kill"] > LEASE + _AFTER_LEASE:
        wrong.append(f"a killed shipper's shards were taken over after {scene.took['kill']:.2f} s")
    ids = {one.frame_id for one in seen.requests}
    print(
        f"{seen.books['pushed']:,} lines of {len(seen.pushed)} customers, "
        f"{seen.books['delivered']:,} delivered in {len(seen.requests):,} requests, "
        f"{len(seen.requests) - len(ids)} repeated under the same id, "
        f"{seen.books['retaken']} batches taken over"
    )
    for one in wrong[:20]:
        print(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
