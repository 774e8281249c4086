"""The scheduler beside an oracle that looks at everything, whatever the order of events.

Time is counted in quarters of a second, which floats hold exactly.
"""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from logplex_handler._delivery import scheduler
from logplex_handler._delivery.parking import LONG_LINE
from logplex_handler._delivery.scheduler import (
    _IDLE,
    _LOOK_UP_PATIENCE,
    _PATIENCE,
    Scheduler,
)
from logplex_handler._delivery.tasks import Slot
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.due import Urgency
from logplex_handler.errors import LookupFailed
from logplex_handler.streams.stream import Job

# Seconds until a failed host is tried again at most while somebody flushes.
_FLUSHING_WAIT = 0.5

which = st.integers(0, 6)
seconds = st.sampled_from([0.0, 0.25, 1.0, 3.0])


class Backoff:
    def __init__(self):
        self.failed_at = self.not_before = -math.inf

    def due_at(self, urgency):
        return min(self.not_before, self.failed_at + _FLUSHING_WAIT) if urgency else self.not_before

    def remaining(self, now, urgency):
        return max(0.0, self.due_at(urgency) - now)


class Breaker:
    """A host whose answers the test chooses."""

    is_exclusive = False

    def __init__(self, name):
        self.name = name
        self.backoff = Backoff()
        self.is_untried = True
        self.answers = 0
        self.was_closed = False
        self.silent_at = -1

    @property
    def is_closed(self):
        return self.was_closed and self.silent_at != self.answers

    def remaining(self, now, urgency):
        return self.backoff.remaining(now, urgency)

    def suspect(self, answers):
        self.silent_at = answers

    def note(self, *, is_well):
        self.is_untried = False
        self.was_closed = is_well
        self.answers += is_well
        if is_well:
            self.backoff = Backoff()


class Stream:
    """A stream with work for some later time, if it has any."""

    def __init__(self, machine, number, *, fails_alone):
        self.machine = machine
        self.id = number
        self.breaker = None
        self.is_retired = self.is_parked = self.stays = False
        self.has_drops_to_report = self.has_dropped = False
        self.fails_alone = fails_alone
        self.work_at = None
        self.is_sought = True
        self.is_asking = False

    @property
    def may_park(self):
        return self.machine.parks and not (self.stays or self.is_asking)

    @property
    def is_idle(self):
        return self.work_at is None and not self.is_asking

    def job(self):
        """The job that there is, due or not."""
        if self.work_at is None or (self.is_sought and self.is_asking):
            return None
        return Job.LOOK_UP if self.is_sought else Job.DELIVER

    def next_job(self, urgency):
        job = self.job()
        return None if job is None else (job, max(0.0, self.work_at - self.machine.now))

    def has_silent_host(self, since):
        return not self.fails_alone

    def end_look_up(self, found):
        if isinstance(found, Breaker):
            self.breaker = found
            self.is_sought = False
        elif found is None:
            self.work_at = None
        else:
            # Without an answer, the old destination is tried further.
            self.is_sought = self.breaker is None
            self.work_at = None if self.work_at is None else self.machine.now + 1.0


