"""What is done next, for which stream: so that each gets its share, and none waits for another.

The hosts that are well take turns. A host that has not answered its
last request yet, or not in time, gets one request at a time, for one stream or the other, and apart
from the rest: others never wait for it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from logplex_handler._delivery.fair_queue import FairQueue
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.urgency import UrgencyMonitor
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.resolver import Resolved
from logplex_handler.streams.stream import Job, Stream, Turn

# Seconds after which a request is one that others do not wait for any more.
_PATIENCE = 0.5
# Seconds after which a look-up is given up: it cannot be stopped, but counts as failed.
_LOOK_UP_PATIENCE = 30.0
# Seconds that a stream has nothing to do before it is let go of.
_IDLE = 5.0


@dataclass(eq=False)
class Task:
    """Something that is being done for a stream.

    Attributes:
        began: On the monotonic clock; infinite where nobody is to lose patience with it.
        breaker: Where the request goes, if it is one.
        apart: Whether it counts apart from the others, as it may take long.
    """

    stream: Stream
    job: Job
    breaker: CircuitBreaker | None
    began: float
    apart: bool


class Scheduler:
    """What is to be done for streams. Whoever owns it guards it.

    Args:
        workers: How much may be done at a time: so many requests to hosts that are well, as many to
            others, and as many look-ups.
        let_go: Called with a stream that has had nothing to do for a while.
        urgency: Says how long to wait.
        diagnostics: Where it is said that no stream can be looked up.
    """

    def __init__(
        self,
        workers: int,
        let_go: Callable[[Stream], object],
        urgency: UrgencyMonitor,
        diagnostics: Diagnostics,
    ) -> None:
        self._worker_pool = workers
        self._let_go = let_go
        self._urgency = urgency
        self._diagnostics = diagnostics
        # By time; those that are not their stream's `turn` are of no use any more.
        self._timed: list[tuple[float, int, Stream]] = []
        self._numbers = itertools.count()
        self._fair_queue = FairQueue()
        self._look_ups: deque[Stream] = deque()
        # Those with drops that nobody was told of. One at a time is: the application's callback may
        # take long, and expect no other call of it meanwhile.
        self._tells: deque[Stream] = deque()
        self._is_telling = False
        self._under_way: set[Task] = set()
        # Look-ups that were given up, and have not come back.
        self._hung: set[Task] = set()

    def plan(self, stream: Stream) -> None:
        """There is news of a stream, or its time has come."""
        if stream.drop_notices.is_due and not stream.is_telling:
            stream.is_telling = True
            self._tells.append(stream)
        if stream.turn is Turn.DUE or stream.turn is Turn.UNDER_WAY:
            return
        job = stream.next_job(self._urgency.current)
        if job is None:
            if stream.id is not None:
                self._plan_at(stream, time.monotonic() + _IDLE)
        elif job[1] > 0:
            self._plan_at(stream, time.monotonic() + job[1])
        elif job[0] is Job.LOOK_UP:
            stream.turn = Turn.DUE
            self._look_ups.append(stream)
        elif stream.breaker is not None:
            stream.turn = Turn.DUE
            self._fair_queue.add(stream, stream.breaker)

    def _plan_at(self, stream: Stream, when: float) -> None:
        if not isinstance(stream.turn, float) or when < stream.turn:
            stream.turn = when
            heapq.heappush(self._timed, (when, next(self._numbers), stream))

    def take(self, *, look_ups: bool = True) -> Task | None:
        """What to do now; `end` is to be called when it is done. None if that has to wait."""
        now = time.monotonic()
        self._see_to_time(now)
        if self._tells and not self._is_telling:
            self._is_telling = True
            return Task(self._tells.popleft(), Job.TELL, None, now, apart=True)
        while look_ups and self._look_ups and self._may_look_up():
            stream = self._look_ups.popleft()
            if self._is_still_due(stream, Job.LOOK_UP):
                return self._begin(stream, Job.LOOK_UP, None, now, apart=True)
        may_work = self._requests(apart=False) < self._worker_pool
        may_probe = self._requests(apart=True) < self._worker_pool
        for breaker in self._fair_queue.next_hosts():
            is_apart = not (breaker.is_closed or breaker.is_untried)
            may_begin = may_probe if is_apart else may_work
            if may_begin and (breaker.is_closed or self._probe_in(breaker, now) == 0):
                for stream in self._fair_queue.streams_of(breaker):
                    if self._is_still_due(stream, Job.DELIVER, breaker):
                        return self._begin(stream, Job.DELIVER, breaker, now, apart=is_apart)
        return None

    def _is_still_due(
        self, stream: Stream, job: Job, breaker: CircuitBreaker | None = None
    ) -> bool:
        """Whether it is what it was when it came to wait for its turn; if not, it is planned anew.

        A late answer may have come meanwhile, or others may have had what it waited with.
        """
        if stream.turn is not Turn.DUE:
            return False
        if stream.next_job(self._urgency.current) == (job, 0.0) and breaker in (
            None,
            stream.breaker,
        ):
            return True
        stream.turn = Turn.NONE
        self.plan(stream)
        return False

    def _may_look_up(self) -> bool:
        under_way = sum([task.job is Job.LOOK_UP for task in self._under_way])
        return under_way < self._worker_pool and len(self._hung) < self._worker_pool

    def _requests(self, *, apart: bool) -> int:
        return sum([t.job is Job.DELIVER and t.apart == apart for t in self._under_way])

    def _probe_in(self, breaker: CircuitBreaker, now: float) -> float:
        """Seconds until a host that is not well may be tried again."""
        if breaker.in_progress:
            return math.inf
        return breaker.backoff.remaining(now, self._urgency.current)

    def _begin(
        self, stream: Stream, job: Job, breaker: CircuitBreaker | None, now: float, *, apart: bool
    ) -> Task:
        stream.turn = Turn.UNDER_WAY
        task = Task(stream, job, breaker, now, apart)
        self._under_way.add(task)
        if breaker is not None:
            breaker.in_progress += 1
        return task

    def end(self, task: Task) -> None:
        """It is done."""
        if task.job is Job.TELL:
            self._is_telling = task.stream.is_telling = False
        elif task in self._hung:
            self._hung.remove(task)
        else:
            self._under_way.remove(task)
            task.stream.turn = Turn.NONE
        if task.breaker is not None:
            task.breaker.in_progress -= 1
        self.plan(task.stream)

    def is_wanted(self, task: Task, found: Resolved | LookupFailed | None) -> bool:
        """Whether the answer to a look-up is of use, and so its stream's, before `end` is called.

        One that comes after it was given up is not while a request is made, nor if it has failed.
        """
        stream = task.stream
        if task in self._hung:
            if stream.turn is Turn.UNDER_WAY or isinstance(found, LookupFailed):
                return False
            self._hung.remove(task)
            self._under_way.add(task)
            stream.turn = Turn.UNDER_WAY
        # From now on it is not given up any more.
        task.began = math.inf
        return True

    def pause(self) -> float | None:
        """Seconds until `take` may have something to say, if nothing happens before."""
        now = time.monotonic()
        if self._tells and not self._is_telling:
            return 0.0
        if self._look_ups and self._may_look_up():
            return 0.0
        times = [self._timed[0][0]] if self._timed else []
        may_work = self._requests(apart=False) < self._worker_pool
        may_probe = self._requests(apart=True) < self._worker_pool
        for breaker in self._fair_queue:
            if breaker.is_closed and may_work:
                return 0.0
            if not breaker.is_closed and (may_work if breaker.is_untried else may_probe):
                times.append(now + self._probe_in(breaker, now))
        for task in self._under_way:
            if task.job is Job.LOOK_UP:
                times.append(task.began + _LOOK_UP_PATIENCE)
            elif not task.apart and self._fair_queue:
                times.append(task.began + _PATIENCE)
        first = min(times, default=math.inf)
        return None if first == math.inf else max(0.0, first - now)

    def _see_to_time(self, now: float) -> None:
        while self._timed and self._timed[0][0] <= now:
            when, _, stream = heapq.heappop(self._timed)
            if when == stream.turn:
                stream.turn = Turn.NONE
                if stream.next_job(self._urgency.current) is None and stream.is_idle:
                    self._let_go(stream)
                else:
                    self.plan(stream)
        for task in list(self._under_way):
            if task.job is Job.LOOK_UP:
                if now - task.began >= _LOOK_UP_PATIENCE:
                    self._give_up(task)
            elif task.breaker is not None and not task.apart and now - task.began >= _PATIENCE:
                task.apart = True
                # Counted before the look whether it was answered just now, in another thread.
                answers = task.breaker.answers
                sender = task.stream.sender
                if sender.sent_at <= task.began and not sender.fails_alone:
                    task.breaker.suspect(answers)

    def _give_up(self, task: Task) -> None:
        """It hangs: its stream goes on without an answer, and its thread is lost for look-ups."""
        self._under_way.remove(task)
        self._hung.add(task)
        task.stream.turn = Turn.NONE
        task.stream.end_look_up(LookupFailed(f"no answer within {_LOOK_UP_PATIENCE:g} s"))
        self.plan(task.stream)
        if len(self._hung) == self._worker_pool:
            self._say_stuck()

    def _say_stuck(self) -> None:
        first = min([task.began for task in self._hung])
        since = time.gmtime(time.time() - (time.monotonic() - first))
        self._diagnostics.warn(
            "hung look-ups",
            f"{len(self._hung)} look-ups hang, the first since "
            f"{time.strftime('%Y-%m-%d %H:%M:%S', since)} UTC: until one of them comes back, "
            "no other stream is looked up",
        )
