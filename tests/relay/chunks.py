"""Chunks for tests, and the lines in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from logplex_handler._relay.chunk import Chunk, StreamId
from logplex_handler._relay.engine import Engine
from logplex_handler._relay.values import Lease, Outcome, Pushed, Taken
from logplex_handler._wire.frames import Frame, Run, flattened, linked


def frame(text: str) -> bytes:
    """A frame as the handler makes it."""
    packet = b"<190>1 2026-01-01T00:00:00.000000+00:00 host app web.1 - - %b\n" % text.encode()
    return b"%d %b" % (len(packet), packet)


def text_of(one: bytes) -> str:
    return one.split(b" - - ", 1)[1].decode().removesuffix("\n")


def texts(frames: Iterable[Frame]) -> list[str]:
    return [text_of(one) for one in flattened(frames)]


class Producer:
    """Numbers the chunks of one process."""

    def __init__(self, name: str = "producer") -> None:
        self.name = name
        self.sequence = 0

    def chunk(self, stream: StreamId, *lines: str, pieces: Sequence[str] = ()) -> Chunk:
        """A chunk of a record for each line, and of one more that has several frames."""
        frames: list[Frame] = [Run([frame(line) for line in lines])] if lines else []
        frames += linked([frame(piece) for piece in pieces])
        self.sequence += 1
        return Chunk.of(stream, frames, producer=self.name, sequence=self.sequence)

    def push(self, engine: Engine, stream: StreamId, *lines: str) -> Chunk:
        """Push a chunk that the engine has to store."""
        chunk = self.chunk(stream, *lines)
        assert engine.push([chunk]) == [Pushed.STORED]
        return chunk


def lease_all(engine: Engine, shipper: str = "shipper") -> list[Lease]:
    leases = engine.acquire(range(engine.shards), shipper)
    assert len(leases) == engine.shards
    return leases


def take(engine: Engine, leases: Sequence[Lease], **options: float) -> dict[StreamId, Taken]:
    """What is taken, by stream."""
    takes = engine.take(leases, **options)  # type: ignore[arg-type]
    assert not takes.fenced
    assert not takes.away
    return {taken.stream: taken for taken in takes.taken}


def delivered(taken: Taken) -> Outcome:
    """All of a batch is delivered, and its drops are reported."""
    return Outcome(taken, delivered=taken.records, reported=taken.unreported)


def deliver(engine: Engine, leases: Sequence[Lease]) -> dict[StreamId, list[str]]:
    """Take and deliver all that is due; return the lines of each stream."""
    found: dict[StreamId, list[str]] = {}
    while taken := take(engine, leases):
        for stream, one in taken.items():
            for _, frames in one.requests:
                found.setdefault(stream, []).extend(texts(frames))
        engine.settle([delivered(one) for one in taken.values()])
    return found
