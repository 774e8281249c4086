"""A thousand streams on three hosts, one of which hangs, and one stream in ten rotated.

    python benchmarks/streams.py --rounds 5

Each round delivers the same lines to the two healthy hosts, with and without the hanging one, and
prints how long that took. Every host takes 50 ms to answer. The benchmark compares the received
lines one by one, and counts the look-ups.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import time
from base64 import b64decode
from collections import Counter
from typing import Any

from logplex_handler import LogplexHandler

LATENCY = 0.05  # seconds
HOSTS = 3
HANGING = HOSTS - 1
LINES = 5
_LINE = re.compile(rb"line (\d+)")


class Receiver:
    """Three hosts in a separate process."""

    def __enter__(self) -> Receiver:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--receiver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: list[int] = json.loads(self._read())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def received(self) -> dict[str, list[int]]:
        """Return the numbers of the lines since the last call, by token and in order."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        received: dict[str, list[int]] = json.loads(self._read())
        return received

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


async def receive() -> None:
    """What runs in that process."""
    received: dict[str, list[int]] = {}

    async def serve(host: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await reader.readexactly(int(fields[b"content-length"]))
            if host == HANGING:
                await asyncio.sleep(3600)
            await asyncio.sleep(LATENCY)
            credentials = re.search(rb"(?i)authorization: basic (\S+)", head)
            token = b64decode(credentials[1]).decode().split(":")[1] if credentials else ""
            if token.startswith("t."):
                received.setdefault(token, []).extend(map(int, _LINE.findall(body)))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    async def quietly(host: int, *streams: Any) -> None:
        try:
            await serve(host, *streams)
        except (asyncio.IncompleteReadError, ConnectionError):
            streams[1].close()

    servers = [
        await asyncio.start_server(lambda *streams, host=host: quietly(host, *streams), "127.0.0.1")
        for host in range(HOSTS)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(received), flush=True)
        received.clear()
    # Do not wait for connections to the hanging host, and do not report them.
    os._exit(0)


class Record:
    """A partner's record, out of date for one stream in ten."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self.refreshed: Counter[int] = Counter()

    def _url(self, stream: int, token: str) -> str:
        return f"http://token:{token}@127.0.0.1:{self._ports[stream % HOSTS]}/logs"

    def url_for(self, stream: int) -> str:
        return self._url(stream, f"{'old' if stream % 10 == 0 else 't'}.{stream}")

    def refresh(self, stream: int, rejected: str) -> str:
        self.refreshed[stream] += 1
        return self._url(stream, f"t.{stream}")


def measure(receiver: Receiver, streams: int, *, hanging: bool) -> float:
    """Return the seconds until all lines of the healthy hosts arrived; fail if one is missing."""
    record = Record(receiver.ports)
    handler = LogplexHandler(streams=record, shutdown_timeout=0.1)
    logger = logging.getLogger("streams")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    healthy = [stream for stream in range(streams) if stream % HOSTS != HANGING]
    began = time.monotonic()
    for number in range(LINES):
        for stream in range(streams):
            if hanging or stream % HOSTS != HANGING:
                logger.info("line %d", number, extra={"logplex_stream": stream})
    expected = len(healthy) * LINES
    received: dict[str, list[int]] = {}
    while sum(map(len, received.values())) < expected:
        time.sleep(0.02)
        for token, lines in receiver.received().items():
            received.setdefault(token, []).extend(lines)
        if time.monotonic() - began > 300:
            sys.exit(f"only {sum(map(len, received.values()))} of {expected} lines came")
    took = time.monotonic() - began
    handler.close()
    logger.handlers = []
    assert received == {f"t.{stream}": list(range(LINES)) for stream in healthy}
    rotated = {stream: 1 for stream in healthy if stream % 10 == 0}
    assert {stream: n for stream, n in record.refreshed.items() if stream in healthy} == rotated
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--receiver", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.receiver:
        asyncio.run(receive())
        return
    # The handler's reports on the hanging host are expected.
    sys.stderr = open("/dev/null", "w")  # noqa: SIM115
    ratios = []
    with Receiver() as receiver:
        for _ in range(given.rounds):
            without = measure(receiver, given.streams, hanging=False)
            beside = measure(receiver, given.streams, hanging=True)
            ratios.append(beside / without)
            print(f"without {without:.2f} s, with {beside:.2f} s: {beside / without:.3f}")
    print(f"median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
