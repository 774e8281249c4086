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

from logplex_handler._delivery.fair_queue import Turns
from logplex_handler._process.diagnostics import Stderr
from logplex_handler._sender.circuit_breaker import Host
from logplex_handler._sender.urgency import Hurry
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.resolver import Found
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
        host: Where the request goes, if it is one.
        apart: Whether it counts apart from the others, as it may take long.
    """

    stream: Stream
    job: Job
    host: Host | None
    began: float
    apart: bool


class Agenda:
    """What is to be done for streams. Whoever owns it guards it.

    Args:
        workers: How much may be done at a time: so many requests to hosts that are well, as many to
            others, and as many look-ups.
        let_go: Called with a stream that has had nothing to do for a while.
        hurry: Says how long to wait.
        stderr: Where it is said that no stream can be looked up.
    """

    def __init__(
        self, workers: int, let_go: Callable[[Stream], object], hurry: Hurry, stderr: Stderr
    ) -> None:
        self._workers = workers
        self._let_go = let_go
        self._hurry = hurry
        self._stderr = stderr
        # By time; those that are not their stream's `turn` are of no use any more.
        self._timed: list[tuple[float, int, Stream]] = []
        self._numbers = itertools.count()
        self._turns = Turns()
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
        if stream.telling.is_due and not stream.is_telling:
            stream.is_telling = True
            self._tells.append(stream)
        if stream.turn is Turn.DUE or stream.turn is Turn.UNDER_WAY:
            return
        job = stream.next_job(self._hurry.haste)
        if job is None:
            if stream.id is not None:
                self._plan_at(stream, time.monotonic() + _IDLE)
        elif job[1] > 0:
            self._plan_at(stream, time.monotonic() + job[1])
        elif job[0] is Job.LOOK_UP:
            stream.turn = Turn.DUE
            self._look_ups.append(stream)
        elif stream.host is not None:
            stream.turn = Turn.DUE
            self._turns.add(stream, stream.host)

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
        may_work = self._requests(apart=False) < self._workers
        may_probe = self._requests(apart=True) < self._workers
        for host in self._turns.next_hosts():
            is_apart = not (host.is_well or host.is_new)
            may_begin = may_probe if is_apart else may_work
            if may_begin and (host.is_well or self._probe_in(host, now) == 0):
                for stream in self._turns.streams_of(host):
                    if self._is_still_due(stream, Job.DELIVER, host):
                        return self._begin(stream, Job.DELIVER, host, now, apart=is_apart)
        return None

    def _is_still_due(self, stream: Stream, job: Job, host: Host | None = None) -> bool:
        """Whether it is what it was when it came to wait for its turn; if not, it is planned anew.

        A late answer may have come meanwhile, or others may have had what it waited with.
        """
        if stream.turn is not Turn.DUE:
            return False
        if stream.next_job(self._hurry.haste) == (job, 0.0) and host in (None, stream.host):
            return True
        stream.turn = Turn.NONE
        self.plan(stream)
        return False

    def _may_look_up(self) -> bool:
        under_way = sum([task.job is Job.LOOK_UP for task in self._under_way])
        return under_way < self._workers and len(self._hung) < self._workers

    def _requests(self, *, apart: bool) -> int:
        return sum([t.job is Job.DELIVER and t.apart == apart for t in self._under_way])

    def _probe_in(self, host: Host, now: float) -> float:
        """Seconds until a host that is not well may be tried again."""
        if host.under_way:
            return math.inf
        return host.backoff.remaining(now, self._hurry.haste)

    def _begin(
        self, stream: Stream, job: Job, host: Host | None, now: float, *, apart: bool
    ) -> Task:
        stream.turn = Turn.UNDER_WAY
        task = Task(stream, job, host, now, apart)
        self._under_way.add(task)
        if host is not None:
            host.under_way += 1
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
        if task.host is not None:
            task.host.under_way -= 1
        self.plan(task.stream)

    def is_wanted(self, task: Task, found: Found | LookupFailed | None) -> bool:
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
        may_work = self._requests(apart=False) < self._workers
        may_probe = self._requests(apart=True) < self._workers
        for host in self._turns:
            if host.is_well and may_work:
                return 0.0
            if not host.is_well and (may_work if host.is_new else may_probe):
                times.append(now + self._probe_in(host, now))
        for task in self._under_way:
            if task.job is Job.LOOK_UP:
                times.append(task.began + _LOOK_UP_PATIENCE)
            elif not task.apart and self._turns:
                times.append(task.began + _PATIENCE)
        first = min(times, default=math.inf)
        return None if first == math.inf else max(0.0, first - now)

    def _see_to_time(self, now: float) -> None:
        while self._timed and self._timed[0][0] <= now:
            when, _, stream = heapq.heappop(self._timed)
            if when == stream.turn:
                stream.turn = Turn.NONE
                if stream.next_job(self._hurry.haste) is None and stream.is_idle:
                    self._let_go(stream)
                else:
                    self.plan(stream)
        for task in list(self._under_way):
            if task.job is Job.LOOK_UP:
                if now - task.began >= _LOOK_UP_PATIENCE:
                    self._give_up(task)
            elif task.host is not None and not task.apart and now - task.began >= _PATIENCE:
                task.apart = True
                # Counted before the look whether it was answered just now, in another thread.
                answers = task.host.answers
                outlet = task.stream.outlet
                if outlet.sent_at <= task.began and not outlet.fails_alone:
                    task.host.lose_patience(answers)

    def _give_up(self, task: Task) -> None:
        """It hangs: its stream goes on without an answer, and its thread is lost for look-ups."""
        self._under_way.remove(task)
        self._hung.add(task)
        task.stream.turn = Turn.NONE
        task.stream.end_look_up(LookupFailed(f"no answer within {_LOOK_UP_PATIENCE:g} s"))
        self.plan(task.stream)
        if len(self._hung) == self._workers:
            self._say_stuck()

    def _say_stuck(self) -> None:
        first = min([task.began for task in self._hung])
        since = time.gmtime(time.time() - (time.monotonic() - first))
        self._stderr.say(
            "hung look-ups",
            f"{len(self._hung)} look-ups hang, the first since "
            f"{time.strftime('%Y-%m-%d %H:%M:%S', since)} UTC: until one of them comes back, "
            "no other stream is looked up",
        )
