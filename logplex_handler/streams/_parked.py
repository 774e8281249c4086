"""What is kept of a stream that waits in a long line with a few records.

While a host is down, all streams that go there wait. A parked stream is kept as bytes, like a
retired one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from logplex_handler._buffer.parkable_queue import ParkedEntries
from logplex_handler._process.reentrancy import holding, is_held
from logplex_handler._sender.source import age_of
from logplex_handler.stats import Stats
from logplex_handler.streams._pickled import Pickled, pickled, unpickled
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams._retired import (
    restored_destination,
    restored_stats,
    stored_destination,
    stored_stats,
)
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.stream import Stream


class Parked(NamedTuple):
    """A parked stream.

    Attributes:
        state: The name of the state of its URL.
        given: The application's last answer with a URL.
        destination: Where it goes.
        before: The counts of its records from before it was retired; None if it never was.
        known_since: When the destination became known, on the monotonic clock.
        entries: Its records.
    """

    state: str
    given: Any
    destination: Any
    before: Any
    known_since: float
    entries: ParkedEntries

    def __repr__(self) -> str:
        # The application's answer may be a URL with a token.
        return f"Parked(state={self.state})"

    @property
    def counts_before(self) -> Stats | None:
        """The counts of earlier records, if there were any."""
        return None if self.before is None else restored_stats(self.before)

    def lag(self, context: StreamContext) -> float:
        """Return the seconds since the oldest record was logged or queued."""
        _, since, entries = self.entries
        return age_of(context.codec.created(entries[0]), since)


def stored(stream: Stream) -> Pickled | None:
    """Return what is to be kept of a stream; None if there is more, or a thread uses its queue.

    The stream can still be used: a record that is put there wakes a worker, which revives it.
    """
    lock = stream.accumulator.lock
    found: list[ParkedEntries | None] = []
    # Not waited for, because the registry's lock is held.
    if not is_held(lock):
        holding(lock, 0.0, lambda: found.append(stream.accumulator.park()))
    entries = found[0] if found else None
    if entries is None:
        return None
    resolution, before = stream.resolution, stream.before
    return pickled(
        (
            resolution.state.name,
            stored_destination(resolution.given),
            stored_destination(stream.destination),
            None if before is None else stored_stats(before),
            stream.known_since,
            entries,
        )
    )


def restored(stored: Pickled) -> Parked:
    """Return what was stored."""
    return Parked(*unpickled(stored))


def resumed(stream_id: Hashable, stored: Pickled, context: StreamContext) -> Stream:
    """Return the stream again, with its records."""
    parked = restored(stored)
    stream = Stream(
        stream_id,
        context,
        resolution=Resolution(ResolutionState[parked.state], restored_destination(parked.given)),
        destination=restored_destination(parked.destination),
        before=parked.counts_before,
    )
    stream.known_since = parked.known_since
    stream.accumulator.resume(parked.entries)
    return stream


def total(all_stored: Sequence[Pickled], context: StreamContext) -> Stats:
    """Return the counts of all records of several streams."""
    streams = [restored(one) for one in all_stored]
    number = sum([len(one.entries[2]) for one in streams])
    longest = max([one.lag(context) for one in streams], default=0.0)
    before = [found for one in streams if (found := one.counts_before) is not None]
    return sum(before, Stats(number, pending=number, lag=longest))


def size(stored: Pickled) -> int:
    """Return the bytes that its entries use."""
    return restored(stored).entries[0]
