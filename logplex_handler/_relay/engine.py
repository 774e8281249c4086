"""The interface of an engine: all that producers and shippers ask of it.

Any thread may call it. No method raises anything but what it documents, and no text shows a URL.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from logplex_handler._relay.chunk import Chunk
from logplex_handler._relay.values import (
    Fleet,
    Health,
    Lease,
    Outcome,
    Pushed,
    Settled,
    ShardBooks,
    Takes,
)

# Bytes of one stream that wait at most, besides those in flight and the newest chunk.
MAX_STREAM_BYTES = 1024 * 1024
SHARDS = 64
# Seconds: how long a lease lasts, and a shipper counts as alive after a heartbeat; and how often
# both are renewed. Three renewals may fail before a shard is taken over.
LEASE = 6.0
RENEW = 1.5
# Bytes that `take` hands over in one call.
MAX_TAKE = 8 * 1024 * 1024


class Engine(Protocol):
    """Chunks of many producers, and who may take them."""

    @property
    def shards(self) -> int:
        """The number of shards, which is the same for all processes."""

    @property
    def problem(self) -> str:
        """Why a server could not be used last, with its name; empty if all could."""

    def check(self) -> tuple[Health, ...]:
        """Look at each server: may it be used, and what should an operator know?

        All other methods do the same before a server is first used.

        Raises:
            ConfigurationError: A server is too old, evicts, or was set up for another number of
                shards or another list of servers; or the password or the certificate is wrong.
            EngineAway: A server cannot be used at the moment.
        """

    def push(
        self, chunks: Sequence[Chunk], *, settled: Mapping[str, int] | None = None
    ) -> list[Pushed]:
        """Store chunks, in their order; return what became of each.

        A chunk of which nobody knows is pushed again. Until then, no later chunk of its stream may
        be pushed, or they would be stored in the wrong order.

        Args:
            settled: For producers, the sequence below which all of their chunks are stored or given
                up, so that the engine may forget them. A producer's chunks are remembered for a day
                at most.

        Raises:
            ConfigurationError: As `check` does.
        """

    def heartbeat(self, shipper: str) -> Fleet:
        """Say that a shipper is alive; return who else is, and who owns what. Every `RENEW` s.

        Raises:
            EngineAway: The first server cannot be used at the moment.
            ConfigurationError: As `check` does.
        """

    def leave(self, shipper: str) -> None:
        """Say that a shipper ends, so that the others count on it no more. Never fails."""

    def acquire(self, shards: Collection[int], shipper: str) -> list[Lease]:
        """Lease the shards that are free; return those.

        What a former owner has had in hand is due at once, under the same frame ids.
        """

    def renew(self, leases: Collection[Lease]) -> list[Lease]:
        """Renew leases; return those that are held.

        A lease is returned as it was where the engine is away, until it ends.
        """

    def release(self, leases: Collection[Lease]) -> None:
        """Let shards go, so that others take over at once. Never fails."""

    def take(
        self,
        leases: Collection[Lease],
        *,
        linger: float = 0.0,
        max_streams: int = 64,
        max_bytes: int = MAX_TAKE,
    ) -> Takes:
        """Take a batch of each stream that is due, and has none in hand.

        A batch is what was taken before and not settled; or else the stream's oldest chunks, up to
        500 frames or 1 MiB, or one chunk. Its frame id is on record before this returns.

        Args:
            linger: Seconds that a stream waits for more, from its oldest chunk on. A stream with
                enough for a request does not wait.
            max_streams: Streams of one shard.
            max_bytes: Bytes of all shards. Each of them may hand over one batch more.

        One thread at a time takes with a lease.
        """

    def settle(self, outcomes: Sequence[Outcome]) -> list[Settled]:
        """Write outcomes of batches to the books, each as a whole; return what became of each."""

    def look(self) -> tuple[ShardBooks, ...]:
        """The books of all shards.

        Raises:
            EngineAway: A server cannot be used at the moment.
            ConfigurationError: As `check` does.
        """

    def close(self) -> None:
        """Close the connections. Harmless twice; the next call opens them again."""
