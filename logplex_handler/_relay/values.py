"""What the engine takes and returns: values that never change."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from logplex_handler._relay.chunk import Chunk, DamagedChunk, StreamId
from logplex_handler._relay.parts import Part, relinked
from logplex_handler._wire.frames import Frame, flattened

_NONE: Mapping[str, int] = MappingProxyType({})


class EngineAway(Exception):
    """The engine cannot be used at the moment: not reachable, starting, busy, or read-only.

    The text names the kind of the problem, and never the URL. What was asked for may have been
    done or not.
    """


class Pushed(Enum):
    """What became of a chunk that was pushed."""

    STORED = "the engine has it"
    KNOWN = "the engine had it already, or has had it"
    FULL = "the engine has no room, and does not have it"
    AWAY = "nobody knows; it is to be pushed again with the same producer and sequence"

    @property
    def is_stored(self) -> bool:
        return self in (Pushed.STORED, Pushed.KNOWN)


class Settled(Enum):
    """What became of an outcome."""

    DONE = "it is in the books"
    FENCED = "the lease is not the shipper's any more, and nothing was changed"
    STALE = "the engine knows no such batch, and nothing was changed"
    AWAY = "nobody knows; it is to be settled again, before anything else of its stream"


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard that one shipper owns for a while.

    Attributes:
        token: Differs for each lease that there ever was. Scripts compare the whole of it.
        owner: The shipper's name.
        until: When it ends unless it is renewed, on this process's monotonic clock; a moment
            earlier than in the engine.
    """

    shard: int
    token: str
    owner: str
    until: float

    def outlasts(self, deadline: float, *, margin: float = 1.0) -> bool:
        """Whether it lasts this many seconds longer than a request that ends at the deadline."""
        return self.until >= deadline + margin


@dataclass(frozen=True, slots=True)
class Taken:
    """What a shipper has taken of one stream: a batch, which it settles once or several times.

    Attributes:
        frame_id: The id under which the batch is sent. It is on record in the engine, as are the
            chunks, and stays the same whoever takes them again.
        chunks: In the order in which they came. Empty if the stream only has drops to report.
        parts: What is left of the batch after a shipper had parted it; empty if it is whole.
        records: Records that are not settled; those of damaged chunks are among them.
        again: Whether the batch was taken before, so that it may have been sent.
        since: When the oldest chunk was stored, in seconds since the epoch by the engine's clock.
        waited: Seconds that it has waited, by the same clock.
        unreported: Drops, by cause, that were not reported in the stream.
        key: The stream as the engine has it; the engine's own business.
    """

    lease: Lease
    stream: StreamId
    frame_id: str
    chunks: tuple[Chunk, ...] = ()
    parts: tuple[Part, ...] = ()
    records: int = 0
    again: bool = False
    since: float = 0.0
    waited: float = 0.0
    unreported: Mapping[str, int] = field(default_factory=lambda: _NONE)
    key: bytes = field(default=b"", repr=False)

    @property
    def frames(self) -> list[Frame]:
        """All frames of the chunks, also those that are settled; none of a damaged one."""
        frames: list[Frame] = []
        for chunk in self.chunks:
            with contextlib.suppress(DamagedChunk):
                frames += chunk.frames
        return frames

    @property
    def requests(self) -> list[tuple[str, list[Frame]]]:
        """What is left to send: for each request its frame id and its frames.

        Frames of one record share it, even if the record has frames in several parts.
        """
        frames = self.frames
        if not self.parts:
            return [(self.frame_id, frames)] if frames else []
        flat = flattened(frames)
        left = [part.frames_of(flat) for part in self.parts]
        ids = [part.frame_id for part in self.parts]
        return list(zip(ids, relinked(left), strict=True))


