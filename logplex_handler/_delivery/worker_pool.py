"""The threads that do what streams need. Nobody else starts one to deliver."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from logplex_handler._delivery.scheduler import Scheduler, Task
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.forks import Here
from logplex_handler._sender.urgency import Urgency, UrgencyMonitor
from logplex_handler._transport.pool import TransportPool
from logplex_handler.streams.stream import Job, Stream

# Seconds that a thread rests after an error of this package's own, so as not to spin.
_AFTER_ERROR = 1.0


class WorkerPool:
    """Do what the scheduler says, in threads of their own or in one that helps out.

    Args:
        scheduler: What is to be done; guarded here.
        take_back: Called with a stream that has news, as it may have been let go of.
        most_threads: How many there may be. With one, there is one stream.
        here: Whether this is still the process that they were made in.
        on_end: Called once they are stopped, as soon as none of them does anything any more.

    Attributes:
        done: How many tasks are over.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        pool: TransportPool,
        diagnostics: Diagnostics,
        urgency: UrgencyMonitor,
        *,
        take_back: Callable[[Stream], object],
        most_threads: int,
        here: Here,
        on_end: Callable[[], object],
    ) -> None:
        self._scheduler = scheduler
        self._pool = pool
        self._diagnostics = diagnostics
        self._urgency = urgency
        self._take_back = take_back
        self._most_threads = most_threads
        self._here = here
        self._on_end = on_end
        # Streams with news, or None to have somebody look. A queue of C rather than an event: its
        # `put` may be interrupted by a garbage collection or a signal whose own logging ends here
        # again.
        self._news: queue.SimpleQueue[Stream | None] = queue.SimpleQueue()
        # Guards `_threads`: who starts one. Re-entrant for the same reason.
        self._starting = threading.RLock()
        self._threads: list[threading.Thread] = []
        # Whether there was none to be had: then nobody but the one who waits can look up either.
        self._has_no_threads = False
        # Guards the scheduler and the two below. Nothing that waits is called under it.
        self._lock = threading.RLock()
        # Threads that do something just now; and when each of those that sleep wakes by itself, on
        # the monotonic clock.
        self._busy = 0
        self._wakes: dict[int, float] = {}
        # The threads that have something to do, those of others included. None is added once they
        # are stopped.
        self._doers: set[int] = set()
        self.done = 0
        # Set once, by whoever closes.
        self.stopped = False

    def is_here(self) -> bool:
        """Whether the calling thread is one that delivers: it must not wait for itself."""
        here = threading.get_ident()
        return here in self._doers or here in [thread.ident for thread in self._threads]

    @property
    def have_threads(self) -> bool:
        """Whether somebody comes by himself."""
        return bool(self._threads)

    def wake(self, stream: Stream) -> None:
        """There is news in a stream's accumulator; starts a thread if there is none yet."""
        self.tell_of(stream)
        if not self._threads and self._urgency.current is not Urgency.CLOSING:
            self._start()

    def tell_of(self, stream: Stream) -> None:
        """There is news of a stream, for whoever is there."""
        # Once is enough: who looks sees everything.
        if not stream.has_news:
            stream.has_news = True
            self._news.put(stream)

    def stop(self) -> None:
        """What is being done is done to its end; nothing else is begun."""
        with self._lock:
            self.stopped = True
        for _ in self._threads:
            self._news.put(None)
        self._end_if_none_is_at_work()

    def _end_if_none_is_at_work(self) -> None:
        if self.stopped and not self._doers:
            self._on_end()

    def help_out(self, deadline: float) -> bool:
        """Do what is due in the calling thread, if there is something; whether there was."""
        task = self._take(look_ups=self._has_no_threads)
        if task is None:
            return False
        try:
            self._do(task, deadline - time.monotonic())
        finally:
            # What is begun here, or was interrupted, may be left to a thread.
            self._news.put(None)
        return True

    def _start(self) -> None:
        thread = None
        try:
            with self._starting:
                if self._busy < len(self._threads) or len(self._threads) >= self._most_threads:
                    return
                thread = threading.Thread(target=self._work, name="logplex_handler", daemon=True)
                self._threads.append(thread)
            thread.start()
        except RuntimeError:
            # The interpreter is about to exit, or is one of several, where no such threads may be;
            # or there is no thread left to be had. What waits is delivered by whoever flushes or
            # closes.
            self._has_no_threads = True
            if thread is not None:
                self._threads.remove(thread)

    def _work(self) -> None:
        # A greenlet, unlike a thread, lives on in a forked child; there it has nothing to deliver.
        while not self.stopped and self._here[0]:
            try:
                task = self._take(look_ups=True)
                if task is None:
                    self._sleep()
                else:
                    self._work_at(task)
            except BaseException as error:
                # Whatever the application's own callbacks raise here: without this thread nothing
                # would leave any more.
                self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
                time.sleep(_AFTER_ERROR)

    def _work_at(self, task: Task) -> None:
        with self._lock:
            self._busy += 1
        try:
            if self._most_threads > 1:
                self._leave_somebody_watching()
            self._do(task, float("inf"))
        finally:
            with self._lock:
                self._busy -= 1

    def _leave_somebody_watching(self) -> None:
        """While this thread is busy, another one is to see what comes, and what takes too long."""
        with self._lock:
            pause = self._scheduler.pause()
            wakes = min(self._wakes.values(), default=None)
        if wakes is None:
            self._start()
        elif pause is not None and time.monotonic() + pause < wakes:
            self._news.put(None)

    def _take(self, *, look_ups: bool) -> Task | None:
        with self._lock:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._look_at(self._news.get_nowait())
            task = None if self.stopped else self._scheduler.take(look_ups=look_ups)
            if task is not None:
                self._doers.add(threading.get_ident())
            return task

    def _look_at(self, stream: Stream | None) -> None:
        if stream is not None:
            stream.has_news = False
            if stream.is_let_go:
                self._take_back(stream)
            self._scheduler.plan(stream)

    def _do(self, task: Task, seconds: float) -> None:
        stream = task.stream
        try:
            if task.job is Job.TELL:
                stream.drop_notices.report()
            elif task.job is Job.DELIVER:
                stream.deliver(self._pool, seconds)
            else:
                found = stream.look_up()
                with self._lock:
                    is_wanted = self._scheduler.is_wanted(task, found)
                if is_wanted:
                    stream.end_look_up(found)
        finally:
            self._doers.discard(threading.get_ident())
            self.done += 1
            with self._lock:
                self._scheduler.end(task)
            self._end_if_none_is_at_work()

    def _sleep(self) -> None:
        self._pool.close_idle()
        here = threading.get_ident()
        with self._lock:
            pause = self._scheduler.pause()
            self._wakes[here] = float("inf") if pause is None else time.monotonic() + pause
        try:
            with contextlib.suppress(queue.Empty):
                news = self._news.get(timeout=pause)
                with self._lock:
                    self._look_at(news)
        finally:
            with self._lock:
                del self._wakes[here]
