"""Which stream is next, and what for: so that each gets its share, and none waits for another.

The streams of a host that is well take turns, and so do the hosts. A host that has not answered its
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

from logplex_handler._host import Host
from logplex_handler._lookup import Found
from logplex_handler._stream import Job, Stream
from logplex_handler.errors import LookupFailed

# When a stream is due that waits for its turn.
_DUE = -math.inf
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
        host: Where the request goes, if it is one.
        apart: Whether it counts apart from the others, as it may take long.
        given_up: Whether nobody waits for its end any more.
    """

    stream: Stream
    job: Job
    host: Host | None
    began: float
    apart: bool
    given_up: bool = False


class Agenda:
    """What is to be done for streams. Whoever owns it guards it.

    Args:
        workers: How much may be done at a time: so many requests to hosts that are well, as many to
            others, and as many look-ups.
        let_go: Called with a stream that has had nothing to do for a while.

    Attributes:
        closing: Whether all is to be delivered now, as there is no later.
        flushing: How many wait for what is queued.
    """

    def __init__(self, workers: int, let_go: Callable[[Stream], object]) -> None:
        self.closing = False
        self.flushing = 0
        self._workers = workers
        self._let_go = let_go
        # By time; those that are not at their stream's `planned_at` are of no use any more.
        self._timed: list[tuple[float, int, Stream]] = []
        self._numbers = itertools.count()
        # The streams that are due, by host; and the hosts that have some, in turn.
        self._due: dict[Host, deque[Stream]] = {}
        self._turns: deque[Host] = deque()
        self._look_ups: deque[Stream] = deque()
        # Those with drops that nobody was told of. One at a time is: the application's callback may
        # take long, and expect no other call of it meanwhile.
        self._tells: deque[Stream] = deque()
        self._is_telling = False
        self._under_way: dict[Stream, Task] = {}
        self._hung_look_ups = 0

    def plan(self, stream: Stream) -> None:
        """There is news of a stream, or its time has come."""
        if stream.buffer.has_unheard_drops and not stream.is_telling:
            stream.is_telling = True
            self._tells.append(stream)
        if stream in self._under_way or stream.planned_at == _DUE:
            return
        job = stream.next_job(closing=self.closing)
        if job is None:
            if stream.id is not None:
                self._plan_at(stream, time.monotonic() + _IDLE)
        elif job[1] > 0:
            self._plan_at(stream, time.monotonic() + job[1])
        else:
            stream.planned_at = _DUE
            if job[0] is Job.LOOK_UP:
                self._look_ups.append(stream)
            else:
                self._queue(stream, stream.host)

    def _plan_at(self, stream: Stream, when: float) -> None:
        if when < stream.planned_at:
            stream.planned_at = when
            heapq.heappush(self._timed, (when, next(self._numbers), stream))

    def _queue(self, stream: Stream, host: Host | None) -> None:
        if host is not None:
            if host not in self._due:
                self._due[host] = deque()
                self._turns.append(host)
            self._due[host].append(stream)

    def take(self, *, look_ups: bool = True) -> Task | None:
        """What to do now; `end` is to be called when it is done. None if that has to wait."""
        now = time.monotonic()
        self._see_to_time(now)
        if self._tells and not self._is_telling:
            self._is_telling = True
            return Task(self._tells.popleft(), Job.TELL, None, now, apart=True)
        while look_ups and self._look_ups and self._may_look_up():
            stream = self._look_ups.popleft()
            stream.planned_at = math.inf
            if stream.next_job(closing=self.closing) == (Job.LOOK_UP, 0.0):
                return self._begin(stream, Job.LOOK_UP, None, now, apart=True)
            # A late answer has come meanwhile.
            self.plan(stream)
        may_work = self._requests(apart=False) < self._workers
        may_probe = self._requests(apart=True) < self._workers
        for _ in range(len(self._turns)):
            host = self._turns[0]
            self._turns.rotate(-1)
            is_apart = not (host.is_well or host.is_new)
            may_begin = may_probe if is_apart else may_work
            if may_begin and (host.is_well or self._probe_in(host, now) == 0):
                due = self._next_due(host)
                if due is not None:
                    return self._begin(due, Job.DELIVER, host, now, apart=is_apart)
        return None

    def _next_due(self, host: Host) -> Stream | None:
        """The next stream of a host, which has had its turn just now."""
        streams = self._due[host]
        while streams:
            stream = streams.popleft()
            stream.planned_at = math.inf
            if not streams:
                self._turns.remove(host)
                del self._due[host]
            is_due = stream.next_job(closing=self.closing) == (Job.DELIVER, 0.0)
            if is_due and stream.host is host:
                return stream
            # It was when it came here.
            self.plan(stream)
        return None

    def _may_look_up(self) -> bool:
        under_way = sum([task.job is Job.LOOK_UP for task in self._under_way.values()])
        return under_way < self._workers and self._hung_look_ups < self._workers

    def _requests(self, *, apart: bool) -> int:
        tasks = self._under_way.values()
        return sum([task.job is Job.DELIVER and task.apart == apart for task in tasks])

    def _probe_in(self, host: Host, now: float) -> float:
        """Seconds until a host that is not well may be tried again."""
        if host.under_way:
            return math.inf
        in_a_hurry = self.closing or self.flushing > 0
        return host.backoff.remaining(now, in_a_hurry=in_a_hurry)

    def _begin(
        self, stream: Stream, job: Job, host: Host | None, now: float, *, apart: bool
    ) -> Task:
        stream.planned_at = math.inf
        task = Task(stream, job, host, now, apart)
        self._under_way[stream] = task
        if host is not None:
            host.under_way += 1
        return task

    def end(self, task: Task) -> None:
        """It is done."""
        if task.job is Job.TELL:
            self._is_telling = task.stream.is_telling = False
        elif task.given_up:
            self._hung_look_ups -= 1
        else:
            del self._under_way[task.stream]
        if task.host is not None:
            task.host.under_way -= 1
        self.plan(task.stream)

    def take_late_answer(self, task: Task, found: Found | None) -> None:
        """A look-up that was given up has come back; while a request is made it is of no use."""
        if task.stream not in self._under_way and not task.stream.ended:
            task.stream.end_look_up(found)

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
        for task in self._under_way.values():
            if task.job is Job.LOOK_UP:
                times.append(task.began + _LOOK_UP_PATIENCE)
            elif not task.apart and self._turns:
                times.append(task.began + _PATIENCE)
        first = min(times, default=math.inf)
        return None if first == math.inf else max(0.0, first - now)

    def _see_to_time(self, now: float) -> None:
        while self._timed and self._timed[0][0] <= now:
            when, _, stream = heapq.heappop(self._timed)
            if when == stream.planned_at:
                stream.planned_at = math.inf
                if stream.next_job(closing=self.closing) is None and stream.is_idle:
                    self._let_go(stream)
                else:
                    self.plan(stream)
        for task in list(self._under_way.values()):
            if task.job is Job.LOOK_UP:
                if now - task.began >= _LOOK_UP_PATIENCE:
                    self._give_up(task)
            elif task.host is not None and not task.apart and now - task.began >= _PATIENCE:
                task.apart = True
                if not task.stream.outlet.fails_alone:
                    task.host.is_well = False

    def _give_up(self, task: Task) -> None:
        task.given_up = True
        self._hung_look_ups += 1
        del self._under_way[task.stream]
        task.stream.end_look_up(LookupFailed(f"no answer within {_LOOK_UP_PATIENCE:g} s"))
        self.plan(task.stream)
