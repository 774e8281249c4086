"""Plays a plan, and says what does not hold."""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import Counter
from pathlib import Path

from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import EngineAway, ShardBooks
from tests.logs import wait_until
from tests.relay.chunks import delivered, lease_all, texts
from tests.relay.servers import PATIENCE, RedisServer
from tests.relay.simulation.checks import Seen, broken
from tests.relay.simulation.plan import Event, Plan, kind_of, of_seed
from tests.relay.simulation.producers import Producers
from tests.relay.simulation.receiver import Receiver
from tests.relay.simulation.shippers import Fleet

_MAX_SHIPPERS = 6
# Seconds that everything may take after the last fault.
_LONGEST = 600
# A killed server has what it has written to its file, even if that is not on the disk yet.
DURABLE = ("--appendonly", "yes", "--appendfsync", "no", "--maxmemory", "2gb")
# Bytes of a stream that wait, besides the newest chunk and those in flight.
_MAX_STREAM = 1024 * 1024


class Simulation:
    """A server, a receiver, producers and shippers; and the faults, as they are due."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.server = RedisServer(folder / "redis", *DURABLE)
        self.receiver = Receiver(plan.seed)
        self.fleet = Fleet(self.server.url, self.receiver.ports)
        self.producers = Producers(plan, self.server.url)
        self.engine = RedisEngine(self.server.url, timeout=5)
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []

    def close(self) -> None:
        self.engine.close()
        self.fleet.close()
        self.receiver.close()
        self.server.kill()

    def play(self) -> Seen:
        self.fleet.start(self.plan.shippers)
        assert wait_until(lambda: self.fleet.awake == self.fleet.all, PATIENCE)
        self.producers.start()
        began = time.monotonic()
        for event in self.plan.events:
            self._wait(began + event.at)
            self._fail(event)
        self._wait(began + self.plan.seconds)
        for one in self.fleet.alive:
            one.thaw()
        if not wait_until(self._is_all_delivered, _LONGEST):
            self.problems.append(f"not all was delivered in {_LONGEST} s: {self._sums()}")
        self.receiver.is_calm = True
        self.fleet.end_all()
        self._look_at_the_ended()
        books = self._sums()
        dropped = self._dropped()
        stored = b"".join(
            path.read_bytes() for path in self.server.folder.rglob("*") if path.is_file()
        )
        return Seen(
            pushed=self.producers.lines,
            requests=self.receiver.requests,
            left=self._left(),
            books=books,
            dropped=dropped,
            said=[one.stderr for one in self.fleet.all],
            stored=stored,
            problems=[*self.problems, *self.producers.problems],
        )

    def _wait(self, until: float) -> None:
        """Wait, and see that a shipper thaws in time and that no bound is exceeded."""
        while (now := time.monotonic()) < until:
            time.sleep(min(0.25, until - now))
            for one in self.fleet.alive:
                if one.is_frozen and one.thaws_at <= time.monotonic():
                    one.thaw()

    def _fail(self, event: Event) -> None:
        self.faults[event.kind] += 1
        fleet, server = self.fleet, self.server
        assert wait_until(lambda: fleet.awake, PATIENCE)
        awake = fleet.awake
        chosen = awake[int(event.which * len(awake))]
        match event.kind:
            case "a shipper is killed":
                chosen.kill()
                fleet.start()
            case "a shipper is frozen" if len(awake) > 1:
                chosen.thaws_at = time.monotonic() + event.lasts
                chosen.freeze()
            case "a shipper ends":
                chosen.terminate()
                fleet.start()
            case "one more shipper" if len(fleet.alive) < _MAX_SHIPPERS:
                fleet.start()
            case "one shipper less" if len(fleet.alive) > max(2, self.plan.shippers - 1):
                chosen.terminate()
            case "the engine is killed":
                server.kill()
                server.start()
            case "the engine is frozen":
                server.freeze()
                time.sleep(event.lasts)
                server.thaw()
            case "the engine forgets its scripts":
                with server.client as client:
                    client.script_flush()

    def _books(self) -> tuple[ShardBooks, ...]:
        books = self.engine.look()
        self.problems += [f"the books do not balance: {one}" for one in books if not one.balances]
        return books

    def _sums(self) -> dict[str, int]:
        books = self._books()
        names = ("pushed", "waiting", "in_flight", "delivered", "repeated", "retaken")
        return {name: sum(getattr(one, name) for one in books) for name in names}

    def _dropped(self) -> dict[str, int]:
        dropped: Counter[str] = Counter()
        for one in self._books():
            dropped.update(one.dropped)
        return dict(dropped)

    def _is_all_delivered(self) -> bool:
        """Whether nothing waits but lines of streams that are refused, or hang."""
        time.sleep(0.5)
        if not self.producers.are_done:
            return False
        try:
            sums = self._sums()
            dropped = sum(self._dropped().values())
        except EngineAway:
            return False
        return sums["waiting"] + sums["in_flight"] + dropped <= self._stuck

    @functools.cached_property
    def _stuck(self) -> int:
        """Lines of streams that are refused, or hang, when all are pushed."""
        return sum(
            len(lines)
            for stream, lines in self.producers.lines.items()
            if kind_of(stream) in ("refused", "hangs")
        )

    def _look_at_the_ended(self) -> None:
        for one in self.fleet.all:
            if one.process.returncode not in (0, -9):
                self.problems.append(f"{one.name} has ended with {one.process.returncode}")
        owners = {one.owner for one in self.engine.look()} - {None}
        # A lease of one that was killed lasts for a while.
        killed = {one.relay_name for one in self.fleet.all if one.process.returncode == -9}
        if owners - killed:
            self.problems.append(f"they have ended and own shards: {owners - killed}")

    def _left(self) -> dict[int, list[tuple[str, list[str]]]]:
        """Take all that is left in the engine, as the next shipper would."""
        engine = RedisEngine(self.server.url, lease=600, timeout=100)
        left: dict[int, list[tuple[str, list[str]]]] = {}
        with self.server.client as client:
            assert wait_until(lambda: not client.keys("lp:*:lease"))
            leases = lease_all(engine, "the last one")
            for shard in range(engine.shards):
                due = f"lp:{{{shard}}}:due"
                if streams := client.zrange(due, 0, -1):
                    client.zadd(due, dict.fromkeys(streams, 1))
                for stream, size in client.hgetall(f"lp:{{{shard}}}:bytes").items():
                    if int(size) > _MAX_STREAM:
                        self.problems.append(f"{size} bytes of {stream} wait")
        while taken := engine.take(leases, max_streams=1000).taken:
            for one in taken:
                batches = left.setdefault(one.stream, [])  # type: ignore[arg-type]
                batches += [(frame_id, texts(frames)) for frame_id, frames in one.requests]
            engine.settle([delivered(one) for one in taken])
        engine.close()
        return left


def outcome(plan: Plan) -> tuple[list[str], str]:
    """What does not hold, and in words what has happened."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(plan, Path(folder))
        try:
            seen = simulation.play()
        finally:
            simulation.close()
    routed = [one for one in seen.requests if one.is_routed]
    told = (
        f"seed {plan.seed}: {plan.producers} producers, {plan.streams:,} streams, "
        f"{seen.books['pushed']:,} lines in {time.monotonic() - began:.0f} s; "
        f"{seen.books['delivered']:,} delivered, {sum(seen.dropped.values()):,} dropped "
        f"{dict(seen.dropped)}, {seen.books['waiting'] + seen.books['in_flight']:,} left of "
        f"{len(seen.left):,} streams; {len(seen.requests):,} requests, "
        f"{len(routed) - len({one.frame_id for one in routed})} repeated under the same id, "
        f"{seen.books['retaken']} batches taken over, {seen.books['repeated']} chunks known; "
        f"{len(simulation.fleet.all)} shippers; {dict(simulation.faults)}"
    )
    return broken(seen), told


def main() -> int:
    """Play the simulations; report what does not hold, and totals."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.relay.simulation",
        description="Play a fleet in which everything fails, and say what does not hold.",
    )
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")
    parser.add_argument("--producers", type=int, default=500, help="(500)")
    parser.add_argument("--streams", type=int, default=100_000, help="(100000)")
    parser.add_argument("--shippers", type=int, default=4, help="at the start (4)")
    parser.add_argument(
        "--pause", type=float, default=10.0, help="seconds between two killed shippers (10)"
    )
    asked = parser.parse_args()
    failed = 0
    for seed in range(asked.seed, asked.seed + asked.seeds):
        plan = of_seed(
            seed,
            producers=asked.producers,
            streams=asked.streams,
            shippers=asked.shippers,
            pause=asked.pause,
        )
        wrong, told = outcome(plan)
        print(told, flush=True)
        for one in wrong[:20]:
            print(f"seed {seed}: {one}", flush=True)
        failed += bool(wrong)
    print(f"{asked.seeds} simulations, {failed} failed")
    return 1 if failed else 0
