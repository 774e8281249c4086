"""Flushing and closing: queued records are delivered at once, and the caller waits."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from logplex_handler._buffer.weighed_queue import FlushMark
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._process.countdown import Countdown
from logplex_handler._process.diagnostics import Diagnostics, drops_in_words
from logplex_handler._process.reentrancy import release_if_held
from logplex_handler._sender.due import Urgency, UrgencyMonitor
from logplex_handler._transport.transport import TransportPool
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Stream

if TYPE_CHECKING:
    from logplex_handler._delivery.spool_writer import SpoolWriter

# Seconds without a finished task after which a flushing caller does one itself: the workers may be
# blocked by a lock that it holds.
_PATIENCE = 0.1
# The least seconds that a flushing caller must have left to begin a request. With less, the request
# would likely be cut off, and sent again.
_MIN_REQUEST = 1.0
# The most seconds between a `flush` and a `close` of the same shutdown.
_SAME_SHUTDOWN = 1.0


class ShutdownClock:
    """The seconds that flushing and closing may take.

    At shutdown they share one deadline: `logging.shutdown`, like every other end of a process,
    first flushes a handler and then closes it.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # The deadline, and the end of the last flush, on the monotonic clock.
        self._deadline = self._flushed_at = -math.inf
        # Whether the whole process is about to end.
        self._for_process = False

    def start(self) -> None:
        """Give all later flushes and the closing, however late, only the time that is left."""
        self._for_process = True
        self._deadline = time.monotonic() + self.timeout
        self._flushed_at = math.inf

    def left(self, *, closing: bool) -> float:
        now = time.monotonic()
        is_same = now - self._flushed_at < _SAME_SHUTDOWN
        if not (is_same and (closing or self._for_process)):
            self._deadline = now + self.timeout
        # Never more than the whole time, even if the clock was set back.
        return min(self.timeout, max(0.0, self._deadline - now))

    def flushed(self) -> None:
        self._flushed_at = time.monotonic()


class Flusher:
    """Flushes and closes the delivery of a handler. Any thread may flush."""

    def __init__(
        self,
        workers: WorkerPool,
        transports: TransportPool,
        diagnostics: Diagnostics,
        urgency: UrgencyMonitor,
        registry: Registry,
        spool_writer: SpoolWriter | None,
    ) -> None:
        self._workers = workers
        self._transports = transports
        self._diagnostics = diagnostics
        self._urgency = urgency
        self._streams = registry.all_streams
        self._registry_lock = registry.lock
        self._spool_writer = spool_writer

    def flush_soon(self) -> None:
        """Have all queued records delivered at once, without waiting."""
        with self._without_locks():
            for stream in self._streams():
                stream.accumulator.end_flush(stream.accumulator.begin_flush())
                self._workers.notify(stream)

    def flush(self, seconds: float) -> bool:
        """Have all queued records delivered, or return False if that takes longer than `seconds`.

        A record that is dropped meanwhile counts as soon as the drop is reported. A receiver that
        asked for a longer wait gets no request; the result is then False as soon as all other
        receivers have their records.
        """
        if self._workers.stopped:
            return True
        if self._workers.is_current_thread():
            return False
        countdown = Countdown(seconds)
        with self._without_locks():
            if self._spool_writer is not None:
                # What is in memory needs time as well, if the disk hangs or others use the file.
                self._spool_writer.recover_within(countdown.left / 2)
            return self._see_through(countdown, min_request=_MIN_REQUEST)

    def flush_last(self, seconds: float) -> None:
        """Have the remaining records delivered within `seconds`, because no later flush will."""
        with self._without_locks():
            for stream in self._streams():
                stream.ignore_retry_after()
            self._urgency.close()
            if not self._workers.is_current_thread():
                self._see_through(Countdown(seconds), min_request=0.0)

    def stop(self) -> int:
        """Stop delivering, and return how many records were not delivered."""
        with self._without_locks():
            streams = self._streams()
            if self._spool_writer is not None:
                self._spool_writer.call(chain.from_iterable(map(Stream.persist, streams)))
            left = sum([stream.abandon() for stream in streams])
            self._workers.stop()
            # A connection on which a request is being made is closed when it is released.
            self._transports.close()
            return left

    def report_last_drops(self) -> None:
        """Report all drops that were not reported yet, which calls the application."""
        with self._without_locks():
            unreported = Counter[str]()
            for stream in self._streams():
                if stream.has_drops_to_report or stream.accumulator.ledger.total_reportable():
                    unreported += stream.drop_reports.report_locally(closing=True)
            if unreported:
                self._diagnostics.warn("dropped at last", drops_in_words(unreported))

    @contextmanager
    def _without_locks(self) -> Iterator[None]:
        """Release the locks that the calling thread holds and workers need, for a `with` block.

        A signal handler may flush while the interrupted call holds one. The workers need that lock
        to deliver, so the handler would wait for them, and they for the handler. What the lock
        guards may be half changed then, as a handler that logs in the same thread finds it, too.
        """
        with ExitStack() as released:
            locks = [stream.accumulator.lock for stream in self._streams()]
            # They are acquired again in the opposite order, in which other threads nest them.
            for lock in (self._registry_lock, *locks, *self._workers.locks):
                reacquire = release_if_held(lock)
                if reacquire is not None:
                    released.callback(reacquire)
            yield

    def _see_through(self, countdown: Countdown, *, min_request: float) -> bool:
        """Wait until all queued records have left and drops are reported; return whether in time.

        The workers deliver. If there are none, or if they are blocked, the caller delivers, as long
        as there is time for a request.
        """
        with self._urgency.flush_until(countdown.deadline):
            marks: list[tuple[Stream, FlushMark]] = []
            try:
                for stream in self._streams():
                    marks.append((stream, stream.accumulator.begin_flush()))
                    self._workers.notify(stream)
                self._workers.wake_one()
                # Wait for all streams, even if one is not flushed in time. The last one first: when
                # its records have left, most others' have, so that nobody waits for these.
                flushed = [
                    self._wait_for(stream, mark, countdown, min_request)
                    for stream, mark in reversed(marks)
                ]
                return all(flushed)
            finally:
                for stream, mark in marks:
                    stream.accumulator.end_flush(mark)

    def _wait_for(
        self, stream: Stream, mark: FlushMark, countdown: Countdown, min_request: float
    ) -> bool:
        workers = self._workers
        drops: int | None = None
        progressed = True
        while True:
            # Read first, so that a task that ends meanwhile is not waited for.
            done = workers.progress.done
            if drops is None and stream.accumulator.is_flushed(mark):
                # Only now is it known how many of the records were dropped.
                drops = stream.accumulator.ledger.total_reportable()
            is_flushed = drops is not None and self._has_said_all(stream, drops)
            if is_flushed or (stream.resolution.end_cause and not stream.accumulator.counts()[2]):
                return True
            left, deadline = countdown.left, countdown.deadline
            if left <= 0 or workers.stopped or stream.retry_after_until > deadline:
                return False
            # Where there are workers, they alone use the disk, because it may hang.
            leaves_it = workers.has_workers and (progressed or self._spool_writer is not None)
            helps = left > min_request and not leaves_it
            progressed = (helps and workers.help_out(deadline)) or workers.progress.wait(
                stream, done, countdown, min(_PATIENCE, left)
            )

    def _has_said_all(self, stream: Stream, drops: int) -> bool:
        """Return whether the stream has the drop notices and, when closing, all health lines."""
        if self._urgency.current is Urgency.CLOSING and stream.is_sending:
            return False
        return not drops or stream.reported_drops >= drops