class Fate(Enum):
    """What becomes of a batch after a shipper has settled some of it."""

    DONE = "nothing is left of it"
    HELD = "the shipper sends what is left of it"
    LATER = "it is taken again later, under the same frame ids"
    UNDONE = "its chunks wait as if they had never been taken"
    ENDED = "its stream has ended: all that waits of it is dropped, too"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shipper says of a batch that it has taken.

    Attributes:
        delivered: Records that are delivered now.
        dropped: Records that are dropped now, by cause, to be reported in the stream. If that has
            ended, the cause that has all records which are left.
        reported: Drops, by cause, that were reported in the stream.
        parts: What is left of the batch, if it is held or taken again later; empty if all of it
            is. Kept in the engine until the batch is done.
        again_in: Seconds until it may be taken again, if that is later.

    Records of a batch that is done, and neither delivered nor dropped, are counted as
    `relay_lost`: they were in damaged chunks.
    """

    taken: Taken
    fate: Fate = Fate.DONE
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: _NONE)
    reported: Mapping[str, int] = field(default_factory=lambda: _NONE)
    parts: tuple[Part, ...] = ()
    again_in: float = 0.0

    @property
    def rest(self) -> Taken:
        """What the shipper has in hand after this, if it is held: further outcomes are of it."""
        settled = self.delivered + sum(self.dropped.values())
        left = max(0, self.taken.records - settled)
        return replace(self.taken, records=left, parts=self.parts)


@dataclass(frozen=True, slots=True)
class Takes:
    """What `take` has found.

    Attributes:
        fenced: Shards whose lease is not the shipper's any more.
        away: Shards whose engine cannot be used at the moment.
        is_all: Whether nothing else was due.
    """

    taken: tuple[Taken, ...] = ()
    fenced: frozenset[int] = frozenset()
    away: frozenset[int] = frozenset()
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who works.

    Attributes:
        shippers: The names of all shippers that have sent a heartbeat lately.
        owners: The name of each shard's owner; None if it is free. Shards whose engine cannot be
            used are left out.
    """

    shippers: frozenset[str]
    owners: Mapping[int, str | None]


@dataclass(frozen=True, slots=True)
class ShardBooks:
    """The books of one shard since it was first used, and its state, in one moment.

    Attributes:
        owner: The name of the shipper that owns it; None if nobody does.
        owned_for: Seconds that the lease still lasts.
        pushed: Records that were stored.
        waiting: Records that wait, and are not in flight.
        in_flight: Records that are taken, and not settled.
        delivered: Records that are delivered.
        dropped: Records that are dropped, by cause: `relay_full` (of one stream, or of all),
            `relay_lost` (damaged), and the causes that shippers give.
        repeated: Chunks that were pushed again, and stored once.
        retaken: Batches that another shipper had taken before.
        bytes: Bytes of all chunks.
        streams: Streams with something that waits.
        set_aside: Streams that are taken again later.
        lag: Seconds since the oldest chunk that is to be taken was stored; 0 if none waits.
    """

    shard: int
    owner: str | None = None
    owned_for: float = 0.0
    pushed: int = 0
    waiting: int = 0
    in_flight: int = 0
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: _NONE)
    repeated: int = 0
    retaken: int = 0
    bytes: int = 0
    streams: int = 0
    set_aside: int = 0
    lag: float = 0.0

    @property
    def balances(self) -> bool:
        accounted = self.waiting + self.in_flight + self.delivered + sum(self.dropped.values())
        return self.pushed == accounted


@dataclass(frozen=True, slots=True)
class Health:
    """One server of the relay, as `check` found it.

    Attributes:
        server: Its host and port, without credentials.
        version: Such as `Redis 7.0.15`, `Valkey 8.0.1`.
        policy: What it does when it is full; never anything but `noeviction`.
        max_memory: Bytes it may use; 0 if nothing is set.
        used_memory: Bytes it uses.
        connections: Connections it has, and may have.
        latency: Seconds that it takes to answer.
        warnings: What an operator should know, as sentences.
    """

    server: str
    version: str
    policy: str
    max_memory: int
    used_memory: int
    connections: tuple[int, int]
    latency: float
    warnings: tuple[str, ...] = ()
