"""The exchange of a shipper with the relay: it takes batches for its shards and settles outcomes.

A batch is *in hand* from when it is taken until its outcome is settled. What cannot be sent soon is
put back, so that hosts that hang and streams that are refused do not use up the room.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.mailbox import Mailbox
from logplex_handler._relay.engine import Engine
from logplex_handler._relay.values import Fate, Lease, Outcome, Settled, Taken
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.taken_source import TakenSource
from logplex_handler.errors import ConfigurationError
from logplex_handler.streams.intake import RejectingIntake
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Job, Stream

# Batches in hand for each worker, at most, and the bytes of all of them.
_IN_HAND_PER_WORKER = 16
_MAX_BYTES = 32 * 1024 * 1024
# Seconds between two takes: while there is something, and while there is nothing.
_BUSY, _IDLE = 0.05, 0.25
# Seconds that outcomes are collected, so that many are settled at once.
_COLLECT = 0.01
# Seconds between two looks at what is in hand.
_SWEEP = 0.25
# Seconds: a batch that is not due within the first is put back; so is one that has not been sent
# within the second.
_SOON, _LONG = 1.0, 10.0
# Seconds: the longest wait of a batch that was put back before its turn came.
_LONGEST = 30.0
# Seconds that a stream which was put back is remembered: twice the longest wait.
_REMEMBERED = 1200.0
# Seconds by which a lease must outlast a request.
_MARGIN = 1.0


@dataclass(eq=False)
class _InHand:
    """A batch in hand.

    Attributes:
        since: When it was taken, on the monotonic clock.
    """

    stream: Stream
    taken: Taken
    since: float


@dataclass(eq=False)
class _Settlement:
    """An outcome that is to be settled.

    Attributes:
        done: Set when the relay has answered.
        is_settled: Whether the outcome is in the books.
    """

    outcome: Outcome
    done: threading.Event = field(default_factory=threading.Event)
    is_settled: bool = False


class Exchange:
    """What a shipper has in hand. One thread calls `step`; any thread may call the other methods.

    Attributes:
        leases: By shard. Another thread replaces it.
        leaving: The shards to give back as soon as nothing of them is in hand.
        taken_over: Batches taken that were taken before.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        pool: WorkerPool,
        diagnostics: Diagnostics,
        *,
        workers: int,
        linger: float,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._pool = pool
        self._diagnostics = diagnostics
        self._most = workers * _IN_HAND_PER_WORKER
        self._linger = linger
        self.leases: dict[int, Lease] = {}
        self.leaving: set[int] = set()
        self._outcomes: Mailbox[_Settlement | None] = Mailbox()
        # Only the thread that calls `step` uses the fields below.
        self._in_hand: dict[Hashable, _InHand] = {}
        self._unsettled: list[_Settlement] = []
        # Streams that were put back, which know how often they have failed; when; and the seconds
        # that they had to wait for a turn.
        self._put_back: dict[Hashable, tuple[Stream, float, float]] = {}
        self._take_at = self._sweep_at = 0.0
        self.taken_over = 0
        self._max_wait = 0.0
        self.is_stopping = False

    # For streams, in the threads that deliver.

    def time_left(self, lease: Lease) -> float:
        held = self.leases.get(lease.shard)
        if held is None or held.token != lease.token:
            return 0.0
        return held.until - _MARGIN - time.monotonic()

    def settle(self, outcome: Outcome) -> None:
        self._outcomes.put(_Settlement(outcome))

    def settle_now(self, outcome: Outcome) -> bool:
        settlement = _Settlement(outcome)
        self._outcomes.put(settlement)
        settlement.done.wait(max(0.0, self.time_left(outcome.taken.lease) + _MARGIN))
        return settlement.is_settled

    # For the shipper.

    def wake(self) -> None:
        self._outcomes.put(None)

    def idle_of(self, shards: Collection[int]) -> set[int]:
        """Those of the shards of which nothing is in hand."""
        # Copied in one step, as another thread changes it.
        return set(shards) - {one.taken.lease.shard for one in list(self._in_hand.values())}

    def max_wait(self) -> float:
        """Seconds that chunks have waited at most that were taken since the last call."""
        longest, self._max_wait = self._max_wait, 0.0
        return longest

    @property
    def fill_ratio(self) -> float:
        return len(self._in_hand) / self._most

    @property
    def is_empty(self) -> bool:
        return not (self._in_hand or self._unsettled)

    def step(self) -> None:
        """Settle what is to be settled, put back what has to wait, and take more."""
        self._collect()
        self._settle_all()
        now = time.monotonic()
        if now >= self._sweep_at or self.is_stopping:
            self._sweep_at = now + _SWEEP
            self._sweep(now)
        if now >= self._take_at and not self.is_stopping:
            is_busy = self._take(now)
            self._take_at = now + (_BUSY if is_busy else _IDLE)

    def _collect(self) -> None:
        """Wait for outcomes, or until the next take or look; then for a moment for more."""
        wait = max(0.0, min(self._take_at, self._sweep_at) - time.monotonic())
        if self.is_stopping or self._unsettled:
            wait = _BUSY
        with suppress(queue.Empty):
            first = self._outcomes.get(wait)
            if first is not None:
                self._unsettled.append(first)
                time.sleep(_COLLECT)
            while True:
                settlement = self._outcomes.get()
                if settlement is not None:
                    self._unsettled.append(settlement)

    def _settle_all(self) -> None:
        if not self._unsettled:
            return
        settlements = self._unsettled
        results = self._engine.settle([one.outcome for one in settlements])
        self._unsettled = []
        for one, result in zip(settlements, results, strict=True):
            outcome = one.outcome
            stream = outcome.taken.stream
            if result is Settled.AWAY and self._is_held(outcome.taken.lease):
                self._unsettled.append(one)
                continue
            one.is_settled = result is Settled.DONE
            one.done.set()
            if outcome.fate is not Fate.HELD:
                in_hand = self._in_hand.get(stream)
                if in_hand is not None and in_hand.taken.lease.token == outcome.taken.lease.token:
                    del self._in_hand[stream]
                if outcome.fate in (Fate.DONE, Fate.ENDED):
                    self._put_back.pop(stream, None)

    def _is_held(self, lease: Lease) -> bool:
        held = self.leases.get(lease.shard)
        return held is not None and held.token == lease.token and held.until > time.monotonic()

    def _sweep(self, now: float) -> None:
        """Put back what cannot be sent soon, or has a lease that is lost or to be given back."""
        for one in list(self._in_hand.values()):
            wait = self._put_back_in(one, now)
            if wait is not None:
                self._pool.while_idle(one.stream, partial(one.stream.put_back, wait))

    def _put_back_in(self, one: _InHand, now: float) -> float | None:
        """Seconds after which it may be taken again; None if it is kept in hand."""
        stream = one.stream
        source = stream.source
        if isinstance(source, TakenSource):
            if not source.has_taken:
                # Its outcome is being settled.
                return None
            if source.is_lost:
                return 0.0
        shard = one.taken.lease.shard
        if self.is_stopping or shard in self.leaving or not self._is_held(one.taken.lease):
            return 0.0
        job = stream.next_job(Urgency.NONE)
        due_in = 0.0 if job is None else job[1]
        if due_in > _SOON:
            self._remember(stream, now, 0.0)
            return due_in
        breaker = stream.breaker
        is_closed = breaker is None or breaker.is_closed
        if now - one.since > (_LONG if is_closed or (job and job[0] is Job.LOOK_UP) else _SOON):
            # Longer each time, or many such streams would be taken and put back all the time.
            _, _, before = self._put_back.get(stream.id, (stream, now, 0.0))
            wait = min(max(_SOON, 2 * before), _LONGEST)
            self._remember(stream, now, wait)
            return wait
        return None

    def _remember(self, stream: Stream, now: float, wait: float) -> None:
        self._put_back.pop(stream.id, None)
        self._put_back[stream.id] = stream, now, wait
        # The first one was put back first. If it is not taken again, another shipper does that.
        first, (_, since, _) = next(iter(self._put_back.items()))
        if now - since > _REMEMBERED:
            del self._put_back[first]

    def _take(self, now: float) -> bool:
        """Take what is due; return whether anything was, so that there may be more soon."""
        leases = [
            lease
            for shard, lease in self.leases.items()
            if shard not in self.leaving and lease.outlasts(now)
        ]
        room = self._most - len(self._in_hand)
        if not leases or room <= 0:
            return bool(leases)
        try:
            takes = self._engine.take(
                leases,
                linger=self._linger,
                max_streams=max(1, min(64, room // len(leases))),
                max_bytes=max(1, _MAX_BYTES * room // self._most),
            )
        except ConfigurationError as error:
            self._diagnostics.warn("relay", str(error))
            return False
        if takes.away:
            problem = self._engine.problem or "no answer"
            self._diagnostics.warn("relay", f"the relay is away: {problem}; tried again")
        for taken in takes.taken:
            self._begin(taken, now)
        return bool(takes.taken)

    def _begin(self, taken: Taken, now: float) -> None:
        if taken.stream in self._in_hand:
            # Its former outcome is not settled yet; the shard was lost and leased again.
            self.settle(Outcome(taken, Fate.LATER, parts=taken.parts, again_in=_SOON))
            return
        intake = self._registry.intake(taken.stream)
        if isinstance(intake, RejectingIntake):
            self.settle(Outcome(taken, Fate.ENDED, dropped={intake.cause: 0}))
        elif not (taken.unreported or taken.requests):
            self.settle(Outcome(taken))
        elif isinstance(intake, Stream) and isinstance(intake.source, TakenSource):
            self.taken_over += taken.again
            self._max_wait = max(self._max_wait, taken.waited)
            self._in_hand[taken.stream] = _InHand(intake, taken, now)
            intake.source.offer(taken)
            self._pool.wake(intake)
