"""All streams of a handler by id: those in use, and the remainders of retired ones."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Hashable
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process.reentrancy import holding
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams import _retired
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams._retired import Retired, Stored, restored
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake, RejectingIntake
from logplex_handler.streams.stream import Stream

# Seconds after which a retired stream is forgotten. If it is used again, it is looked up again.
_FORGET_AFTER = 3600.0
# The most retired streams that are kept; each takes less than a kilobyte.
_MAX_RETIRED = 100_000
# The longest id, in characters, bytes or bits of all its parts. A user may choose ids, and those of
# unknown streams are remembered, too.
_LONGEST_ID = 1000
# The most parts of an id that is a tuple or a frozenset, with those of its parts.
_MOST_PARTS = 10
# The longest text that is remembered itself, in characters or bytes.
_LONGEST_REMEMBERED = 64
# Marks a digest, so that no other id is like it.
_DIGEST = object()
# The most streams in use, of about three kilobytes each. Callers may name new ones faster than
# look-ups end.
_MAX_IN_USE = 250_000
# Seconds before an unknown or ended stream may be looked up again.
_LOOK_UP_AGAIN_AFTER = {ResolutionState.UNKNOWN: 30.0, ResolutionState.GONE: 600.0}


class Registry:
    """A handler's streams, which it finds, opens and retires. Any thread may call it."""

    def __init__(self, context: StreamContext, own: Stream | None) -> None:
        self.own = own
        self._context = context
        # Guards `_streams`, `_retired`, `_kept`, `_not_in_use`, `_is_closed` and `_ended`.
        # Re-entrant, because a garbage collection may log while it is held. That may also happen
        # while an accumulator's lock is held, and needs this one, so no such lock is acquired under
        # it.
        # A call that is interrupted to flush lets go of it meanwhile.
        self.lock = threading.RLock()
        self._streams: dict[Hashable, Stream] = {} if own is None else {None: own}
        # Retired streams, in the order of retirement, by what `_remembered` returns for their ids.
        self._retired: dict[Hashable, Stored] = {}
        # Those of them to which a caller refers, and may put a record there.
        self._kept: weakref.WeakValueDictionary[Hashable, Stream] = weakref.WeakValueDictionary()
        # The counts of all retired streams, and of those that are forgotten.
        self._not_in_use = Stats()
        self._is_closed = False
        # The streams for records that have none: one for each state in which a stream has ended.
        self._ended: dict[ResolutionState, Stream] = {}
        # Counts the records that come after `close`, or for one stream too many.
        self._rejected = Ledger()
        self._after_close = self._rejecting("closed", "records are logged after close, and dropped")
        self._if_full = self._rejecting(
            "buffer_full", f"more than {_MAX_IN_USE:,} streams are in use: records are dropped"
        )

    def _rejecting(self, cause: str, message: str) -> Intake:
        warn = self._context.diagnostics.warn
        return RejectingIntake(self._rejected, cause, lambda: warn(cause, f"{message} ({cause})"))

    def intake(self, stream_id: Hashable) -> Intake:
        """Return the intake of a stream, which is opened if it is not in use.

        None stands for the handler's own URL.
        """
        try:
            stream = self._streams.get(stream_id)
            if stream is None:
                return self._open(stream_id)
        except Exception:
            # For example, the id cannot be hashed.
            return self.unknown.intake
        return stream.intake

    def stream(self, stream_id: Hashable) -> Stream | None:
        """Return a stream, opened if it is not in use, or None if it cannot be opened."""
        self.intake(stream_id)
        return self._streams.get(stream_id)

    @property
    def unknown(self) -> Stream:
        """The stream of records that name none, or an unknown one."""
        return self._ended_as(ResolutionState.UNKNOWN)

    def _ended_as(self, state: ResolutionState) -> Stream:
        stream = self._ended.get(state)
        if stream is None:
            # Without the lock, because it needs an accumulator's.
            stream = Stream(None, self._context, resolution=Resolution(state))
            with self.lock:
                stream = self._ended.setdefault(state, stream)
        return stream

    def _open(self, stream_id: Hashable) -> Intake:
        if stream_id is None:
            return self._after_close if self._is_closed else self.unknown.intake
        is_known = self._context.resolver is not None and not _is_long(stream_id)
        if self._context.relaying.sink is not None:
            from logplex_handler._relay.chunk import is_relay_stream

            is_known = is_relay_stream(stream_id)
        if not is_known:
            return self.unknown.intake
        with self.lock:
            if self._is_closed:
                return self._after_close
            stream = self._streams.get(stream_id)
            if stream is not None:
                return stream.intake
            ended = self._just_ended(stream_id)
            if ended is None:
                if len(self._streams) >= _MAX_IN_USE:
                    return self._if_full
                # An interruption may have opened it meanwhile, or closed the registry.
                stream = self._streams.setdefault(stream_id, self._opened(stream_id))
                self._end_retirement(stream_id)
                return self._after_close if self._is_closed else stream.intake
        return self._ended_as(ended).intake

    def _just_ended(self, stream_id: Hashable) -> ResolutionState | None:
        """Return how a stream has ended that must not be looked up again yet; else None."""
        stored = self._retired.get(_remembered(stream_id))
        if stored is None:
            return None
        since, state = _retired.since_and_state(stored)
        wait = _LOOK_UP_AGAIN_AFTER.get(state)
        return None if wait is None or time.monotonic() - since >= wait else state

    def _opened(self, stream_id: Hashable) -> Stream:
        stored = self._retired.get(_remembered(stream_id))
        if stored is None:
            return Stream(stream_id, self._context)
        retired = restored(stored)
        if retired.state in _LOOK_UP_AGAIN_AFTER:
            return Stream(stream_id, self._context, before=retired.stats)
        stream = self._kept.get(_remembered(stream_id))
        if stream is not None:
            # With a second stream of the same id, records would be out of order and uncounted.
            stream.is_retired = False
            return stream
        return Stream(
            stream_id,
            self._context,
            resolution=Resolution(retired.state, retired.given),
            destination=retired.destination,
            before=retired.stats,
        )

    def retire(self, stream: Stream) -> bool:
        """Keep only the data that is needed to reopen an idle stream.

        A record that comes at the same moment is still delivered, and counted after `revive`.

        Returns:
            False, having done nothing, if another thread uses the registry. That may be a signal
            handler in an interrupted call, which flushes, and so waits for the worker that asks.
        """
        # Before the lock is acquired, because it needs an accumulator's.
        return holding(self.lock, 0.0, self._retire, stream, time.monotonic(), stream.stats())

    def _retire(self, stream: Stream, now: float, stats: Stats) -> None:
        if self._streams.get(stream.id) is not stream or stream is self.own:
            return
        del self._streams[stream.id]
        stream.is_retired = True
        resolution = stream.resolution
        self._not_in_use += stats
        remembered = _remembered(stream.id)
        retired = Retired(now, resolution.state, resolution.given, stream.destination, stats)
        self._retired[remembered] = retired.stored()
        self._kept[remembered] = stream
        for oldest, stored in list(islice(self._retired.items(), 2)):
            if (
                now - _retired.since_and_state(stored)[0] > _FORGET_AFTER
                or len(self._retired) > _MAX_RETIRED
            ):
                del self._retired[oldest]

    def revive(self, stream: Stream) -> None:
        """Take a retired stream into use again after news of it."""
        with self.lock:
            if stream.is_retired and self._streams.setdefault(stream.id, stream) is stream:
                stream.is_retired = False
                self._end_retirement(stream.id)

    def _end_retirement(self, stream_id: Hashable) -> None:
        """Count a stream with those in use again. Called with the lock held."""
        stored = self._retired.pop(_remembered(stream_id), None)
        if stored is not None:
            self._not_in_use -= restored(stored).stats

    def close(self) -> Intake:
        """Drop all further records; return the intake of those that name no stream."""
        with self.lock:
            self._is_closed = True
            streams = list(self._streams.values())
        warn = partial(
            self._context.diagnostics.warn, "closed", "records are logged after close, and dropped"
        )
        for stream in streams:
            stream.close(warn)
        return self._after_close if self.own is None else self.own.intake

    def streams(self) -> list[Stream]:
        with self.lock:
            return list(self._streams.values())

    def all_streams(self) -> list[Stream]:
        """Return the streams in use, and those without a destination, which report drops, too."""
        with self.lock:
            return [*self._streams.values(), *self._ended.values()]

    def stats(self) -> Stats:
        with self.lock:
            total, streams = self._not_in_use, self.all_streams()
        # Without the lock, for which callers wait. A stream that is retired meanwhile still counts.
        for stream in streams:
            total += stream.stats()
        return total + rejected(self._rejected)

    def fill_ratio(self) -> float:
        """Return the share of the memory in use, from 0 to 1."""
        return sum([stream.accumulator.fill_ratio() for stream in self.streams()])

    def stats_of(self, stream_id: Hashable) -> Stats:
        """Return the outcomes of one stream's records so far, or zeros if it is not known."""
        try:
            with self.lock:
                stream = self._streams.get(stream_id)
                stored = self._retired.get(_remembered(stream_id))
        except Exception:
            # For example, the id cannot be hashed.
            return Stats()
        if stream is not None:
            return stream.stats()
        return Stats() if stored is None else restored(stored).stats

    def set_aside(self) -> tuple[SetAside, ...]:
        """Return the streams that receive nothing at the moment, while their lines are kept."""
        candidates = [stream.set_aside for stream in self.streams()]
        return tuple([found for found in candidates if found is not None])


