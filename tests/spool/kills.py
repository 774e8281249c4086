"""Processes that share a spool, each killed at a random instant.

`python -m tests.spool.kills --kills 200 --seed 1` says what became of every line; `--at-once 4` has
so many processes beside each other, which take over what the dead ones have left. The receiver
accepts, refuses for a while or cuts the connection after it has read; a line counts as received
when its request was read whole and not answered with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

from logplex_handler import LogplexHandler
from tests.pace import LONGEST_BEAT, beating
from tests.servers import Received, accept, answer, reset, serving, texts

INTERVAL = 0.1
# A line's number and when its call came back, or that of a beat and when it was over.
_NOTE = struct.Struct("qd")
_BEAT = -1
_STREAMS = ("", "a", 7)


@dataclass
class Findings:
    """What became of the lines of all processes.

    Attributes:
        logged: Lines that were logged.
        lost: Those logged earlier than twice the interval before the kill and never received. The
            interval is longer by the time that a thread of the process waited for its turn.
        lost_late: Those logged later, and never received.
        twice: Those received under two frame ids.
        changed: Frame ids under which not the same lines were sent each time.
        disordered: Lines that were received before one of the same process and stream logged
            earlier.
        seen_again: Requests under a frame id that was received before.
    """

    logged: int = 0
    lost: list[str] = field(default_factory=list)
    lost_late: int = 0
    twice: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    seen_again: int = 0

    @property
    def are_good(self) -> bool:
        return not (self.lost or self.twice or self.changed or self.disordered)


def run(kills: int, seed: int, at_once: int = 1) -> Findings:
    """Kill so many processes, let one more live, and compare what was received."""
    chance = random.Random(seed)
    received: list[Received] = []
    is_over = False
    steps = {"accept": accept, "refuse": answer(503), "cut": reset}
    weather = "accept"

    def step(connection):
        nonlocal weather
        if not is_over and chance.random() < 0.1:
            weather = chance.choice(["accept", "accept", "refuse", "cut"])
        chosen = "accept" if is_over else weather
        if chosen != "refuse":
            received.append(server.current.request)
        steps[chosen](connection)

    notes: dict[str, float] = {}
    late: set[str] = set()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(step) as server,
        contextlib.closing(_Forks(server.url, Path(folder))) as forks,
    ):
        seeds = [chance.randrange(2**32) for _ in range(kills)]
        lives = [chance.uniform(0.0, 1.2) for _ in range(kills)]
        with ThreadPoolExecutor(at_once) as pool:
            ends = pool.map(partial(_one, forks), range(kills), seeds, lives)
            for logged, last_moments in ends:
                notes.update(logged)
                late |= {line for line, at in logged.items() if at > last_moments}
        is_over = True
        logged, _ = _one(forks, kills, chance.randrange(2**32), None)
        notes.update(logged)
    return compared(notes, late, received)


def compared(notes: dict[str, float], late: set[str], received: list[Received]) -> Findings:
    findings = Findings(logged=len(notes))
    bodies: dict[str, list[str]] = {}
    for request in received:
        lines = [text.decode() for text in texts(request.body)]
        before = bodies.setdefault(request.frame_id, lines)
        if before is not lines:
            findings.seen_again += 1
            if before != lines:
                findings.changed.append(request.frame_id)
    numbers: dict[tuple[str, str], int] = {}
    times: Counter[str] = Counter()
    for lines in bodies.values():
        for line in lines:
            times[line] += 1
            process, stream, number = line.split()
            if int(number) < numbers.get((process, stream), -1):
                findings.disordered.append(line)
            numbers[process, stream] = int(number)
    missing = notes.keys() - times.keys()
    findings.lost = sorted(missing - late)
    findings.lost_late = len(missing & late)
    findings.twice = [line for line, number in times.items() if number > 1]
    return findings


class _Forks:
    """A process that has imported what the others need, and forks each of them."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        # Guards the conversation with that process.
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.spool.kills", "--fork", url, str(folder / "spool.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, number: int, seed: int, lives: float | None) -> tuple[int, Path]:
        """Start one; return its id, and the pipe to which it writes its notes."""
        notes = self._folder / f"notes {number}"
        os.mkfifo(notes)
        return self._ask("start", str(notes), str(number), str(seed), str(lives is None)), notes

    def wait(self, pid: int) -> None:
        self._ask("wait", str(pid))

    def close(self) -> None:
        self._process.communicate(timeout=100)

    def _ask(self, *words: str) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            print(json.dumps(words), file=stdin, flush=True)
            return int(stdout.readline())


