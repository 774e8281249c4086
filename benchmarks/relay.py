"""The relay's engine: what a chunk costs a producer and a shipper, and the engine's memory.

    python benchmarks/relay.py --rounds 7

Starts a redis-server of its own. Prints, for chunks of 1 to 500 frames, the CPU of the process
that pushes them beside that of redis-py's bare pipeline, which appends the same bytes to the same
lists; the CPU of a shipper that takes and settles them; what an idle shipper uses of a core; and
the memory of the engine with one line waiting in each of many streams. With `--fleet`, it measures
shippers that are processes instead; see relay_fleet.py.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import redis

import relay_fleet
from logplex_handler._relay.chunk import Chunk
from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler._relay.values import Lease, Outcome
from logplex_handler._wire.frames import Run

# Frames of 145 bytes, which is a short line of key=value text.
_PACKET = b"<190>1 2026-01-01T00:00:00.000000+00:00 host app web.1 - - source=us level=info msg="
_FRAME = b"141 " + _PACKET.ljust(140, b"x") + b"\n"
# Chunks in one call: streams that become due in the same moment.
_TOGETHER = 50
_CALLS = 40
_SHARDS = 64
_POLLS_A_SECOND = 4


def main() -> str | None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=_CALLS)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument(
        "--fleet",
        nargs="*",
        choices=relay_fleet.PARTS,
        help="measure this of shippers that are processes (all)",
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part of --fleet")
    parser.add_argument("--lines", type=int, default=80_000, help="that --fleet delivers")
    options = parser.parse_args()
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return "there is no redis-server here"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis.Redis(port=port, protocol=2)
        _wait(client)
        if options.fleet is not None:
            relay_fleet.run(
                f"redis://127.0.0.1:{port}",
                client.flushall,
                parts=options.fleet or relay_fleet.PARTS,
                seconds=options.seconds,
                lines=options.lines,
            )
            return None
        for frames in (1, 10, 100, 500):
            _compare(client, port, frames, options.rounds, options.calls)
        _idle(client, port)
        _memory(client, port, options.streams)
    finally:
        server.kill()
        server.wait()
    return None


def _wait(client: redis.Redis) -> None:
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            time.sleep(0.05)


def _engine(port: int) -> RedisEngine:
    return RedisEngine(
        f"redis://127.0.0.1:{port}", shards=_SHARDS, max_relay_bytes=2**34, max_stream_bytes=2**32
    )


def _chunks(frames: int, first: int) -> list[Chunk]:
    return [
        Chunk.of(
            f"customer-{number}", [Run([_FRAME] * frames)], producer="p", sequence=first + number
        )
        for number in range(_TOGETHER)
    ]


def _compare(client: redis.Redis, port: int, frames: int, rounds: int, most: int) -> None:
    engine = _engine(port)
    calls = max(1, most // (1 + frames // 50))
    bare: list[float] = []
    ours: list[float] = []
    taking: list[float] = []
    sequence = 0
    for _ in range(rounds):
        batches = [_chunks(frames, sequence + call * _TOGETHER) for call in range(calls)]
        sequence += calls * _TOGETHER
        bodies = [[(f"q:{one.stream}", one.body) for one in batch] for batch in batches]
        client.flushall()
        bare.append(_cpu(partial(_each, partial(_bare, client), bodies)))
        client.flushall()
        engine.check()
        ours.append(_cpu(partial(_each, partial(_push, engine), batches)))
        leases = engine.acquire(range(_SHARDS), "benchmark")
        taking.append(_cpu(partial(_drain, engine, leases)))
    each = calls * _TOGETHER
    ratio = statistics.median(mine / other for mine, other in zip(ours, bare, strict=True))
    print(
        f"{frames:3} frames: push {_micro(ours, each):6.1f} us a chunk, bare pipeline "
        f"{_micro(bare, each):6.1f} us, ratio {ratio:.2f}; take and settle "
        f"{_micro(taking, each):6.1f} us"
    )
    engine.close()


def _each(call: Callable[[Any], object], values: Sequence[Any]) -> None:
    for value in values:
        call(value)


def _bare(client: redis.Redis, items: Sequence[tuple[str, bytes]]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for key, body in items:
            pipeline.rpush(key, body)
        pipeline.execute()


def _push(engine: RedisEngine, chunks: Sequence[Chunk]) -> None:
    settled = {"p": chunks[0].sequence}
    assert all(result.is_stored for result in engine.push(chunks, settled=settled))


def _drain(engine: RedisEngine, leases: Sequence[Lease]) -> None:
    while found := engine.take(leases).taken:
        engine.settle([Outcome(one, delivered=one.records) for one in found])


def _idle(client: redis.Redis, port: int) -> None:
    client.flushall()
    engine = _engine(port)
    leases = engine.acquire(range(_SHARDS), "benchmark")
    engine.take(leases)
    polls = 40

    def poll() -> None:
        for _ in range(polls):
            engine.take(leases, linger=2.0)

    # And a renewal each 1.5 s, and a heartbeat each 0.5 s.
    kept = 10

    def keep() -> None:
        for _ in range(kept):
            for _ in range(3):
                engine.heartbeat("benchmark")
            engine.renew(leases)

    share = _cpu(poll) / polls * _POLLS_A_SECOND + _cpu(keep) / kept / 1.5
    print(f"an idle shipper of {_SHARDS} shards: {share:.2%} of a core")
    engine.close()


def _memory(client: redis.Redis, port: int, streams: int) -> None:
    client.flushall()
    engine = _engine(port)
    engine.check()
    before = client.info("memory")["used_memory"]
    for first in range(0, streams, 1000):
        chunks = [
            Chunk.of(f"customer-{number}", [_FRAME], producer="p", sequence=number)
            for number in range(first, min(first + 1000, streams))
        ]
        engine.push(chunks, settled={"p": first})
    used = (client.info("memory")["used_memory"] - before) / 1e6
    print(f"{streams:,} streams with one line waiting: {used:.1f} MB")
    engine.close()


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _micro(seconds: Sequence[float], number: int) -> float:
    return statistics.median(seconds) / number * 1e6


if __name__ == "__main__":
    sys.exit(main())
