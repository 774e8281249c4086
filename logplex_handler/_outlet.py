"""What one stream is sending: the batch in flight, how it fares, and when it may go on.

Nothing here waits, and nothing locks. `deliver` is called by one thread at a time; the other
members may be read beside it, and see the state before or after a request.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from logplex_handler import _retry
from logplex_handler._batch import Batch, HealthFrame, OwnFrame
from logplex_handler._buffer import Buffer
from logplex_handler._fill import Render, fill
from logplex_handler._retry import Action, Answer
from logplex_handler._stderr import Stderr, records_in_words
from logplex_handler._telling import Telling
from logplex_handler._transport import Transport
from logplex_handler.stats import Stats
from logplex_handler.streams import Destination

Notice = Callable[[Counter[str]], list[bytes]]

# Seconds between two full batches. Where records come faster than so many in that time, the batches
# become larger, and each record's share of a request smaller.
_REST = 0.015
# Failures in a row after which an outage is worth a word; a receiver's restart is over by then.
_FAILURES_TO_TELL = 3
# Lines on the handler's health that wait while nothing can be sent; then the oldest give way.
_MOST_HEALTH_LINES = 60
# Packets of a batch refused alone, none accepted, after which it looks as if the stream is refused:
# from then on each is followed by a wait.
_REFUSALS_TO_SLOW_DOWN = 8


@dataclass(frozen=True)
class OutletOptions:
    """When a batch is sent, and how large it may be.

    Attributes:
        flush_interval: Seconds that the first record of a batch waits for more.
        max_batch_bytes: Bytes of a request's body before compression.
    """

    flush_interval: float
    max_batch_bytes: int


class Outlet:
    """Takes entries from a buffer to a destination, one request at a time."""

    def __init__(
        self,
        buffer: Buffer,
        transport: Transport,
        destination: Destination,
        options: OutletOptions,
        *,
        render: Render,
        notice: Notice,
        stderr: Stderr,
        telling: Telling,
    ) -> None:
        self._buffer = buffer
        self._transport = transport
        self._destination = destination
        self._options = options
        self._render = render
        self._notice = notice
        self._stderr = stderr
        self._telling = telling
        self._batch: Batch | None = None
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        self._sent_at = 0.0
        self._health_lines: deque[bytes] = deque(maxlen=_MOST_HEALTH_LINES)
        # What is known of requests; the rest of it is the buffer's.
        self.sent = Stats()
        # Seconds that these requests have taken together.
        self.requests_took = 0.0
        # Why the last request did not deliver what it carried; empty if it did.
        self.problem = ""
        # Until when the receiver has asked to be left alone, on the monotonic clock.
        self.asked_to_wait_until = 0.0

    def pause(self, *, closing: bool) -> float | None:
        """Seconds until there is something to do; None if nothing waits."""
        now = time.monotonic()
        waiting = self._buffer.waiting()
        if waiting.unheard_drops:
            return 0.0
        if self._batch is not None:
            not_before = self._not_before
            if (closing or waiting.somebody_waits) and self.asked_to_wait_until <= now:
                not_before = min(not_before, self._failed_at + _retry.FIRST_WAIT)
            return max(0.0, not_before - now)
        is_asked_for = closing or waiting.flushing
        if self._telling.is_due_in_stream or (is_asked_for and waiting.records):
            return 0.0
        if self._health_lines:
            return 0.0
        if waiting.full_batch:
            return 0.0 if waiting.pressing else max(0.0, self._sent_at + _REST - now)
        if waiting.since == math.inf:
            return None
        return max(0.0, waiting.since + self._options.flush_interval - now)

    def add_health(self, frames: list[bytes]) -> None:
        """Send these with the next batch. Any thread may call it, and then wakes who delivers."""
        self._health_lines.extend(frames)

    @property
    def is_telling(self) -> bool:
        """Whether lines on health have not left yet, once all records have."""
        return bool(self._health_lines) or self._batch is not None

    def try_once_more(self) -> None:
        """It is the last chance: do not wait, not even where the receiver has asked for it."""
        self.asked_to_wait_until = 0.0

    def deliver(self, seconds: float) -> None:
        """Send one part of one batch, within the seconds."""
        batch = self._batch
        if batch is None or batch.all_refused:
            batch = self._filled(batch)
        part = batch.next_part if batch is not None else None
        if batch is not None and part is not None:
            tried, maybe_delivered = part.tried, part.maybe_delivered
            # Unless an answer says otherwise: a signal may end this without one.
            part.tried = part.maybe_delivered = True
            began = time.monotonic()
            answer = self._transport.post(
                self._destination,
                part.body,
                frames=len(part.frames),
                frame_id=part.frame_id,
                seconds=seconds,
            )
            self._sent_at = time.monotonic()
            part.tried, part.maybe_delivered = tried or answer.was_tried, answer.maybe_delivered
            if answer.was_tried:
                self.requests_took += self._sent_at - began
                self._count(answer, again=tried, maybe_twice=maybe_delivered)
            self._follow(batch, answer)

    def _filled(self, batch: Batch | None) -> Batch | None:
        """A new batch, or one that is begun again with more in it; None if there is nothing."""
        frames: list[bytes] = []
        held = batch.size if batch is not None else 0
        room = self._options.max_batch_bytes - held
        try:
            if room > 0:
                self._add_notice(frames)
                fill(frames, room, self._buffer, self._render, held=held)
        finally:
            # What was taken is sent in any case, even if a signal has interrupted this.
            if batch is not None:
                batch.restart(frames)
            elif frames:
                self._batch = Batch(frames, self._options.max_batch_bytes)
        return self._batch

    def _add_notice(self, frames: list[bytes]) -> None:
        """The handler's own lines, if there are drops to tell of, or its health is asked for."""
        while self._health_lines:
            frames.append(HealthFrame(self._health_lines.popleft()))
        if self._telling.is_due_in_stream:
            try:
                frames += map(OwnFrame, self._notice(self._telling.begin_notice()))
            except BaseException:
                self._telling.end_notice(delivered=False)
                raise

    def _count(self, answer: Answer, *, again: bool, maybe_twice: bool) -> None:
        self.sent = replace(
            self.sent,
            requests=self.sent.requests + 1,
            retries=self.sent.retries + again,
            possible_duplicates=self.sent.possible_duplicates + maybe_twice,
            bytes_sent=self.sent.bytes_sent + answer.bytes_sent,
        )

    def _follow(self, batch: Batch, answer: Answer) -> None:
        """Do what the answer asks for."""
        action = _retry.decide(answer)
        if action is Action.AGAIN:
            self._fail(answer, _retry.LONGEST_WAIT)
            if self._failures >= _FAILURES_TO_TELL:
                self._say_kept("unreachable", answer, "not delivering")
            return
        if action is Action.LOOK_UP:
            self._refuse(answer)
            return
        delivered = broken = 0
        if action is Action.FORGET:
            delivered, broken = batch.part_accepted()
            self._failures = 0
            self._not_before = 0.0
            self.problem = ""
        else:
            alone = batch.part_refused()
            self._not_before = 0.0
            self.problem = str(answer)
            if batch.all_refused:
                self._refuse(answer)
                return
            if alone and batch.refused_alone >= _REFUSALS_TO_SLOW_DOWN:
                wait = _retry.wait(1, random.random(), _retry.LONGEST_REFUSED_WAIT)
                self._failed_at = time.monotonic()
                self._not_before = self._failed_at + wait
                return
        if batch.next_part is None:
            more_delivered, more_broken = batch.drop_refused()
            delivered, broken = delivered + more_delivered, broken + more_broken
            self._batch = None
            self._telling.end_notice(delivered=batch.notice_accepted)
        self._buffer.settle(delivered=delivered, dropped=broken)

    def _refuse(self, answer: Answer) -> None:
        """The stream is refused: keep its records, and wait longer each time."""
        self._fail(answer, _retry.LONGEST_REFUSED_WAIT)
        self._say_kept("refused", answer, "not accepted (is the URL with its token still good?)")

    def _fail(self, answer: Answer, longest: float) -> None:
        self._failures += 1
        self.problem = str(answer)
        self._failed_at = now = time.monotonic()
        if answer.stale_connection and self._failures == 1:
            # It had been closed while nothing was sent. That is no sign of trouble.
            self._not_before = now
            return
        wait = _retry.wait(self._failures, random.random(), longest)
        if answer.retry_after is not None:
            wait = max(answer.retry_after, _retry.FIRST_WAIT)
            self.asked_to_wait_until = now + wait
        self._not_before = now + wait

    def _say_kept(self, kind: str, answer: Answer, what: str) -> None:
        _, _, pending, _ = self._buffer.books()
        self._stderr.say(
            kind,
            f"{self._destination.host}: {what}: {answer}; "
            f"{records_in_words(pending)} kept, to be tried again",
        )
