"""Simulated producers: each is a name, numbers and lines; a few threads push for all of them."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable

from logplex_handler._relay.chunk import Chunk
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Pushed
from logplex_handler._wire.frames import Run
from tests.relay.chunks import frame
from tests.relay.simulation.plan import LINE, Plan, Push

_THREADS = 4
# Seconds until what was not stored is pushed again.
_AGAIN = 0.2


class Producers:
    """Pushes all lines of a plan, spread over most of its time.

    Attributes:
        lines: The lines of each stream, as they were stored.
        results: How often each became of a chunk that was pushed.
        problems: What the engine should not have answered.
    """

    def __init__(self, plan: Plan, relay: str) -> None:
        self._plan = plan
        self._relay = relay
        self._sequences = [0] * plan.producers
        self._numbers = [0] * plan.producers
        # By thread: those of one producer are pushed by one, in their order.
        self._queues: list[queue.SimpleQueue[Push | None]] = [
            queue.SimpleQueue() for _ in range(_THREADS)
        ]
        self.lines: dict[int, list[str]] = {number: [] for number in range(plan.streams)}
        # Guards the lines and the results.
        self._lock = threading.Lock()
        self.results: Counter[str] = Counter()
        self.problems: list[str] = []
        self._threads = [
            threading.Thread(target=self._work, args=(one,), daemon=True) for one in self._queues
        ]
        self._threads.append(threading.Thread(target=self._pace, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def records(self) -> int:
        return sum(map(len, self.lines.values()))

    def _pace(self) -> None:
        """Hand the pushes to the threads, so that the last ones come before the last faults."""
        began = time.monotonic()
        pushes = self._plan.pushes
        for place, push in enumerate(pushes):
            due = began + self._plan.seconds * 0.8 * place / len(pushes)
            time.sleep(max(0.0, due - time.monotonic()))
            self._queues[push.producer % _THREADS].put(push)
        for one in self._queues:
            one.put(None)

    def _work(self, pushes: queue.SimpleQueue[Push | None]) -> None:
        engine = RedisEngine(self._relay, timeout=2)
        while (push := pushes.get()) is not None:
            chunks = list(self._chunks(push))
            first = chunks[0].sequence
            self._store(engine, chunks, first)
            if push.is_repeated:
                again = self._store(engine, chunks, first)
                if again != {Pushed.KNOWN}:
                    self.problems.append(f"what was stored is pushed again: {again}")
        engine.close()

    def _chunks(self, push: Push) -> Iterable[Chunk]:
        name = f"producer-{push.producer}"
        for stream, records in push.lines:
            lines = []
            for _ in range(records):
                self._numbers[push.producer] += 1
                lines.append(f"{name} {self._numbers[push.producer]}".ljust(LINE, "."))
            with self._lock:
                self.lines[stream] += lines
            self._sequences[push.producer] += 1
            frames = [Run([frame(line) for line in lines])]
            yield Chunk.of(stream, frames, producer=name, sequence=self._sequences[push.producer])

    def _store(self, engine: RedisEngine, chunks: list[Chunk], settled: int) -> set[Pushed]:
        """Push until all is stored; return what was answered when it was."""
        found = set()
        while chunks:
            results = engine.push(chunks, settled={chunks[0].producer: settled})
            with self._lock:
                self.results.update(one.name for one in results)
            found |= {one for one in results if one.is_stored}
            chunks = [
                chunk for chunk, result in zip(chunks, results, strict=True) if not result.is_stored
            ]
            if chunks:
                time.sleep(_AGAIN)
        return found
