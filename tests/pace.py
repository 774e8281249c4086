"""How long things take, without the time in which a busy machine let nobody go on.

A thread beats: it waits, works a little and writes to the disk. A beat that takes much longer than
on an idle machine shows that threads wait for their turn. That time does not count, except for
what this process itself has worked in it.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

# Seconds that a beat waits, and what it counts for at the most.
PACE, LONGEST_BEAT = 0.01, 0.02


def beating(note: Callable[[], object], is_over: Callable[[], bool] = lambda: False) -> None:
    """Call `note` after every beat, until it is over."""
    with tempfile.TemporaryFile() as file:
        while not is_over():
            time.sleep(PACE)
            sum(range(20_000))
            os.write(file.fileno(), b"-")
            os.fsync(file.fileno())
            note()


def far_interval() -> int:
    """Return seconds of which no multiple comes in the next two hours, for programs of their own.

    Reports of an interval come at its multiples, or up to a tenth of it later, whenever it began.
    """
    now = time.time()
    return next(
        interval
        for interval in range(86_400, 0, -1)
        if interval / 10 < now % interval < interval - 7200
    )


# When a beat was over: on the clock, and in seconds that this process has worked.
Beat = tuple[float, float]


def seconds_with_a_turn(beats: Sequence[Beat]) -> float:
    """Return the seconds from the first beat to the last that were not spent waiting for a turn."""
    return sum(
        min(at - before, max(LONGEST_BEAT, worked - worked_before))
        for (before, worked_before), (at, worked) in pairwise(beats)
    )


class Stopwatch:
    """The seconds that have passed for threads that had their turn."""

    def __init__(self) -> None:
        self._beats: list[Beat] = []
        self.note()

    def note(self) -> None:
        self._beats.append((time.monotonic(), time.process_time()))

    @property
    def seconds(self) -> float:
        return self.since(-math.inf)

    def since(self, moment: float) -> float:
        """Return the seconds since a moment on the clock, which all processes share."""
        self.note()
        before = [beat for beat in self._beats if beat[0] <= moment]
        after = self._beats[len(before) :]
        return seconds_with_a_turn([*((moment, worked) for _, worked in before[-1:]), *after])


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """A stopwatch that runs from here on; it is read in the block."""
    watch = Stopwatch()
    over = threading.Event()
    thread = threading.Thread(target=beating, args=(watch.note, over.is_set), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


class Metronome:
    """Wakes up every other millisecond, and notes when it was late: the machine is loaded then."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._late: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.is_set():
            slept_at = time.perf_counter()
            time.sleep(0.002)
            woke_at = time.perf_counter()
            if woke_at - slept_at > 0.01:
                self._late.append((slept_at, woke_at))

    def late(self, start: float, end: float) -> float:
        """Seconds between the two moments in which it was late."""
        return sum(max(0.0, min(end, b) - max(start, a)) for a, b in list(self._late))

    def close(self) -> None:
        self._over.set()
        self._thread.join()
