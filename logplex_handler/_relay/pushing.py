"""In which calls chunks are pushed, so that those of one stream are stored in their order.

Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from logplex_handler._relay.chunk import Chunk, shard_of, stream_key

# Chunks, and bytes of their bodies, in one call of a script, so that it does not keep the engine
# for long: a few milliseconds.
_MAX_CHUNKS = 256
_MAX_BYTES = 2 * 1024 * 1024


class PushCall(NamedTuple):
    """Chunks of one producer for one server, by their places in what is pushed.

    Attributes:
        shard: One of their shards, which all are on the server.
    """

    shard: int
    producer: str
    places: list[int]


class PushOrder:
    """The calls that push chunks to servers.

    If a call fails, the later ones of the same producer to the same server are not made: they could
    store a later chunk of a stream without an earlier one.
    """

    def __init__(self, chunks: Sequence[Chunk], shards: int, servers: int) -> None:
        self._chunks = chunks
        self._keys = [stream_key(chunk.stream) for chunk in chunks]
        self._shards = [shard_of(key, shards) for key in self._keys]
        # By server, then by producer: calls, the last one first.
        self._calls: list[dict[str, list[PushCall]]] = [{} for _ in range(servers)]
        room: dict[tuple[int, str], int] = {}
        # Those of a shard come together; the order within a stream is kept.
        for place in sorted(range(len(chunks)), key=self._shards.__getitem__):
            chunk, shard = chunks[place], self._shards[place]
            group = shard % servers, chunk.producer
            calls = self._calls[shard % servers].setdefault(chunk.producer, [])
            left = room.get(group, 0) - len(chunk.body)
            if not calls or left < 0 or len(calls[-1].places) >= _MAX_CHUNKS:
                calls.append(PushCall(shard, chunk.producer, []))
                left = _MAX_BYTES - len(chunk.body)
            room[group] = left
            calls[-1].places.append(place)
        for groups in self._calls:
            for calls in groups.values():
                calls.reverse()

    def next_calls(self, server: int) -> list[PushCall]:
        """The next call of each producer; they may be made together."""
        return [calls.pop() for calls in self._calls[server].values() if calls]

    def give_up(self, server: int, producer: str | None = None) -> list[int]:
        """Make no more calls to a server, or of one producer; return the places of their chunks."""
        places = []
        for name, calls in self._calls[server].items():
            if producer in (None, name):
                places += [place for call in calls for place in call.places]
                calls.clear()
        return places

    def add_args(self, call: PushCall, args: list[Any]) -> None:
        """Add the arguments of the script that say what the chunks of a call are."""
        for place in call.places:
            chunk = self._chunks[place]
            # In one argument, because each costs as much as the head of a chunk.
            name = b"%d:%d:%b" % (self._shards[place], chunk.sequence, self._keys[place])
            args += (name, chunk.head(), chunk.body)