def fork(url: str, path: str) -> None:
    """Do what `_Forks` asks for."""
    for name in ("_delivery.spool_writer", "_spool.database", "handler._pipeline"):
        import_module(f"logplex_handler.{name}")
    # Those who end do not look at each of these objects, nor copy the memory in which they are.
    gc.freeze()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        if command == "wait":
            pid, _ = os.waitpid(int(arguments[0]), 0)
        elif not (pid := os.fork()):
            child(url, path, *arguments)
            # And ends as every program does.
            return
        print(pid, flush=True)


def _one(
    forks: _Forks, number: int, seed: int, lives: float | None
) -> tuple[dict[str, float], float]:
    """One process; the lines it has logged with their times, and when its last moments began."""
    pid, notes = forks.start(number, seed, lives)
    with open(notes, "rb") as stream:
        # Its life begins with its first note.
        data = stream.read(_NOTE.size)
        killed_at = float("inf")
        if lives is not None:
            time.sleep(lives)
            killed_at = time.monotonic()
            os.kill(pid, signal.SIGKILL)
        data += stream.read()
    forks.wait(pid)
    logged, beats = {}, []
    for line, at in _NOTE.iter_unpack(data[: len(data) // _NOTE.size * _NOTE.size]):
        if line == _BEAT:
            beats.append(at)
        else:
            logged[_line(number, line)] = at
    return logged, last_moments(killed_at, beats)


def last_moments(killed_at: float, beats: list[float]) -> float:
    """Return when the last two intervals began, of which a beat is so much at the most."""
    left, until = 2 * INTERVAL, killed_at
    for beat in reversed(beats):
        left -= min(until - beat, LONGEST_BEAT)
        if left <= 0:
            return beat - left
        until = beat
    return until - left


def _line(process: int, number: int) -> str:
    return f"{process} {_STREAMS[number % 3] or 'own'} {number}"


def child(url: str, path: str, pipe: str, process: str, seed: str, may_end: str) -> None:
    """Log until killed, or for a second and some lines."""
    notes = os.open(pipe, os.O_WRONLY)
    chance = random.Random(int(seed))
    handler = LogplexHandler(
        url, spool=path, spool_interval=INTERVAL, streams={"a": url, 7: url}, shutdown_timeout=30
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("killed")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    number = 0

    def note_beat() -> None:
        os.write(notes, _NOTE.pack(_BEAT, time.monotonic()))

    # On a busy machine, the first beat may not be over before the kill.
    note_beat()
    threading.Thread(target=beating, args=(note_beat,), daemon=True).start()
    ends = time.monotonic() + 1.0
    while may_end == "False" or number < 200 or time.monotonic() < ends:
        for _ in range(chance.choice([1, 3, 30, 300])):
            stream = _STREAMS[number % 3]
            extra = {"logplex_stream": stream} if stream else None
            logger.info(_line(int(process), number), extra=extra)
            os.write(notes, _NOTE.pack(number, time.monotonic()))
            number += 1
        time.sleep(chance.uniform(0.0, 0.03))
    logging.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--fork", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fork:
        fork(*given.fork)
        return
    findings = run(given.kills, given.seed, given.at_once)
    print(
        f"{given.kills} kills, {given.at_once} at once, seed {given.seed}: "
        f"{findings.logged} lines logged; "
        f"{len(findings.lost)} lost that were logged in time, {findings.lost_late} of the last "
        f"moments; {len(findings.twice)} twice, {len(findings.changed)} requests changed, "
        f"{len(findings.disordered)} out of order; {findings.seen_again} sent again under the "
        "same frame id"
    )
    sys.exit(not findings.are_good)


if __name__ == "__main__":
    main()
