"""All streams of a handler by id: those in use, and what is kept of those that were."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Hashable
from itertools import islice
from typing import NamedTuple

from logplex_handler._buffer.ledger import Ledger
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake, RejectingIntake
from logplex_handler.streams.resolution import Resolution, ResolutionState
from logplex_handler.streams.resolver import Resolved
from logplex_handler.streams.stream import Stream

# Seconds after which a stream that was not used is forgotten, and looked up again if it comes back.
_FORGET = 3600.0
# How many there may be of those; each takes less than a kilobyte.
_MOST_ASLEEP = 100_000
# Seconds that a stream is not looked up again after nobody knew it, or it had ended.
_ENDED = {ResolutionState.UNKNOWN: 30.0, ResolutionState.GONE: 600.0}


class _Asleep(NamedTuple):
    """What is kept of a stream that is not used.

    Attributes:
        stream: The stream itself, as long as somebody has it who may put a record there.
    """

    state: ResolutionState
    found: Resolved | None
    stats: Stats
    since: float
    stream: weakref.ref[Stream]


class Registry:
    """Finds, opens and lets go of streams. Any thread may ask it.

    Args:
        context: What all streams share.
        own: The handler's own stream, if it has one.
    """

    def __init__(self, context: StreamContext, own: Stream | None) -> None:
        self.own = own
        self._context = context
        # Guards all below. Re-entrant because a garbage collection under it may log.
        self._lock = threading.RLock()
        self._streams: dict[Hashable, Stream] = {} if own is None else {None: own}
        # The one that has slept longest comes first.
        self._asleep: dict[Hashable, _Asleep] = {}
        self._forgotten = Stats()
        self._is_closed = False
        # For records that have no stream: one that has ended, for each way to end; and what counts
        # those that come after the end.
        self._nowhere: dict[ResolutionState, Stream] = {}
        self._rejected = Ledger()
        self._after_close = RejectingIntake(self._rejected, "closed", self._say_closed)

    def _say_closed(self) -> None:
        said = "records are logged after close, and dropped (closed)"
        self._context.diagnostics.warn("closed", said)

    def intake(self, stream_id: Hashable) -> Intake:
        """Where the records of a stream are put; it is opened if need be."""
        try:
            stream = self._streams.get(stream_id)
            if stream is None:
                return self._open(stream_id)
        except Exception:
            # It cannot be a key, perhaps.
            return self.unknown_intake
        return stream.intake

    def stream(self, stream_id: Hashable) -> Stream | None:
        """The stream of an id; it is opened if need be, and if that can be."""
        self.intake(stream_id)
        return self._streams.get(stream_id)

    @property
    def unknown_intake(self) -> Intake:
        """Where records go that name no stream, or none that anybody knows."""
        return self._intake_to_nowhere(ResolutionState.UNKNOWN)

    def _intake_to_nowhere(self, state: ResolutionState) -> Intake:
        with self._lock:
            if state not in self._nowhere:
                self._nowhere[state] = Stream(None, self._context, resolution=Resolution(state))
            return self._nowhere[state].intake

    def _open(self, stream_id: Hashable) -> Intake:
        if self._context.lookup is None:
            return self.unknown_intake
        with self._lock:
            if self._is_closed:
                return self._after_close
            stream = self._streams.get(stream_id)
            if stream is None:
                asleep = self._asleep.get(stream_id)
                if asleep is not None and _rests(asleep):
                    return self._intake_to_nowhere(asleep.state)
                stream = self._opened(stream_id, asleep)
                self._streams[stream_id] = stream
                self._asleep.pop(stream_id, None)
            return stream.intake

    def _opened(self, stream_id: Hashable, asleep: _Asleep | None) -> Stream:
        if asleep is None:
            return Stream(stream_id, self._context)
        if asleep.state in _ENDED:
            return Stream(stream_id, self._context, before=asleep.stats)
        stream = asleep.stream()
        if stream is not None:
            # Another one beside it would have its records in no order, and in no books.
            stream.is_retired = False
            return stream
        resolution = Resolution(asleep.state, asleep.found)
        return Stream(stream_id, self._context, resolution=resolution, before=asleep.stats)

    def retire(self, stream: Stream) -> None:
        """Keep of an idle stream only what it takes to open it again.

        A record that comes at this very moment is still delivered; `revive` sees to its books.
        """
        now = time.monotonic()
        with self._lock:
            if self._streams.get(stream.id) is not stream or stream is self.own:
                return
            del self._streams[stream.id]
            stream.is_retired = True
            resolution = stream.resolution
            self._asleep[stream.id] = _Asleep(
                resolution.state, resolution.found, stream.stats(), now, weakref.ref(stream)
            )
            for stream_id, asleep in list(islice(self._asleep.items(), 2)):
                if now - asleep.since > _FORGET or len(self._asleep) > _MOST_ASLEEP:
                    self._forgotten += asleep.stats
                    del self._asleep[stream_id]

    def revive(self, stream: Stream) -> None:
        """It has news, though it may have been let go of."""
        with self._lock:
            if stream.is_retired and self._streams.setdefault(stream.id, stream) is stream:
                stream.is_retired = False
                self._asleep.pop(stream.id, None)

    def close(self) -> Intake:
        """From now on all records are turned down, and no stream is opened.

        What is returned turns down those that name none.
        """
        with self._lock:
            self._is_closed = True
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()
        return self._after_close if self.own is None else self.own.intake

    def streams(self) -> list[Stream]:
        """All that are in use."""
        with self._lock:
            return list(self._streams.values())

    def all_streams(self) -> list[Stream]:
        """These, and those that lead nowhere, of whose drops somebody may have to be told."""
        with self._lock:
            return [*self._streams.values(), *self._nowhere.values()]

    def stats(self) -> Stats:
        """The books of all of them."""
        with self._lock:
            total = self._forgotten
            for asleep in self._asleep.values():
                total += asleep.stats
            for stream in self.all_streams():
                total += stream.stats()
        return total + rejected(self._rejected)

    def fill_ratio(self) -> float:
        """The part of the memory that is in use, from 0 to 1."""
        return sum([stream.accumulator.fill_ratio() for stream in self.streams()])

    def stats_of(self, stream_id: Hashable) -> Stats:
        """The books of one; all zero if nothing is known of it."""
        try:
            with self._lock:
                stream = self._streams.get(stream_id)
                if stream is not None:
                    return stream.stats()
                asleep = self._asleep.get(stream_id)
        except TypeError:
            # It cannot be a key.
            return Stats()
        return Stats() if asleep is None else asleep.stats

    def set_aside(self) -> tuple[SetAside, ...]:
        """Those whose lines are kept while nothing is written to them."""
        aside = [stream.set_aside for stream in self.streams()]
        return tuple([one for one in aside if one is not None])


def _rests(asleep: _Asleep) -> bool:
    """Whether it has ended just now, and is not to be looked up yet."""
    pause = _ENDED.get(asleep.state)
    return pause is not None and time.monotonic() - asleep.since < pause


def rejected(ledger: Ledger) -> Stats:
    """The counts of a ledger to which records come only to be rejected."""
    dropped = ledger.dropped_by_cause()
    return Stats(accepted=sum(dropped.values()), dropped=dropped)
