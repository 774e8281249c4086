"""What one process carries: the figures of docs/sizing.md and of `logplex-handler size`.

    python benchmarks/sizing.py --rounds 3 --write

Measures the requests a second by latency and `workers`, the CPU of a request and of a line, the
memory of a stream, and the lines that fit into the buffer. Each measurement has a process of its
own; the receiver has one too, speaks TLS as Logplex does, and waits before each answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from docs import replaced
from logplex_handler import LogplexHandler

PAGE = Path(__file__).parents[1] / "docs" / "sizing.md"
LATENCIES = (1, 20, 100, 500)  # milliseconds
WORKERS = (4, 16, 64)
# Seconds that a measurement of requests takes if the workers are what limits it.
LASTS = 3.0
# Requests a second that no process exceeds, so that none is asked for more than it can do.
CEILING = 800
# Streams of a group: those of one write a line while those of the groups before are silent.
STREAMS = 5_000
GROUPS = 4
# Characters of a long value.
LONG = 500
# A stream is released after five seconds of silence.
RELEASED_AFTER = 7.0
URL = "https://token:t.x@127.0.0.1:{}/logs"
LINE = "order %d shipped to %s in %dms"


async def receive(certificate: str) -> None:
    """The receiver's process: prints a port for each latency, and serves until its input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(
        latency: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                await asyncio.sleep(latency / 1000)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    ports = {}
    for latency in LATENCIES:
        server = await asyncio.start_server(
            lambda *streams, latency=latency: serve(latency, *streams),
            "127.0.0.1",
            ssl=context,
            limit=4_000_000,
        )
        ports[latency] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Connections are still open, and asyncio would report them.
    os._exit(0)


@contextmanager
def receiver() -> Iterator[dict[int, str]]:
    """The receiver's URL for each latency; the variables of this process accept its certificate."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as directory:
        certificate, bundle = Path(directory, "server.pem"), Path(directory, "ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        authority.cert_pem.write_to_path(bundle)
        os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
        process = subprocess.Popen(
            [sys.executable, __file__, "--receiver", certificate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        try:
            yield {
                int(ms): f"https://token:t.x@127.0.0.1:{port}/logs" for ms, port in ports.items()
            }
        finally:
            process.communicate()


def logger_to(url: str, **options: Any) -> tuple[logging.Logger, LogplexHandler]:
    """A logger whose stream N has the token `t.N`."""
    handler = LogplexHandler(streams=lambda n: url.replace("t.x", f"t.{n}"), **options)
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger, handler


def write(logger: logging.Logger, number: int, stream: object) -> None:
    logger.info(LINE, number, "berlin", number % 500, extra={"logplex_stream": stream})


def resident() -> int:
    """The bytes of memory that this process uses."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def requests(url: str, latency: str, workers: str) -> dict[str, float]:
    """Requests a second, with one line in each, and the CPU of one."""
    logger, handler = logger_to(url, workers=int(workers))
    rate = min(int(workers) / (int(latency) / 1000), CEILING)
    streams = max(int(rate * LASTS), int(workers))
    # The first round looks the URLs up and opens the connections.
    for stream in range(streams):
        write(logger, stream, stream)
    assert handler.flush(120)
    for stream in range(streams):
        write(logger, stream, stream)
    cpu, began = time.process_time(), time.monotonic()
    assert handler.flush(120)
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    return {"rate": streams / took, "cpu_ms": cpu / streams * 1000}


def lines(url: str, latency: str) -> dict[str, float]:
    """Lines a second of one stream, and the CPU of one with the logging call."""
    logger, handler = logger_to(url)
    count = 60_000
    cpu, began = time.process_time(), time.monotonic()
    for number in range(count):
        write(logger, number, "one")
    assert handler.flush(120)
    assert handler.stats().delivered == count
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    return {"rate": count / took, "cpu_us": cpu / count * 1e6}


def memory(url: str) -> dict[str, float]:
    """Bytes of a stream with a waiting line, and of one that is silent."""
    logger, handler = logger_to(url, workers=64)
    write(logger, 0, "first")
    assert handler.flush(120)
    residents = [resident()]
    for group in range(GROUPS):
        for stream in range(group * STREAMS, (group + 1) * STREAMS):
            write(logger, stream, stream)
        if not group:
            waiting = (resident() - residents[0]) / STREAMS
        assert handler.flush(120)
        time.sleep(RELEASED_AFTER)
        residents.append(resident())
    # What the first group needed while it waited is used again by the others.
    return {"waiting": waiting, "silent": (residents[-1] - residents[1]) / STREAMS / (GROUPS - 1)}


