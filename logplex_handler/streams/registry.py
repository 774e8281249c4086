"""All streams of a handler by id: those in use, parked ones, and what is left of retired ones."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Hashable
from functools import partial

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process.reentrancy import holding
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams import _parked, _retired
from logplex_handler.streams._ids import is_too_long, remembered
from logplex_handler.streams._pickled import Pickled
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams._retired import Retired, restored
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake, RejectingIntake, rejected
from logplex_handler.streams.stream import Stream

# The share of the memory for parked streams: they do not give way to others if it is full.
_MOST_PARKED = 1 / 2
# Seconds that a worker which parks a stream waits for the lock, which callers hold for moments.
_PATIENCE = 0.002
# The most streams in use or parked. Callers may name new ones faster than look-ups end.
_MAX_IN_USE = 250_000
# Seconds before an unknown or ended stream may be looked up again.
_LOOK_UP_AGAIN_AFTER = {ResolutionState.UNKNOWN: 30.0, ResolutionState.GONE: 600.0}
_AFTER_CLOSE = "closed", "records are logged after close, and dropped"


class Registry:
    """A handler's streams, which it finds, opens and retires. Any thread may call it."""

    def __init__(self, context: StreamContext, own: Stream | None) -> None:
        self.own = own
        self._context = context
        # Guards all fields below but `_rejected` and what rejects. Re-entrant, because a garbage
        # collection may log while it is held. That may also happen while an accumulator's lock is
        # held, and needs this one, so no such lock is waited for under it. A call that is
        # interrupted to flush lets go of it meanwhile.
        self.lock = threading.RLock()
        self._streams: dict[Hashable, Stream] = {} if own is None else {None: own}
        # Streams that wait in long lines. One that an interruption left is not counted if in use.
        self._parked: dict[Hashable, Pickled] = {}
        self._parked_bytes = 0
        # Retired streams, in the order of retirement, by what `remembered` returns for their ids.
        self._retired: dict[Hashable, Pickled] = {}
        # Those of both kinds to which a caller refers, and may put a record there.
        self._kept: weakref.WeakValueDictionary[Hashable, Stream] = weakref.WeakValueDictionary()
        # The counts of all retired streams, and of those that are forgotten. Another object after
        # each retirement and its end, so that an interrupted one notices that it has to begin anew.
        self._not_in_use = Stats()
        self._is_closed = False
        # The streams for records that have none: one for each state in which a stream has ended.
        self._ended: dict[ResolutionState, Stream] = {}
        # Counts the records that come after `close`, or for one stream too many.
        self._rejected = Ledger()
        self._after_close = self._rejecting(*_AFTER_CLOSE)
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
        # As `Stream.intake` returns it.
        return stream.rejecting or stream

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
        is_known = self._context.resolver is not None and not is_too_long(stream_id)
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
                in_use = len(self._streams) + len(self._parked)
                if in_use >= _MAX_IN_USE and stream_id not in self._parked:
                    return self._if_full
                was_parked = stream_id in self._parked
                stream = self._take_up(stream_id)
                stream.stays = was_parked
                return self._after_close if self._is_closed else stream.intake
        return self._ended_as(ended).intake

    def _take_up(self, stream_id: Hashable, known: Stream | None = None) -> Stream:
        """Have a stream in use, which is opened if it is not `known`."""
        key, streams = remembered(stream_id), self._streams
        while (stream := streams.get(stream_id)) is None or stream.is_retired:
            counts, stored = self._not_in_use, self._retired.get(key)
            stream = stream or known or self._opened(stream_id)
            left = counts if stored is None else counts - restored(stored).stats
            is_same = stream_id not in streams or streams[stream_id] is stream
            # Nothing is called from here on, so that no interruption comes in between.
            if is_same and self._not_in_use is counts:
                streams[stream_id] = stream
                stream.is_retired = False
                if stored is not None:
                    del self._retired[key]
                self._not_in_use = left
        stream.accumulator.take_up(stream)
        self._forget_parked(stream_id)
        return stream

    def resume(self, stream_id: Hashable) -> Stream | None:
        """Return a stream that was parked; None if it has ended or is retired meanwhile."""
        with self.lock:
            if stream_id in self._parked:
                return self._take_up(stream_id)
            return self._streams.get(stream_id)

    def _just_ended(self, stream_id: Hashable) -> ResolutionState | None:
        """Return how a stream has ended that must not be looked up again yet; else None."""
        stored = self._retired.get(remembered(stream_id))
        if stored is None:
            return None
        since, state = _retired.since_and_state(stored)
        wait = _LOOK_UP_AGAIN_AFTER.get(state)
        return None if wait is None or time.monotonic() - since >= wait else state

    def _opened(self, stream_id: Hashable) -> Stream:
        key = remembered(stream_id)
        stored, kept = self._retired.get(key), self._parked.get(stream_id)
        retired = None if stored is None else restored(stored)
        if retired is not None and retired.state in _LOOK_UP_AGAIN_AFTER:
            return Stream(stream_id, self._context, before=retired.stats)
        stream = self._kept.get(key)
        if stream is not None and stream.is_retired:
            # With a second stream of the same id, records would be out of order and uncounted.
            return stream
        if kept is not None:
            return _parked.resumed(stream_id, kept, self._context)
        if retired is None:
            return Stream(stream_id, self._context)
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
        return holding(self.lock, 0, self._retire, stream, stream.accumulator.taken, stream.stats())

    def _retire(self, stream: Stream, taken: int, stats: Stats) -> None:
        if self._streams.get(stream.id) is not stream or stream is self.own:
            return
        key, now, url = remembered(stream.id), time.monotonic(), stream.resolution
        stored = Retired(now, url.state, url.given, stream.destination, stats).stored()
        # First: an interruption that flushes takes it up again, and plans it.
        stream.let_go()
        self._kept[key] = stream
        self._forget_parked(stream.id)  # If `_take_up` was interrupted.
        if stream.accumulator.taken != taken:  # One has come before, and its record has left.
            stream.take_up()
        while stream.is_retired and stream.id in self._streams:
            counts = self._not_in_use
            total = counts + stats
            # Nothing is called from here on, as in `_take_up`.
            if self._not_in_use is counts and stream.is_retired:
                self._retired[key] = stored
                del self._streams[stream.id]
                self._not_in_use = total
        _retired.forget_oldest(self._retired, now)

    def park(self, stream: Stream) -> bool:
        """Keep only some bytes of a stream until there is a record; return whether it was done."""
        return holding(self.lock, _PATIENCE, self._park, stream) and stream.is_retired

    def _park(self, stream: Stream) -> None:
        is_full = self._parked_bytes > self._context.limits.max_bytes * _MOST_PARKED
        if self._streams.get(stream.id) is not stream or self._is_closed or is_full:
            return
        self._forget_parked(stream.id)
        # First: an interruption that flushes takes it up again, and its records may be sent then.
        stream.let_go()
        self._kept[remembered(stream.id)] = stream
        if (kept := _parked.stored(stream)) is None:
            stream.take_up()
            return
        size = _parked.size(kept)
        if stream.is_retired:
            # Until here, a record of an interruption goes to the stream, and wakes a worker.
            self._parked[stream.id] = kept
            self._parked_bytes += size
            del self._streams[stream.id]

    def revive(self, stream: Stream) -> None:
        """Take a retired or parked stream into use again after news of it."""
        with self.lock:
            if stream.is_retired:
                self._take_up(stream.id, stream).stays = stream.id in self._parked

    def _forget_parked(self, stream_id: Hashable) -> None:
        if kept := self._parked.pop(stream_id, None):
            self._parked_bytes -= _parked.size(kept)

    def close(self) -> Intake:
        """Drop all further records; return the intake of those that name no stream."""
        self._resume_all()
        with self.lock:
            self._resume_all()
            self._is_closed = True
            streams = list(self._streams.values())
        warn = partial(self._context.diagnostics.warn, *_AFTER_CLOSE)
        for stream in streams:
            stream.close(warn)
        return self._after_close if self.own is None else self.own.intake

    def _resume_all(self) -> None:
        for stream_id in [*self._parked]:
            self.intake(stream_id)

    def all_streams(self) -> list[Stream]:
        """Return all streams, parked ones and those without a destination, too."""
        self._resume_all()
        with self.lock:
            self._resume_all()  # A worker may have parked one meanwhile.
            return [*self._streams.values(), *self._ended.values()]

    def streams(self) -> list[Stream]:
        """Return the streams in use, without the parked ones."""
        with self.lock:
            return list(self._streams.values())

    def stats(self) -> Stats:
        with self.lock:
            total, kept = self._not_in_use, self._only_parked()
            streams = [*self._streams.values(), *self._ended.values()]
        # Without the lock, for which callers wait. A stream that is retired meanwhile still counts.
        for stream in streams:
            total += stream.stats()
        return total + rejected(self._rejected) + _parked.total(kept, self._context)

    def _only_parked(self) -> list[Pickled]:
        only = {*self._parked} - {*self._streams}  # Copies: a garbage collection may log.
        return [kept for one in only if (kept := self._parked.get(one))]

    def fill_ratio(self) -> float:
        """Return the share of the memory in use, from 0 to 1."""
        with self.lock:
            streams, kept = [*self._streams.values()], self._only_parked()
        size = sum([_parked.size(one) for one in kept])
        filled = sum([stream.accumulator.fill_ratio() for stream in streams])
        return filled + size / self._context.limits.max_bytes

    def stats_of(self, stream_id: Hashable) -> Stats:
        """Return the outcomes of one stream's records so far, or zeros if it is not known."""
        try:
            with self.lock:
                stream, kept = self._streams.get(stream_id), self._parked.get(stream_id)
                stored = self._retired.get(remembered(stream_id))
        except Exception:
            # For example, the id cannot be hashed.
            return Stats()
        if stream is not None:
            return stream.stats()
        if kept is not None:
            return _parked.total([kept], self._context)
        return Stats() if stored is None else restored(stored).stats

    def set_aside(self) -> tuple[SetAside, ...]:
        """Return the streams that receive nothing at the moment, while their lines are kept."""
        candidates = [stream.set_aside for stream in self.streams()]
        return tuple([found for found in candidates if found is not None])
