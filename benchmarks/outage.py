"""Plays an outage of a million lines, with a spool and the default memory.

`python benchmarks/outage.py` logs at full speed while no receiver answers, then delivers all lines.
It prints how many were lost, how much memory was used, and whether the order was kept.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from logplex_handler import LogplexHandler

_NUMBER = re.compile(rb"order_id=(\d+)")


def _receive(listener: socket.socket, report: int) -> None:
    """Receive requests in a separate process, and write the lines that came."""
    expected = requests = 0
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            while stream.readline():
                length = 0
                while line := stream.readline().strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                numbers = [int(number) for number in _NUMBER.findall(stream.read(length))]
                in_order = numbers == list(range(expected, expected + len(numbers)))
                expected += len(numbers)
                requests += 1
                os.write(report, b"%d %d %d\n" % (expected, requests, in_order))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def _peak_memory() -> int:
    """The peak memory of this process so far in MiB, including shared memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    reserved = socket.create_server(("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    reserved.close()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spool.db")
        handler = LogplexHandler(f"http://token:t.x@127.0.0.1:{port}/logs", spool=path)
        logger = logging.getLogger("shop.orders")
        logger.propagate = False
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        began, cpu = time.perf_counter(), time.thread_time()
        longest = 0.0
        for number in range(lines):
            before = time.perf_counter()
            logger.info(
                "order %s shipped to %s in %dms",
                number,
                "berlin",
                number % 500,
                extra={"order_id": number, "region": "eu"},
            )
            longest = max(longest, time.perf_counter() - before)
        cpu, took = time.thread_time() - cpu, time.perf_counter() - began
        print(
            f"{lines:,} lines in {took:.1f} s ({cpu:.1f} s of the caller's CPU, longest call "
            f"{longest * 1000:.1f} ms): {handler.stats()}"
        )
        print(f"the spool holds {path.stat().st_size / 2**20:.0f} MiB")
        ours, theirs = os.pipe()
        listener = socket.create_server(("127.0.0.1", port))
        receiver = os.fork()
        if not receiver:
            threading.excepthook = lambda _arguments: None
            _receive(listener, theirs)
        listener.close()
        os.close(theirs)
        began = time.perf_counter()
        delivered = handler.flush(600)
        took = time.perf_counter() - began
        peak = _peak_memory()
        stats = handler.stats()
        os.kill(receiver, 9)
        os.waitpid(receiver, 0)
        with open(ours, encoding="ascii") as reports:
            seen = [list(map(int, line.split())) for line in reports]
        in_order = all(ordered for _, _, ordered in seen)
        print(f"delivered within {took:.1f} s of its end: {stats}")
        print(f"received {seen[-1][0]:,} lines, in order: {in_order}; peak memory {peak} MiB")
        handler.close()
    sys.exit(not (delivered and in_order and seen[-1][0] == lines and not stats.dropped))


if __name__ == "__main__":
    main()