def room() -> dict[str, float]:
    """Bytes of `max_buffer_bytes` for a line, with a short and with a long text."""
    size = 4_000_000
    held = {}
    # Nothing listens there.
    nowhere = URL.format(9)
    for name, place in (("line", "berlin"), ("long line", "x" * LONG)):
        logger, handler = logger_to(nowhere, max_buffer_bytes=size, shutdown_timeout=0)
        number = 0
        while not handler.stats().dropped:
            # All streams are asked for their counts, so not for each line.
            for _ in range(500):
                stream = number % 500
                logger.info(LINE, number, place, number % 500, extra={"logplex_stream": stream})
                number += 1
        held[name] = size / handler.stats().pending
        logger.handlers.clear()
        handler.close()
    return held


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "requests": requests,
    "lines": lines,
    "memory": memory,
    "room": room,
}


def measured(name: str, *arguments: object) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    print(name, *arguments[1:], done.stdout.strip(), file=sys.stderr, flush=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def summary(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians, but the highest rate: other programs on the machine only lower it."""
    return {
        name: (max if name == "rate" else statistics.median)([one[name] for one in rounds])
        for name in rounds[0]
    }


def tables(urls: dict[int, str], rounds: int) -> str:
    """The tables of the page, from all rounds."""
    cells: dict[tuple[int, int], list[dict[str, float]]] = {}
    of_lines: dict[int, list[dict[str, float]]] = {}
    of_memory, of_room = [], []
    for _ in range(rounds):
        for latency, url in urls.items():
            for workers in WORKERS:
                figures = measured("requests", url, latency, workers)
                cells.setdefault((latency, workers), []).append(figures)
            of_lines.setdefault(latency, []).append(measured("lines", url, latency))
        of_memory.append(measured("memory", urls[LATENCIES[0]]))
        of_room.append(measured("room"))
    rate = {cell: summary(of_cell) for cell, of_cell in cells.items()}
    stream = {latency: summary(of_latency) for latency, of_latency in of_lines.items()}
    bytes_, held = summary(of_memory), summary(of_room)
    heads = [f"`workers={workers}`" for workers in WORKERS]
    rows = [
        ["receiver answers after", *heads, "lines a second of one stream"],
        ["---"] * (len(WORKERS) + 2),
    ]
    for latency in LATENCIES:
        of_latency = [f"{rate[latency, workers]['rate']:,.0f}" for workers in WORKERS]
        rows.append([f"{latency} ms", *of_latency, f"{stream[latency]['rate']:,.0f}"])
    request_cpu = max(of_cell["cpu_ms"] for of_cell in rate.values())
    least_cpu = min(of_cell["cpu_ms"] for of_cell in rate.values())
    line_cpu = max(of_latency["cpu_us"] for of_latency in stream.values())
    costs = [
        ["what", "measured"],
        ["---"] * 2,
        ["CPU of a request with one line", f"{least_cpu:.2f} to {request_cpu:.2f} ms"],
        ["CPU of a line in a large request, with the logging call", f"{line_cpu:.0f} µs"],
        ["memory of a silent stream", f"{bytes_['silent']:,.0f} bytes"],
        ["memory of a stream with a waiting line", f"{bytes_['waiting']:,.0f} bytes"],
        [
            "`max_buffer_bytes` for a line of 36 characters",
            f"{held['line']:,.0f} bytes",
        ],
        [f"the same with {LONG} characters more", f"{held['long line']:,.0f} bytes"],
    ]
    made = (
        f"`python benchmarks/sizing.py`, {time.strftime('%Y-%m-%d')}, CPython "
        f"{platform.python_version()}, {os.cpu_count()} shared cores for handler and receiver, TLS,"
        f" the highest rates and the medians of all else in {rounds} rounds."
    )
    return "\n\n".join([_table(rows), _table(costs), made])


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--receiver", metavar="CERTIFICATE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.receiver:
        asyncio.run(receive(given.receiver))
        return
    if given.measure:
        name, *arguments = given.measure
        print(json.dumps(MEASURES[name](*arguments)))
        return
    with receiver() as urls:
        text = tables(urls, given.rounds)
    if given.write:
        PAGE.write_text(replaced(PAGE.read_text(), "measured", text))
    else:
        print(text)


if __name__ == "__main__":
    main()
