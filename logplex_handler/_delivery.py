"""The workers: who delivers, and when. The only place with threads."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable

from logplex_handler._agenda import Agenda, Task
from logplex_handler._forks import Here
from logplex_handler._pool import Pool
from logplex_handler._stderr import Stderr
from logplex_handler._stream import Job, Stream
from logplex_handler._telling import in_words
from logplex_handler.errors import LookupFailed

# Seconds after which one who waits for a delivery sees whether anybody is at it.
_LOOK = 0.1
# Seconds: with less time left, one who flushes begins no request. It would likely be cut off, and
# sent again.
_LEAST_REQUEST = 1.0
# Seconds that a thread rests after an error of this package's own, so as not to spin.
_AFTER_ERROR = 1.0


class Delivery:
    """Does what the streams need: in threads of its own, or in one that flushes or closes.

    Args:
        agenda: What is to be done; guarded here.
        streams: All streams in use.
        take_back: Called with a stream that has news, as it may have been let go of.
        most_threads: How many there may be. With one, there is one stream.
        here: Whether this is still the process that it was made in.
        on_end: Called after `close`, as soon as nobody delivers any more.
    """

    def __init__(
        self,
        agenda: Agenda,
        pool: Pool,
        stderr: Stderr,
        *,
        streams: Callable[[], list[Stream]],
        take_back: Callable[[Stream], object],
        most_threads: int,
        here: Here,
        on_end: Callable[[], object],
    ) -> None:
        self._agenda = agenda
        self._pool = pool
        self._stderr = stderr
        self._streams = streams
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
        # Guards the agenda and the two below. Nothing that waits is called under it.
        self._lock = threading.RLock()
        # Threads that do something just now; and when each of those that sleep wakes by itself, on
        # the monotonic clock.
        self._busy = 0
        self._wakes: dict[int, float] = {}
        # The threads that have something to do, those of others included. None is added once it is
        # stopped.
        self._deliverers: set[int] = set()
        self._done = 0
        # Set once, by whoever closes.
        self._closing = False
        self._stopped = False

    def is_here(self) -> bool:
        """Whether the calling thread is one that delivers: it must not wait for itself."""
        here = threading.get_ident()
        return here in self._deliverers or here in [thread.ident for thread in self._threads]

    def hurry(self) -> None:
        """Have what is queued now delivered at once, without waiting for it here."""
        for stream in self._streams():
            stream.buffer.begin_flush()
            stream.buffer.end_flush()
            self._tell_of(stream)

    def wake(self, stream: Stream) -> None:
        """There is news in a stream's buffer; starts a thread if there is none yet."""
        self._tell_of(stream)
        if not self._threads and not self._closing:
            self._start()

    def flush(self, seconds: float) -> bool:
        """Whether all that is queued now is delivered, or dropped and told, within the seconds.

        A receiver that has asked for a longer wait is not disturbed: then it is False, as soon as
        all that goes to others has left.
        """
        if self._stopped:
            return True
        if self.is_here():
            return False
        return self._see_through(time.monotonic() + seconds, least_request=_LEAST_REQUEST)

    def close(self, seconds: float) -> int:
        """Deliver what is left, then stop; how many records were left when the time was over."""
        deadline = time.monotonic() + seconds
        streams = self._streams()
        for stream in streams:
            stream.outlet.try_once_more()
        self._closing = self._agenda.closing = True
        if not self.is_here():
            self._see_through(deadline, least_request=0.0)
        left = sum([stream.leave() for stream in streams])
        with self._lock:
            self._stopped = True
        for _ in self._threads:
            self._news.put(None)
        unsaid = sum([stream.telling.tell(at_last=True) for stream in streams], Counter[str]())
        if unsaid:
            self._stderr.say("dropped at last", in_words(unsaid))
        # A connection that is waited for just now is closed when it is given back.
        self._pool.close()
        self._end_if_nobody_delivers()
        return left

    def _end_if_nobody_delivers(self) -> None:
        if self._stopped and not self._deliverers:
            self._on_end()

    def _see_through(self, deadline: float, *, least_request: float) -> bool:
        """Wait until what is queued now has left and its drops are told; False when time is over.

        The threads deliver. Where there is none, or they are kept from their work, perhaps by a
        lock that this very caller holds, the caller does so itself, if there is time for a request.
        """
        marks = [(stream, stream.buffer.begin_flush()) for stream in self._streams()]
        with self._lock:
            self._agenda.flushing += 1
        for stream, _ in marks:
            self._tell_of(stream)
        try:
            # For each of them: one that has to be left alone does not keep the others from leaving.
            seen_through = [
                self._wait_for(stream, mark, deadline, least_request) for stream, mark in marks
            ]
            return all(seen_through)
        finally:
            with self._lock:
                self._agenda.flushing -= 1
            for stream, _ in marks:
                stream.buffer.end_flush()

    def _wait_for(self, stream: Stream, mark: int, deadline: float, least_request: float) -> bool:
        drops: int | None = None
        done, since = self._done, time.monotonic()
        while True:
            now = time.monotonic()
            if self._done != done:
                done, since = self._done, now
            has_time = deadline - now > least_request
            # Alone, the caller goes on as long as there is something to do.
            alone = not self._threads and has_time
            did = False
            if alone or (has_time and now - since >= _LOOK):
                did = self.help_out(deadline)
            left = max(0.0, deadline - time.monotonic())
            look = 0.0 if alone and did else min(_LOOK, left)
            if drops is None and stream.buffer.wait_until_removed(mark, look):
                # Only now it is known how many of them were dropped.
                drops = stream.buffer.ever_dropped()
            is_told = drops is not None and stream.telling.told_in_stream >= drops
            if stream.ended or (is_told and not (self._closing and stream.outlet.is_telling)):
                return True
            if left == 0 or self._stopped or stream.outlet.asked_to_wait_until > deadline:
                return False
            if drops is not None:
                time.sleep(min(left, _LOOK / 10))

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

    def _tell_of(self, stream: Stream) -> None:
        # Once is enough: who looks sees everything.
        if not stream.has_news:
            stream.has_news = True
            self._news.put(stream)

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
        while not self._stopped and self._here[0]:
            try:
                task = self._take(look_ups=True)
                if task is None:
                    self._sleep()
                else:
                    self._work_at(task)
            except BaseException as error:
                # Whatever the application's own callbacks raise here: without this thread nothing
                # would leave any more.
                self._stderr.say("internal", f"internal error: {type(error).__name__}")
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
            pause = self._agenda.pause()
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
            task = None if self._stopped else self._agenda.take(look_ups=look_ups)
            if task is not None:
                self._deliverers.add(threading.get_ident())
            return task

    def _look_at(self, stream: Stream | None) -> None:
        if stream is not None:
            stream.has_news = False
            if stream.is_let_go:
                self._take_back(stream)
            self._agenda.plan(stream)

    def _do(self, task: Task, seconds: float) -> None:
        stream = task.stream
        try:
            if task.job is Job.TELL:
                stream.telling.tell()
            elif task.job is Job.DELIVER:
                stream.deliver(self._pool, seconds)
            else:
                found = stream.look_up()
                if not task.given_up:
                    stream.end_look_up(found)
                elif not isinstance(found, LookupFailed):
                    with self._lock:
                        self._agenda.take_late_answer(task, found)
        finally:
            self._deliverers.discard(threading.get_ident())
            self._done += 1
            with self._lock:
                self._agenda.end(task)
            self._end_if_nobody_delivers()

    def _sleep(self) -> None:
        self._pool.close_idle()
        here = threading.get_ident()
        with self._lock:
            pause = self._agenda.pause()
            self._wakes[here] = float("inf") if pause is None else time.monotonic() + pause
        try:
            with contextlib.suppress(queue.Empty):
                news = self._news.get(timeout=pause)
                with self._lock:
                    self._look_at(news)
        finally:
            with self._lock:
                del self._wakes[here]