def _is_long(stream_id: object) -> bool:
    """Return whether an id is so long that no stream has it."""
    left, length, parts = [stream_id], 0, 0
    while left and length <= _LONGEST_ID:
        part = left.pop()
        if isinstance(part, str | bytes):
            length += len(part)
        elif isinstance(part, int):
            length += part.bit_length()
        elif isinstance(part, tuple | frozenset):
            parts += len(part)
            if parts > _MOST_PARTS:
                return True
            left += part
    return length > _LONGEST_ID


# Any, because what is compared is exactly the type.
def _remembered(stream_id: Any) -> Any:
    """Return what stands for an id while its stream is retired: a digest in place of a long text.

    A user may have chosen a text of four kilobytes, and may choose another one each time.
    """
    kind = type(stream_id)
    if kind is tuple or kind is frozenset:
        return kind(map(_remembered, stream_id))
    if kind not in (str, bytes) or len(stream_id) <= _LONGEST_REMEMBERED:
        return stream_id
    text = stream_id if kind is bytes else stream_id.encode("utf-8", "surrogatepass")
    return _DIGEST, kind, blake2b(text, digest_size=16).digest()


def rejected(ledger: Ledger) -> Stats:
    """Return the counts of a ledger that only rejected records reach."""
    dropped = ledger.dropped_by_cause()
    return Stats(accepted=sum(dropped.values()), dropped=dropped)