class SchedulerMachine(RuleBasedStateMachine):
    """Streams get work and drops, time goes on, tasks begin, and end in every way."""

    # What is being done.
    tasks = Bundle("tasks")

    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.current = Urgency.NONE
        self.streams = []
        self.breakers = [Breaker(name) for name in "abc"]
        self.running = []
        # Requests that were not slow so far; and how many answers a host had given when one was.
        self.fast = set()
        self.suspected_at = {}
        self.planned = set()
        self.retired = set()
        # Whether streams in long lines can be parked.
        self.parks = True
        scheduler.LONG_LINE = 1
        # How often a stream or a host was passed over, and by which other one, since it began to
        # wait. Whatever may have ended the wait meanwhile clears it.
        self.passed = {}

    # What the scheduler calls.

    def retire(self, stream):
        assert stream.is_idle
        assert not stream.has_drops_to_report
        assert not any(task.stream is stream for task in self.running)
        assert not stream.is_parked
        stream.stays = False
        stream.is_retired = True
        self.retired.add(stream)
        return True

    def revive(self, stream):
        stream.is_retired = False
        self.retired.remove(stream)

    def park(self, stream):
        assert stream.may_park
        assert stream.job() is not None
        assert not self.current
        if stream.has_dropped:
            return False
        assert not any(task.stream is stream for task in self.running)
        stream.is_parked = True
        return True

    def resume(self, number):
        stream = self.streams[number]
        stream.is_parked = False
        return stream

    def plan(self, stream):
        """As after a record, or when a flush has begun, for which a parked stream is taken back."""
        stream.stays = stream.stays or stream.is_parked
        stream.is_parked = False
        self.planned.add(stream)
        self.scheduler.plan(stream)

    # The oracle.

    def is_slow(self, task, at):
        return task.slot is Slot.REQUEST and at - task.began >= _PATIENCE

    def is_hung(self, task, at):
        given_up = task.slot is Slot.LOOK_UP and at - task.began >= _LOOK_UP_PATIENCE
        return given_up or task.slot is Slot.HUNG

    def has_task(self, stream, at):
        return any(
            task.stream is stream and task.job is not Job.REPORT and not self.is_hung(task, at)
            for task in self.running
        )

    def due_streams(self, job, at):
        return [
            stream
            for stream in self.streams
            if stream.job() is job and stream.work_at <= at and not self.has_task(stream, at)
        ]

    def servable(self, breaker, at):
        """Whether a request to the host may begin, if nothing happens until then."""
        requests = [task for task in self.running if task.job is Job.DELIVER]
        own = [task for task in requests if task.breaker is breaker]
        is_suspected = self.suspected_at.get(breaker) == breaker.answers or any(
            self.is_slow(task, at) and not task.stream.fails_alone for task in own
        )
        is_closed = breaker.was_closed and not is_suspected
        is_probe = not is_closed and not breaker.is_untried
        apart = [task.slot is Slot.PROBE or self.is_slow(task, at) for task in requests]
        if apart.count(is_probe) >= self.workers:
            return False
        return is_closed or (not own and breaker.backoff.due_at(self.current) <= at)

    def allowed(self, at, *, look_ups=True):
        """All that may begin then, if nothing happens until then."""
        found = []
        if not any(task.job is Job.REPORT for task in self.running):
            found += [(Job.REPORT, stream) for stream in self.streams if stream.has_drops_to_report]
        hung = [self.is_hung(task, at) for task in self.running if task.job is Job.LOOK_UP]
        asking = [
            not self.is_hung(task, at) and task.slot is Slot.LOOK_UP
            for task in self.running
            if task.job is Job.LOOK_UP
        ]
        if look_ups and hung.count(True) < self.workers and asking.count(True) < self.workers:
            found += [(Job.LOOK_UP, stream) for stream in self.due_streams(Job.LOOK_UP, at)]
        for stream in self.due_streams(Job.DELIVER, at):
            if self.servable(stream.breaker, at):
                found.append((Job.DELIVER, stream))
        return found

    def moments(self):
        """All times at which more may be allowed than before."""
        for stream in self.streams:
            if stream.work_at is not None:
                yield stream.work_at
        for breaker in self.breakers:
            yield breaker.backoff.due_at(self.current)
        for task in self.running:
            yield task.began + _PATIENCE
            yield task.began + _LOOK_UP_PATIENCE

    # What happens.

    @initialize(
        workers=st.integers(1, 3),
        streams=st.lists(
            st.tuples(
                st.sampled_from([None, 0, 0, 0, 1, 2]), st.sampled_from([False, False, True])
            ),
            min_size=2,
            max_size=7,
        ),
    )
    def begin(self, workers, streams):
        self.workers = workers
        self.scheduler = Scheduler(workers, self, self, Diagnostics(), lambda: self.now)
        for number, (host, is_sought) in enumerate(streams):
            stream = Stream(self, number, fails_alone=number == 2)
            if host is not None:
                stream.breaker = self.breakers[host]
                stream.is_sought = is_sought
            self.streams.append(stream)

    @rule(which=which, wait=seconds)
    def log(self, which, wait):
        stream = self.streams[which % len(self.streams)]
        if stream.work_at is None or self.now + wait < stream.work_at:
            stream.work_at = self.now + wait
        self.plan(stream)

    @rule(wait=seconds)
    def log_to_all(self, wait):
        for stream in self.streams:
            if stream.work_at is None:
                stream.work_at = self.now + wait
                self.plan(stream)

    @rule(which=which)
    def drop(self, which):
        stream = self.streams[which % len(self.streams)]
        stream.has_drops_to_report = stream.has_dropped = True
        self.plan(stream)

    @rule(which=which)
    def lose_work(self, which):
        """As when memory is given to other streams; the scheduler is not told."""
        stream = self.streams[which % len(self.streams)]
        if stream.is_parked:
            return
        stream.work_at = None
        self.passed.pop(stream, None)
        self.passed.pop(stream.breaker, None)

    @rule()
    def begin_or_end_flush(self):
        self.current = Urgency.NONE if self.current else Urgency.FLUSHING
        for breaker in self.breakers:
            if not breaker.is_closed:
                self.passed.pop(breaker, None)
        for stream in self.streams:
            self.plan(stream)

    @rule()
    def begin_or_end_parking(self):
        self.parks = not self.parks

    @rule(wait=st.sampled_from([0.25, 0.5, 1.0, 1.0, _IDLE]))
    def advance(self, wait):
        self.now += wait

    @precondition(lambda self: any(task.slot is Slot.LOOK_UP for task in self.running))
    @rule()
    def hang(self):
        """No look-up returns in time."""
        self.now += _LOOK_UP_PATIENCE

    @rule()
    def sleep(self):
        """As a worker does that has nothing to do."""
        due_at = self.scheduler.due_at()
        if self.now < due_at < math.inf:
            self.now = due_at

    @rule(target=tasks, look_ups=st.sampled_from([True, True, True, False]))
    def take(self, look_ups):
        task = self.take_one(look_ups=look_ups)
        return multiple() if task is None else task

    @rule(target=tasks)
    def take_all(self):
        return multiple(*iter(self.take_one, None))

    def take_one(self, *, look_ups=True):
        allowed = self.allowed(self.now, look_ups=look_ups)
        due = self.due_streams(Job.DELIVER, self.now)
        task = self.scheduler.take(look_ups=look_ups)
        self.note_slow_requests()
        assert not any(
            self.is_hung(one, self.now) and one.slot is Slot.LOOK_UP for one in self.running
        )
        if task is None:
            assert allowed == []
            return None
        assert (task.job, task.stream) in allowed
        assert task.breaker is (task.stream.breaker if task.job is Job.DELIVER else None)
        if task.job is Job.LOOK_UP:
            task.stream.is_asking = True
        if task.job is Job.DELIVER:
            servable = [stream for job, stream in allowed if job is Job.DELIVER]
            self.check_fairness(task, due, servable)
            if task.slot is Slot.REQUEST:
                self.fast.add(task)
        self.running.append(task)
        return task

    def note_slow_requests(self):
        for task in self.running:
            if task.slot is Slot.PROBE and task in self.fast:
                self.fast.remove(task)
                if not task.stream.fails_alone:
                    self.suspected_at[task.breaker] = task.breaker.answers

    def check_fairness(self, task, due, servable):
        """No stream or host that can be served is passed over twice by the same other one."""
        hosts = {stream.breaker for stream in servable}
        self.passed = {one: by for one, by in self.passed.items() if one in hosts or one in due}
        beside = [stream for stream in due if stream.breaker is task.breaker]
        for taken, others in [(task.stream, beside), (task.breaker, hosts)]:
            self.passed.pop(taken, None)
            for other in others:
                if other is not taken:
                    by = self.passed.setdefault(other, Counter())
                    by[taken] += 1
                    assert by[taken] == 1, "passed over twice"

    @rule(
        task=consumes(tasks),
        wait=seconds,
        outcome=st.sampled_from(["delivered", "kept", "refused", "unreachable", "unreachable"]),
        host=st.integers(0, 2),
    )
    def end(self, task, wait, outcome, host):
        stream = task.stream
        if task.job is Job.REPORT:
            stream.has_drops_to_report = False
        elif task.job is Job.LOOK_UP:
            answers = {"delivered": self.breakers[host], "refused": None}
            self.return_look_up(task, answers.get(outcome, LookupFailed("no answer")))
        else:
            task.breaker.note(is_well=outcome != "unreachable")
            if outcome == "unreachable":
                task.breaker.backoff.failed_at = self.now
                task.breaker.backoff.not_before = self.now + wait
            is_kept = outcome in ("kept", "refused")
            stream.work_at = self.now + wait if is_kept else None
            if outcome == "unreachable":
                stream.work_at = self.now
            stream.is_sought = outcome == "refused"
        self.passed.pop(stream, None)
        self.passed.pop(task.breaker, None)
        self.running.remove(task)
        self.scheduler.end(task)

    def return_look_up(self, task, found):
        stream = task.stream
        was_hung = task.slot is Slot.HUNG
        stream.is_asking = False
        is_accepted = self.scheduler.accept_answer(task, found)
        if was_hung:
            is_busy = any(
                other.stream is stream and other.job is not Job.REPORT
                for other in self.running
                if other is not task and other.slot is not Slot.HUNG
            )
            assert is_accepted == (not is_busy and not isinstance(found, LookupFailed))
        else:
            assert is_accepted
        if is_accepted:
            stream.end_look_up(found)

    # What always holds.

    @precondition(lambda self: self.streams)
    @invariant()
    def nobody_sleeps_too_long(self):
        due_at = self.scheduler.due_at()
        for moment in {self.now, *self.moments()}:
            if self.now <= moment < due_at:
                assert self.allowed(moment) == []

    @precondition(lambda self: self.streams)
    @invariant()
    def slots_are_limited(self):
        slots = Counter(task.slot for task in self.running)
        assert slots[Slot.REQUEST] <= self.workers
        assert slots[Slot.LOOK_UP] <= self.workers
        # None begins when `workers` hang, but those that have begun may hang too.
        assert slots[Slot.LOOK_UP] + slots[Slot.HUNG] < 2 * self.workers
        assert slots[Slot.REPORT] <= 1

    def teardown(self):
        """Whatever has work gets it done, and then nothing is left."""
        scheduler.LONG_LINE = LONG_LINE
        for _ in range(500):
            self.take_all()
            for task in self.running[:]:
                self.end(task, 0.0, "delivered", 0)
            due_at = self.scheduler.due_at() if self.streams else math.inf
            if due_at == math.inf:
                break
            self.now = max(self.now, due_at)
        assert self.retired == self.planned
        for stream in self.retired:
            assert stream.is_idle
            assert not stream.has_drops_to_report
        assert not any(stream.is_parked for stream in self.streams)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
