"""Flushing and closing: seeing to it that what waits leaves now, and waiting for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from logplex_handler._buffer.weighed_queue import Mark
from logplex_handler._delivery.worker_pool import Workers
from logplex_handler._process.diagnostics import Stderr, in_words
from logplex_handler._sender.urgency import Haste, Hurry
from logplex_handler._transport.pool import Pool
from logplex_handler.streams.stream import Stream

# Seconds after which one who waits for a delivery sees whether anybody is at it.
_LOOK = 0.1
# Seconds: with less time left, one who flushes begins no request. It would likely be cut off, and
# sent again.
_LEAST_REQUEST = 1.0


class Delivery:
    """Has what the streams hold delivered in time.

    Args:
        streams: All streams in use.
    """

    def __init__(
        self,
        workers: Workers,
        pool: Pool,
        stderr: Stderr,
        hurry: Hurry,
        streams: Callable[[], list[Stream]],
    ) -> None:
        self._workers = workers
        self._pool = pool
        self._stderr = stderr
        self._hurry = hurry
        self._streams = streams

    def hurry(self) -> None:
        """Have what is queued now delivered at once, without waiting for it here."""
        for stream in self._streams():
            stream.buffer.hurry()
            self._workers.tell_of(stream)

    def flush(self, seconds: float) -> bool:
        """Whether all that is queued now is delivered, or dropped and told, within the seconds.

        A receiver that has asked for a longer wait is not disturbed: then it is False, as soon as
        all that goes to others has left.
        """
        if self._workers.stopped:
            return True
        if self._workers.is_here():
            return False
        return self._see_through(time.monotonic() + seconds, least_request=_LEAST_REQUEST)

    def close(self, seconds: float) -> int:
        """Deliver what is left, then stop; how many records were left when the time was over."""
        deadline = time.monotonic() + seconds
        streams = self._streams()
        for stream in streams:
            stream.outlet.try_once_more()
        self._hurry.close()
        if not self._workers.is_here():
            self._see_through(deadline, least_request=0.0)
        left = sum([stream.leave() for stream in streams])
        self._workers.stop()
        unsaid = sum([stream.telling.tell(at_last=True) for stream in streams], Counter[str]())
        if unsaid:
            self._stderr.say("dropped at last", in_words(unsaid))
        # A connection that is waited for just now is closed when it is given back.
        self._pool.close()
        return left

    def _see_through(self, deadline: float, *, least_request: float) -> bool:
        """Wait until what is queued now has left and its drops are told; False when time is over.

        The threads deliver. Where there is none, or they are kept from their work, perhaps by a
        lock that this very caller holds, the caller does so itself, if there is time for a request.
        """
        with self._hurry.until(deadline):
            marks: list[tuple[Stream, Mark]] = []
            try:
                for stream in self._streams():
                    marks.append((stream, stream.buffer.begin_flush()))
                    self._workers.tell_of(stream)
                # For each of them: one that has to be left alone does not keep the others from
                # leaving.
                seen_through = [
                    self._wait_for(stream, mark, deadline, least_request) for stream, mark in marks
                ]
                return all(seen_through)
            finally:
                for stream, mark in marks:
                    stream.buffer.end_flush(mark)

    def _wait_for(self, stream: Stream, mark: Mark, deadline: float, least_request: float) -> bool:
        drops: int | None = None
        done, since = self._workers.done, time.monotonic()
        while True:
            now = time.monotonic()
            if self._workers.done != done:
                done, since = self._workers.done, now
            has_time = deadline - now > least_request
            # Alone, the caller goes on as long as there is something to do.
            alone = not self._workers.have_threads and has_time
            did = False
            if alone or (has_time and now - since >= _LOOK):
                did = self._workers.help_out(deadline)
            left = max(0.0, deadline - time.monotonic())
            look = 0.0 if alone and did else min(_LOOK, left)
            if drops is None and stream.buffer.wait_until_removed(mark, look):
                # Only now it is known how many of them were dropped.
                drops = stream.buffer.ever_dropped()
            is_told = drops is not None and stream.telling.told_in_stream >= drops
            is_closing = self._hurry.haste is Haste.CLOSING
            is_over = is_told and not (is_closing and stream.in_flight.is_telling)
            if is_over or stream.address.ended:
                return True
            if left == 0 or self._workers.stopped or stream.outlet.asked_to_wait_until > deadline:
                return False
            if drops is not None:
                time.sleep(min(left, _LOOK / 10))
