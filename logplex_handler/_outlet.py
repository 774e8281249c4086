"""What one stream is sending: the batch in flight, how it fares, and when it may go on.

Nothing here waits, and nothing locks: one thread at a time uses it.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from logplex_handler import _retry
from logplex_handler._batch import OWN_LINE, Batch, Frame, Part, frames_of
from logplex_handler._buffer import Buffer, Entry
from logplex_handler._retry import Action, Answer
from logplex_handler._stderr import Stderr
from logplex_handler._transport import Transport
from logplex_handler.stats import drops_in_words, records_in_words
from logplex_handler.streams import Destination

Render = Callable[[Entry], list[bytes]]
Notice = Callable[[Mapping[str, int]], list[bytes]]
OnDrop = Callable[[int, str], object]

# Entries taken from the buffer at a time, while a batch is filled.
_TAKEN_AT_ONCE = 500
# Failures in a row after which an outage is worth a word; a receiver's restart is over by then.
_FAILURES_TO_TELL = 3


@dataclass(frozen=True)
class OutletOptions:
    """When a batch is sent, and how large it may be.

    Attributes:
        flush_interval: Seconds that the first record of a batch waits for more.
        max_batch_bytes: Bytes of a request's body before compression.
    """

    flush_interval: float
    max_batch_bytes: int


@dataclass(frozen=True)
class Sent:
    """What `Stats` says of requests."""

    requests: int = 0
    retries: int = 0
    possible_duplicates: int = 0
    bytes_sent: int = 0


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
        on_drop: OnDrop | None,
    ) -> None:
        self._buffer = buffer
        self._transport = transport
        self._destination = destination
        self._options = options
        self._render = render
        self._notice = notice
        self._stderr = stderr
        self._on_drop = on_drop
        self._batch: Batch | None = None
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        # Drops that wait for a word in the stream, and on stderr.
        self._untold: Counter[str] = Counter()
        self._unsaid: Counter[str] = Counter()
        self._telling = 0

        self.sent = Sent()
        # How many drops the stream was told of.
        self.told = 0
        # Why the last request did not deliver what it carried; empty if it did.
        self.problem = ""
        # Until when the receiver has asked to be left alone, on the monotonic clock.
        self.asked_to_wait_until = 0.0

    def pause(self, *, flush_mark: int, closing: bool) -> float | None:
        """Seconds until there is something to do; None if nothing waits."""
        if self._buffer.has_untold:
            return 0.0
        now = time.monotonic()
        if self._batch is not None:
            return max(0.0, self._not_before - now)
        waiting = self._buffer.waiting()
        if not waiting.records and not self._untold:
            return None
        if closing or self._untold or waiting.full_batch or waiting.removed < flush_mark:
            return 0.0
        return max(0.0, waiting.since + self._options.flush_interval - now)

    def hurry(self, *, last_chance: bool) -> None:
        """Cut the present wait short, for somebody is waiting for the end of it.

        A receiver that has asked for a wait is not disturbed, except at the last chance.
        """
        if last_chance:
            self.asked_to_wait_until = 0.0
        if self.asked_to_wait_until <= time.monotonic():
            self._not_before = min(self._not_before, self._failed_at + _retry.FIRST_WAIT)

    def deliver(self, seconds: float) -> None:
        """Do what is due: tell of drops, or send one part of one batch within the seconds."""
        self.tell()
        batch = self._batch
        if batch is None:
            frames = self._take(self._options.max_batch_bytes)
            if not frames:
                self._buffer.settle(done=True)
                return
            batch = self._batch = Batch(frames, self._options.max_batch_bytes)
        elif self._not_before > time.monotonic():
            return
        elif batch.all_refused:
            room = self._options.max_batch_bytes - batch.size
            batch.restart(self._take(room) if room > 0 else ())
        part = batch.next_part
        if part is not None:
            answer = self._transport.post(self._destination, part, seconds=seconds)
            self._count(part, answer)
            self._follow(batch, answer)

    def tell(self, *, at_last: bool = False) -> None:
        """Hand new drops to whoever wants to know: `on_drop`, stderr, and the stream in time.

        On stderr this is not done too often, but at last it is.
        """
        dropped = self._buffer.take_untold()
        self._untold += dropped
        self._unsaid += dropped
        if self._unsaid and self._stderr.say(
            "dropped at last" if at_last else "dropped",
            drops_in_words(self._unsaid),
        ):
            self._unsaid.clear()
        if self._on_drop is not None:
            for cause, number in dropped.items():
                with contextlib.suppress(Exception):
                    self._on_drop(number, cause)

    def _take(self, max_bytes: int) -> list[Frame]:
        """Frames for one request, in order; of one entry at least, if any waits."""
        frames: list[Frame] = []
        size = 0
        if self._untold:
            lines = self._notice(self._untold)
            self._telling += self._untold.total()
            self._untold.clear()
            frames += [(line, OWN_LINE) for line in lines]
            size += sum(map(len, lines))
        taken = False
        while entries := self._buffer.take(_TAKEN_AT_ONCE):
            for index, entry in enumerate(entries):
                try:
                    rendered = self._render(entry)
                except Exception:
                    # One that cannot be written must not stop those behind it.
                    self._buffer.settle(dropped=1, cause="format_error")
                    continue
                size += sum(map(len, rendered))
                if taken and size > max_bytes:
                    self._buffer.give_back(entries[index:])
                    return frames
                frames += frames_of(rendered)
                taken = True
        return frames

    def _count(self, part: Part, answer: Answer) -> None:
        sent = self.sent
        self.sent = Sent(
            requests=sent.requests + 1,
            retries=sent.retries + part.tried,
            possible_duplicates=sent.possible_duplicates + part.maybe_delivered,
            bytes_sent=sent.bytes_sent + answer.bytes_sent,
        )
        part.tried = True
        part.maybe_delivered = answer.maybe_delivered

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
            self.problem = ""
        else:
            batch.part_refused()
            self.problem = str(answer)
        done = batch.next_part is None
        if done and batch.all_refused:
            self._refuse(answer)
            return
        if done:
            more_delivered, more_broken = batch.drop_refused()
            delivered, broken = delivered + more_delivered, broken + more_broken
            self._batch = None
            self.told += self._telling
            self._telling = 0
        self._buffer.settle(delivered=delivered, dropped=broken, done=done)

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
