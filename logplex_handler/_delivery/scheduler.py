"""Decides which job of which stream is next.

Hosts that answer take turns. A host that does not answer, or has not answered yet, gets one request
at a time. Slow requests are counted separately: other requests never wait for them.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator

from logplex_handler._delivery.fair_queue import NEVER, FairQueue
from logplex_handler._delivery.line import Line, Waiting
from logplex_handler._delivery.parking import LONG_LINE, Parking, parks_for_host
from logplex_handler._delivery.tasks import RunningTasks, Slot, Task, hung_in_words
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.due import UrgencyMonitor
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.resolver import Resolved
from logplex_handler.streams.stream import Job, Stream

# Seconds after which a request counts as slow, and other requests no longer wait for it.
_PATIENCE = 0.5
# Seconds after which a look-up counts as failed. A look-up cannot be stopped.
_LOOK_UP_PATIENCE = 30.0
# Seconds after which an idle stream is retired.
_IDLE = 5.0

# When to look at a stream again; the look-up or the host that it waits for; or its running task.
_Plan = float | Job | CircuitBreaker | Task
# A step returns the task that it began, if any.
_Step = Callable[[float], Task | None]


class Scheduler:
    """Plans the jobs of streams. The owner guards it.

    Args:
        workers: The limit for concurrent requests to hosts that answer, for probes of other hosts,
            and for look-ups.
        clock: A monotonic clock, in seconds. Default: `time.monotonic`.
    """

    def __init__(
        self,
        workers: int,
        registry: Registry,
        urgency: UrgencyMonitor,
        diagnostics: Diagnostics,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._workers = workers
        self._registry = registry
        self._urgency = urgency
        self._diagnostics = diagnostics
        # Not a default argument: backoffs must be read on the clock that they were set on.
        self._clock = time.monotonic if clock is None else clock
        # The plan for each stream. An item of a timer or queue that is not its stream's plan is
        # outdated. A job that waits is no object of its own, because so many may wait.
        self._plans: dict[Stream, _Plan] = {}
        self._parking = Parking(registry, self._plans)
        # A heap of the streams to look at again. The number decides between equal times.
        self._timers: list[tuple[float, int, Stream]] = []
        self._numbers = itertools.count()
        self._requests: FairQueue = FairQueue(urgency)
        self._look_ups = Line()
        # Streams with drops to report, whatever their plan; `_reporting` also contains the stream
        # whose drops are being reported.
        self._reports: deque[Stream] = deque()
        self._reporting: set[Stream] = set()
        self._running = RunningTasks()

    def plan(self, stream: Stream) -> None:
        """Plan the next job of a stream after news of it."""
        if stream.is_retired:
            self._registry.revive(stream)
        self._plan_report(stream)
        plan = self._plans.get(stream)
        if plan is None or isinstance(plan, float):
            self._plan_job(stream, stream.next_job(self._urgency.current))
        elif not isinstance(plan, Task | Job):
            # While a caller flushes, the host's backoff is shorter.
            self._requests.update(plan, self._clock())

    @property
    def has_task_of_this_thread(self) -> bool:
        return bool(self._running.of_this_thread())

    def recover(self) -> None:
        """Plan everything again after an interruption of this thread, such as Ctrl-C.

        The tasks of this thread have ended, wherever it was interrupted.
        """
        for task in self._running.of_this_thread():
            self._running.end(task)
        # First: parked ones wait for hosts, which are forgotten.
        streams = {*self._registry.all_streams(), *self._plans}
        running = {*self._running}
        breakers = [task.breaker for task in running if task.breaker is not None]
        self._requests = FairQueue(self._urgency, breakers)
        self._look_ups = Line()
        self._reports.clear()
        self._reporting = {task.stream for task in self._running[Slot.REPORT]}
        for stream in streams:
            if self._plans.get(stream) not in running:
                self._plans.pop(stream, None)
                self.plan(stream)

    def _plan_report(self, stream: Stream) -> None:
        if stream.has_drops_to_report and stream not in self._reporting:
            self._reporting.add(stream)
            self._reports.append(stream)

    def _plan_job(self, stream: Stream, job: tuple[Job, float] | None) -> None:
        if job is None:
            if stream.id is not None:
                self._look_again_in(_IDLE, stream)
            return
        urgency, breaker, now = self._urgency.current, stream.breaker, self._clock()
        parks = job[0] is Job.DELIVER and parks_for_host(stream, job[1], now, urgency)
        if job[1] > 0 and not parks:
            self._look_again_in(job[1], stream)
        elif job[0] is Job.LOOK_UP:
            self._plans[stream] = Job.LOOK_UP
            is_long = len(self._look_ups) >= LONG_LINE and not urgency
            self._look_ups.append(self._parking.in_line(stream, parks=is_long))
        elif breaker is not None:
            self._plans[stream] = breaker
            self._requests.add(self._parking.in_line(stream, parks=parks), breaker, now)

    def _look_again_in(self, seconds: float, stream: Stream) -> None:
        due_at, plan = self._clock() + seconds, self._plans.get(stream)
        if not isinstance(plan, float) or due_at < plan:
            self._plans[stream] = due_at
            heapq.heappush(self._timers, (due_at, next(self._numbers), stream))

    def take(self, *, look_ups: bool = True) -> Task | None:
        """Begin and return the task that is due, or None. The caller calls `end` after the task."""
        now = self._clock()
        while True:
            due_at, step = self._next(now, look_ups=look_ups)
            if due_at > now:
                return None
            if task := step(now):
                return task

    def due_at(self) -> float:
        """Return when the next step is due, unless news comes first; infinite if there is none."""
        return self._next(self._clock(), look_ups=True)[0]

    def _next(self, now: float, *, look_ups: bool) -> tuple[float, _Step]:
        """Return the next step and when it is due: the first step due now, or else the earliest."""
        next_step: tuple[float, _Step] = (math.inf, self._look_again)
        for due_at, step in self._steps(look_ups=look_ups):
            if due_at <= now:
                return due_at, step
            if due_at < next_step[0]:
                next_step = due_at, step
        return next_step

    def _steps(self, *, look_ups: bool) -> Iterator[tuple[float, _Step]]:
        """Yield when each step with a free slot is due; of several due ones, the first is taken.

        A step begins a task, or makes another step the next one.
        """
        tasks, workers = self._running, self._workers
        yield self._first_timer(), self._look_again
        for task in tasks[Slot.LOOK_UP]:
            yield task.began + _LOOK_UP_PATIENCE, self._give_up
            break
        if self._requests:
            # Only then does another request wait for a slow one.
            for task in tasks[Slot.REQUEST]:
                yield task.began + _PATIENCE, self._set_apart
                break
        if self._reports and not tasks[Slot.REPORT]:
            yield -math.inf, self._begin_report
        hung = len(tasks[Slot.HUNG])
        if look_ups and self._look_ups and max(hung, len(tasks[Slot.LOOK_UP])) < workers:
            yield -math.inf, self._begin_look_up
        requests = probes = NEVER
        if len(tasks[Slot.REQUEST]) < workers:
            requests = self._requests.next_turn(is_probe=False)
        if len(tasks[Slot.PROBE]) < workers:
            probes = self._requests.next_turn(is_probe=True)
        slot = Slot.REQUEST if requests <= probes else Slot.PROBE
        yield min(requests, probes)[0], lambda now: self._begin_request(slot, now)

    def _first_timer(self) -> float:
        while self._timers:
            due_at, _, stream = self._timers[0]
            if self._plans.get(stream) is due_at:
                return due_at
            heapq.heappop(self._timers)
        return math.inf

    def _look_again(self, now: float) -> None:
        stream = heapq.heappop(self._timers)[2]
        del self._plans[stream]
        self._plan_report(stream)
        job = stream.next_job(self._urgency.current)
        is_idle = job is None and stream.is_idle and stream not in self._reporting
        if not (is_idle and self._registry.retire(stream)):
            self._plan_job(stream, job)

    def _begin_report(self, now: float) -> Task:
        # Only one report at a time: the application's callback may take long, and does not expect
        # concurrent calls.
        return self._running.begin(Task(self._reports.popleft(), Job.REPORT), Slot.REPORT, now)

    def _begin_look_up(self, now: float) -> Task | None:
        return self._begin(self._look_ups.popleft(), Job.LOOK_UP, Slot.LOOK_UP, now)

    def _begin_request(self, slot: Slot, now: float) -> Task | None:
        if (host := self._requests.first(now, is_probe=slot is Slot.PROBE)) is None:
            return None
        # Once round: streams that are parked again, as the host has just failed, are back in line.
        for _ in range(len(host.waiting)):
            if task := self._begin(self._requests.pop(host), host.breaker, slot, now):
                return task
        self._requests.update(host.breaker, now)
        return None

    def take_along(self, breaker: CircuitBreaker, most: int) -> list[Task]:
        """Begin requests to send together with one to the same host; the caller calls `end`."""
        now = self._clock()
        host = self._requests.host_of(breaker)
        found: list[Task] = []
        while host.waiting and len(found) < most:
            if task := self._begin(self._requests.pop(host), breaker, Slot.ALONG, now):
                found.append(task)
        return found

    def _begin(
        self, waiting: Waiting, waits_for: Job | CircuitBreaker, slot: Slot, now: float
    ) -> Task | None:
        """Begin what the stream waits for; if it has another job by now, plan that.

        Its job may change because of a late answer, or because other streams used memory or time.
        """
        stream = self._parking.at_front(waiting, waits_for)
        if stream is None or self._plans.get(stream) is not waits_for:
            return None
        breaker = None if isinstance(waits_for, Job) else waits_for
        job = Job.LOOK_UP if breaker is None else Job.DELIVER
        next_job = stream.next_job(self._urgency.current)
        if next_job != (job, 0.0) or breaker not in (None, stream.breaker):
            del self._plans[stream]
            self._plan_job(stream, next_job)
            return None
        if breaker is not None:
            self._requests.begin(breaker, now)
        task = self._plans[stream] = Task(stream, job, breaker)
        return self._running.begin(task, slot, now)

    def _set_apart(self, now: float) -> None:
        """Move a slow request out of the slots for hosts that answer."""
        task = next(iter(self._running[Slot.REQUEST]))
        self._running.move(task, Slot.PROBE)
        breaker = task.breaker
        if breaker is not None:
            # Read before checking whether another thread has just received an answer.
            answers = breaker.answers
            if task.stream.has_silent_host(task.began):
                breaker.suspect(answers)
            self._requests.update(breaker, now)

    def _give_up(self, now: float) -> None:
        """Give up a hanging look-up: its stream continues without it, and a slot stays in use."""
        task = next(iter(self._running[Slot.LOOK_UP]))
        self._running.move(task, Slot.HUNG)
        del self._plans[task.stream]
        task.stream.end_look_up(LookupFailed(f"no answer within {_LOOK_UP_PATIENCE:g} s"))
        self.plan(task.stream)
        hung = self._running[Slot.HUNG]
        if len(hung) == self._workers:
            self._diagnostics.warn("hung look-ups", hung_in_words(hung, now))

    def accept_answer(self, task: Task, found: Resolved | LookupFailed | None) -> bool:
        """Return whether the stream gets the answer of a look-up; called before `end`.

        The answer of a hung look-up is ignored if it failed, or while the stream's next task is
        running.
        """
        if task.slot is Slot.HUNG:
            plan = self._plans.get(task.stream)
            if isinstance(plan, Task) or isinstance(found, LookupFailed):
                return False
            self._plans[task.stream] = task
        # An answered look-up is no longer given up.
        self._running.move(task, Slot.ANSWERED)
        return True

    def while_idle(self, stream: Stream, function: Callable[[], object]) -> bool:
        """Drop the job that waits, and call a function; False if a task of the stream runs."""
        plan = self._plans.get(stream)
        if isinstance(plan, Task):
            return False
        if plan is not None and not isinstance(plan, float):
            del self._plans[stream]
        function()
        return True

    def end(self, task: Task) -> None:
        stream = task.stream
        if task.slot is Slot.REPORT:
            self._reporting.discard(stream)
        elif self._plans.get(stream) is task:
            del self._plans[stream]
        if task.breaker is not None:
            self._requests.end(task.breaker, self._clock())
        self.plan(stream)
        # Last, so that `recover` ends it if this is interrupted.
        self._running.end(task)
