"""Many streams, each with a line that waits because its receiver is down.

    python benchmarks/waiting_streams.py --streams 50000 --rounds 3

Prints what opening them costs a caller: the longest logging call and the longest garbage
collection, in milliseconds of CPU, beside a program that only keeps as many objects of ten
attributes; and what one stream holds: bytes of resident memory, and objects that a collection
visits. Each round has a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LINE = "order %d shipped to %s in %dms"
# Seconds for which workers go on with the streams after the last one is opened.
_SETTLES = 3.0


class Kept:
    """Ten attributes that are no objects for the collector."""

    __slots__ = tuple("abcdefghij")

    def __init__(self, number: int) -> None:
        for name in self.__slots__:
            setattr(self, name, number)


class Collections:
    """The longest garbage collection of any thread, in seconds of its CPU."""

    def __init__(self) -> None:
        self.longest = self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _: dict[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._began = now
        else:
            self.longest = max(self.longest, now - self._began)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _longest_call(one: Callable[[int], Any], number: int) -> float:
    longest = 0.0
    for i in range(number):
        began = time.thread_time()
        one(i)
        longest = max(longest, time.thread_time() - began)
    return longest


def measure(kind: str, number: int) -> dict[str, float]:
    """Run one round in this process."""
    if kind == "ours":
        from logplex_handler import LogplexHandler

        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        handler = LogplexHandler(
            streams=lambda stream: f"http://token:t.{stream}@127.0.0.1:{port}/logs",
            max_buffer_bytes=256 * 2**20,
            shutdown_timeout=0.1,
        )
        logger = logging.getLogger("shop.orders")
        logger.propagate = False
        logger.addHandler(handler)

        def one(i: int) -> None:
            stream = {"logplex_stream": f"customer-{i}"}
            logger.warning(_LINE, i, "berlin", i % 500, extra=stream)
    else:
        kept: dict[str, Kept] = {}

        def one(i: int) -> None:
            kept[f"customer-{i}"] = Kept(i)

    for i in range(100):
        one(-1 - i)
    gc.collect()
    resident, objects = _resident(), len(gc.get_objects())
    collections = Collections()
    longest = _longest_call(one, number)
    if kind == "ours":
        time.sleep(_SETTLES)
    gc.collect()
    held = _resident() - resident
    return {
        "longest call, ms": longest * 1e3,
        "longest collection, ms": collections.longest * 1e3,
        "bytes a stream": held / number,
        "objects a stream": (len(gc.get_objects()) - objects) / number,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.streams)))
        return
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(given.rounds):
        for kind in ("ours", "objects"):
            command = [sys.executable, __file__, "--measure", kind, "--streams", str(given.streams)]
            result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            for figure, value in result.items():
                found.setdefault((kind, figure), []).append(value)
    for (kind, figure), rounds in found.items():
        print(
            f"{kind:8}{figure:25}{statistics.median(rounds):10.1f}  "
            f"({min(rounds):.1f} to {max(rounds):.1f})"
        )


if __name__ == "__main__":
    main()
