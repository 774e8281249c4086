"""The worker threads, which do the jobs of streams. Only flushing callers help them."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable

from logplex_handler._delivery.news import News
from logplex_handler._delivery.progress import Progress
from logplex_handler._delivery.scheduler import Scheduler
from logplex_handler._delivery.tasks import Task
from logplex_handler._process.contexts import join_briefly, new_thread
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.forks import Here
from logplex_handler._sender.due import Urgency, UrgencyMonitor
from logplex_handler._transport.transport import TransportPool
from logplex_handler.streams.pushing import MAX_STREAMS, push
from logplex_handler.streams.stream import Job, Stream

# Seconds that a worker rests after an internal error, so that it does not spin.
_AFTER_ERROR = 1.0
# Seconds by which a job may be late because its worker is busy, before the next worker wakes. So
# workers do not wake each other for each of many short requests.
_STAGGER = 0.02
# A look-up is expected to be quick after so many in a row (some may hit a cache), in seconds each.
_IN_A_ROW, _AT_ONCE = 30, 0.001


class WorkerPool:
    """Workers that do the scheduler's tasks; a flushing caller may help them.

    Args:
        scheduler: Chooses the tasks; guarded by the pool's lock.
        max_workers: The most threads. With one thread, there is only one stream.
        here: Whether the process has not forked since the pool was created.
        on_end: Called after `stop`, as soon as no task is running.
        news: News of the streams; others may put some there, too.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        transports: TransportPool,
        diagnostics: Diagnostics,
        urgency: UrgencyMonitor,
        *,
        max_workers: int,
        here: Here,
        on_end: Callable[[], object],
        news: News,
    ) -> None:
        self._scheduler = scheduler
        self._transports = transports
        self._diagnostics = diagnostics
        self._urgency = urgency
        self._max_workers = max_workers
        self._here = here
        self._on_end = on_end
        self._news = news
        self.progress = Progress()
        # Guards `_workers` while a thread is started. Re-entrant, because a garbage collection or a
        # signal handler may log while it is held.
        self._starting = threading.RLock()
        self._workers: list[threading.Thread] = []
        # True if no thread could be started; the flushing caller then does the look-ups, too.
        self._cannot_start = False
        # Guards the scheduler, `_busy`, `_quick`, `_wakes_at` and `stopped`. Nothing that waits is
        # called while it is held. Re-entrant, for the same reason.
        self._lock = threading.RLock()
        # The threads that are doing a task, including callers. None is added after `stop`.
        self._busy: set[int] = set()
        # A worker's task, as long as it is likely to be over at once. Meanwhile, no other worker
        # begins one: their threads would interrupt each other, which costs more than the task.
        self._quick: Task | None = None
        transports.before_waiting = self._let_others_work
        self._at_once = _IN_A_ROW
        # When each sleeping worker wakes up by itself, on the monotonic clock.
        self._wakes_at: dict[int, float] = {}
        self.stopped = False

    @property
    def locks(self) -> tuple[threading.RLock, ...]:
        """What a call that is interrupted to flush lets go of meanwhile."""
        return self._lock, self._starting

    def is_current_thread(self) -> bool:
        """Return whether the calling thread delivers; it must not wait for itself."""
        here = threading.get_ident()
        return here in self._busy or here in [worker.ident for worker in self._workers]

    @property
    def has_workers(self) -> bool:
        return bool(self._workers)

    def wake(self, stream: Stream) -> None:
        """Add news of a stream; start a worker if there is none."""
        self._news.put(stream, stream.look_by)
        if not self._workers and self._urgency.current is not Urgency.CLOSING:
            self._start()
            if not self._workers:
                # The next record tries again: the system may lack a thread for a moment only.
                stream.accumulator.look_again()

    def notify(self, stream: Stream) -> None:
        """Have an existing worker look at a stream at once."""
        self._news.put(stream, -math.inf)

    def wake_one(self) -> None:
        """Wake a worker, even if a call that was interrupted was just about to do so."""
        self._news.wake_one()

    def while_idle(self, stream: Stream, function: Callable[[], object]) -> bool:
        """Call a function that does not wait unless a task of the stream is running."""
        with self._lock:
            return self._scheduler.while_idle(stream, function)

    def stop(self) -> None:
        """Begin no more tasks, and have idle workers end. Running tasks continue to their end."""
        # Read before they may end: while a thread is left, a subinterpreter must not end.
        workers = [*self._workers]
        with self._lock:
            self.stopped = True
        for _ in workers:
            self._news.wake_one()
        self.progress.end()
        self._end_if_all_done()
        join_briefly([worker for worker in workers if worker.ident not in self._busy])

    def help_out(self, deadline: float) -> bool:
        """Do a due task in the calling thread, by `deadline`; return whether there was one."""
        task = None
        try:
            with self._lock:
                self._news.drain(self._scheduler.plan)
                task = self._begin(look_ups=self._cannot_start)
            if task is None:
                return False
            self._do(task, deadline - time.monotonic())
        except BaseException as error:
            self._recover(task)
            if task is None or not isinstance(error, Exception):
                raise
            # The flushing application does not see the error.
            self._rest_after(error, deadline - time.monotonic())
        # A worker may have to continue a task that was begun here.
        self._news.wake_one()
        return True

    def _start(self, *, tries_again: bool = True) -> None:
        worker = None
        try:
            with self._starting:
                # Idle workers notice news by themselves, so only busy ones count.
                busy = self._busy.intersection([worker.ident for worker in self._workers])
                if len(busy) < len(self._workers) or len(self._workers) >= self._max_workers:
                    return
                worker = new_thread(self._work, "logplex_handler")
                self._workers.append(worker)
            worker.start()
        except BaseException as error:
            if worker is not None and worker.ident is None:
                with contextlib.suppress(ValueError):
                    self._workers.remove(worker)
            if not isinstance(error, RuntimeError):
                # After Ctrl-C, for example, no later record may come.
                if tries_again:
                    self._start(tries_again=False)
                raise
            # At exit, in some subinterpreters, or if the system cannot start another thread,
            # callers that flush or close deliver the waiting records.
            self._cannot_start = True

    def _work(self) -> None:
        try:
            self._serve()
        finally:
            with contextlib.suppress(ValueError):
                self._workers.remove(threading.current_thread())
            if not self.stopped and self._here[0]:
                # Another thread, a debugger's for example, has raised an exception here.
                self._start()

    def _serve(self) -> None:
        # Unlike a thread, a greenlet continues in a forked child; it must deliver nothing there.
        task = None
        while not self.stopped and self._here[0]:
            # After a look-up, a request that is due comes first, so that these take turns.
            requests_first = task is not None and task.job is Job.LOOK_UP
            task = None
            try:
                task = self._take(requests_first=requests_first)
                if task is None:
                    self._sleep()
                else:
                    if self._max_workers > 1:
                        self._leave_one_watching()
                    self._do(task, math.inf)
            except BaseException as error:
                # Callbacks may raise anything, and nothing is delivered if this thread ends.
                self._recover(task)
                self._rest_after(error, math.inf)

    def _recover(self, task: Task | None) -> None:
        """Leave no stream behind, if this thread was interrupted before its task had ended."""
        with self._lock:
            self._busy.discard(threading.get_ident())
            self._end_quick()
            if task is None or self._scheduler.has_task_of_this_thread:
                self._scheduler.recover()
        self._news.wake_one()
        self._end_if_all_done()

    def _rest_after(self, error: BaseException, longest: float) -> None:
        self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
        time.sleep(max(0.0, min(_AFTER_ERROR, longest)))

    def _leave_one_watching(self) -> None:
        """Make sure that another worker notices news and slow tasks while this one is busy."""
        with self._lock:
            wakes_at, begin_at = min(self._wakes_at.values(), default=None), self._others_begin_at()
            if wakes_at is not None and wakes_at <= begin_at + _STAGGER:
                return
            due_at = max(self._scheduler.due_at(), begin_at)
        if wakes_at is None:
            self._start()
        elif due_at + (_STAGGER if due_at > time.monotonic() else 0.0) < wakes_at:
            self._news.wake_one()

    def _let_others_work(self) -> None:
        """Let other workers begin tasks, because that of this thread is not over at once."""
        with self._lock:
            is_quick = self._end_quick()
        if is_quick:
            self._leave_one_watching()

    def _take(self, *, requests_first: bool) -> Task | None:
        with self._lock:
            self._news.drain(self._scheduler.plan)
            if self._others_begin_at() > time.monotonic():
                return None
            task = self._begin(look_ups=False) if requests_first else None
            self._quick = task = task or self._begin(look_ups=True)
            return task

    def _begin(self, *, look_ups: bool) -> Task | None:
        task = None if self.stopped else self._scheduler.take(look_ups=look_ups)
        if task is not None:
            self._busy.add(threading.get_ident())
        return task

    def _others_begin_at(self) -> float:
        """Return when others begin tasks even if the quick one is not over; -inf without one."""
        return -math.inf if self._quick is None else self._quick.began + _STAGGER

    def _end_quick(self) -> bool:
        """Return whether the task of this thread was the quick one; it no longer is."""
        is_quick = self._quick is not None and self._quick.thread == threading.get_ident()
        if is_quick:
            self._quick = None
        return is_quick

    def _do(self, task: Task, seconds: float) -> None:
        stream = task.stream
        tasks = [task]
        try:
            if task.job is Job.REPORT:
                self._let_others_work()
                stream.drop_reports.report_locally()
            elif task.job is Job.DELIVER and stream.relay is not None:
                self._let_others_work()
                with self._lock:
                    tasks += self._scheduler.take_along(stream.relay.breaker, MAX_STREAMS - 1)
                push([one.stream for one in tasks])
            elif task.job is Job.DELIVER:
                stream.deliver(self._transports, seconds)
            else:
                if self._at_once < _IN_A_ROW:
                    self._let_others_work()
                began = time.monotonic()
                found = stream.look_up()
                self._at_once = self._at_once + 1 if time.monotonic() - began < _AT_ONCE else 0
                with self._lock:
                    is_accepted = self._scheduler.accept_answer(task, found)
                if is_accepted:
                    stream.end_look_up(found)
        finally:
            self._busy.discard(threading.get_ident())
            with self._lock:
                self._end_quick()
                for one in tasks:
                    self._scheduler.end(one)
            for one in tasks:
                self.progress.note(one.stream)
            self._end_if_all_done()

    def _end_if_all_done(self) -> None:
        if self.stopped and not self._busy:
            self._on_end()

    def _sleep(self) -> None:
        self._transports.close_idle()
        here = threading.get_ident()
        with self._lock:
            wakes_at = max(self._scheduler.due_at(), self._others_begin_at())
            # One worker wakes for the next step, and a second one a little later, in case the first
            # is busy then. All others only wait for news.
            watching = [at for at in self._wakes_at.values() if at <= wakes_at + _STAGGER]
            if watching:
                wakes_at = wakes_at + _STAGGER if len(watching) == 1 else math.inf
            self._wakes_at[here] = wakes_at
            self._news.next_look = min(self._wakes_at.values())
        try:
            self._news.wait(wakes_at)
        finally:
            with self._lock:
                del self._wakes_at[here]
                self._news.next_look = min(self._wakes_at.values(), default=math.inf)
