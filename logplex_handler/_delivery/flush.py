"""Flushing and closing: seeing to it that what waits leaves now, and waiting for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from logplex_handler._buffer.weighed_queue import FlushMark
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._process.diagnostics import Diagnostics, drops_in_words
from logplex_handler._sender.urgency import Urgency, UrgencyMonitor
from logplex_handler._transport.pool import TransportPool
from logplex_handler.streams.stream import Stream

# Seconds after which one who waits for a delivery sees whether anybody is at it.
_LOOK = 0.1
# Seconds: with less time left, one who flushes begins no request. It would likely be cut off, and
# sent again.
_LEAST_REQUEST = 1.0


class Flusher:
    """Has what the streams hold delivered in time.

    Args:
        streams: All streams in use.
    """

    def __init__(
        self,
        workers: WorkerPool,
        pool: TransportPool,
        diagnostics: Diagnostics,
        urgency: UrgencyMonitor,
        streams: Callable[[], list[Stream]],
    ) -> None:
        self._worker_pool = workers
        self._pool = pool
        self._diagnostics = diagnostics
        self._urgency = urgency
        self._streams = streams

    def flush_soon(self) -> None:
        """Have what is queued now delivered at once, without waiting for it here."""
        for stream in self._streams():
            stream.accumulator.flushes.begin_and_end()
            self._worker_pool.notify(stream)

    def flush(self, seconds: float) -> bool:
        """Whether all that is queued now is delivered, or dropped and told, within the seconds.

        A receiver that has asked for a longer wait is not disturbed: then it is False, as soon as
        all that goes to others has left.
        """
        if self._worker_pool.stopped:
            return True
        if self._worker_pool.is_current_thread():
            return False
        return self._see_through(time.monotonic() + seconds, least_request=_LEAST_REQUEST)

    def close(self, seconds: float) -> int:
        """Deliver what is left, then stop; how many records were left when the time was over."""
        deadline = time.monotonic() + seconds
        streams = self._streams()
        for stream in streams:
            stream.sender.ignore_retry_after()
        self._urgency.close()
        if not self._worker_pool.is_current_thread():
            self._see_through(deadline, least_request=0.0)
        left = sum([stream.abandon() for stream in streams])
        self._worker_pool.stop()
        unsaid = sum(
            [stream.drop_notices.report(closing=True) for stream in streams], Counter[str]()
        )
        if unsaid:
            self._diagnostics.warn("dropped at last", drops_in_words(unsaid))
        # A connection that is waited for just now is closed when it is given back.
        self._pool.close()
        return left

    def _see_through(self, deadline: float, *, least_request: float) -> bool:
        """Wait until what is queued now has left and its drops are told; False when time is over.

        The threads deliver. Where there is none, or they are kept from their work, perhaps by a
        lock that this very caller holds, the caller does so itself, if there is time for a request.
        """
        with self._urgency.flush_until(deadline):
            marks: list[tuple[Stream, FlushMark]] = []
            try:
                for stream in self._streams():
                    marks.append((stream, stream.accumulator.flushes.begin()))
                    self._worker_pool.notify(stream)
                # For each of them: one that has to be left alone does not keep the others from
                # leaving.
                seen_through = [
                    self._wait_for(stream, mark, deadline, least_request) for stream, mark in marks
                ]
                return all(seen_through)
            finally:
                for stream, mark in marks:
                    stream.accumulator.flushes.end(mark)

    def _wait_for(
        self, stream: Stream, mark: FlushMark, deadline: float, least_request: float
    ) -> bool:
        workers = self._worker_pool
        drops: int | None = None
        progressed = True
        while True:
            # Read before the look, so that a task that ends meanwhile is not waited for.
            done = workers.progress.done
            if drops is None and stream.accumulator.flushes.is_over(mark):
                # Only now it is known how many of them were dropped.
                drops = stream.accumulator.ledger.total_reportable()
            if stream.resolution.end_cause or (drops is not None and self._is_over(stream, drops)):
                return True
            left = deadline - time.monotonic()
            if left <= 0 or workers.stopped or stream.sender.retry_after_until > deadline:
                return False
            # Alone, the caller goes on as long as something is due.
            helps = left > least_request and not (progressed and workers.has_workers)
            progressed = (helps and workers.help_out(deadline)) or workers.progress.wait(
                stream, done, min(_LOOK, left)
            )

    def _is_over(self, stream: Stream, drops: int) -> bool:
        """Whether the drops are reported in the stream; and when closing, if health lines left."""
        is_closing = self._urgency.current is Urgency.CLOSING
        is_reported = stream.drop_notices.reported_in_stream >= drops
        return is_reported and not (is_closing and stream.in_flight.is_busy)
