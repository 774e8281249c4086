"""What one stream is sending: the batch in flight, how it fares, and when it may go on.

Nothing here waits, and nothing locks. `deliver` is called by one thread at a time; the other
members may be read beside it, and see the state before or after a request.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial

from logplex_handler import _retry
from logplex_handler._backoff import Backoff
from logplex_handler._batch import Batch, HealthFrame, OwnFrame
from logplex_handler._buffer import Buffer, Waiting
from logplex_handler._fill import Readdress, RenderFor, fill
from logplex_handler._host import Host
from logplex_handler._retry import Action, Answer
from logplex_handler._shelf import Shelf
from logplex_handler._stderr import Stderr, records_in_words
from logplex_handler._telling import Telling
from logplex_handler._transport import Transport
from logplex_handler.stats import Stats
from logplex_handler.streams import Destination

# The frames that tell a stream of drops.
Notice = Callable[[Counter[str], Destination], list[bytes]]

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
# The status that says what is wrong with a batch.
_TOO_LARGE = 413


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

    __slots__ = (
        "_answers_before", "_batch", "_buffer", "_destination", "_failures", "_health_lines",
        "_host", "_is_filling", "_name", "_notice", "_options", "_readdress", "_render", "_sent_at",
        "_shelf", "_stderr", "_telling", "backoff", "may_look_up", "problem", "sent",
        "set_aside_since", "wants_look_up",
    )  # fmt: skip

    def __init__(
        self,
        name: Hashable,
        buffer: Buffer,
        options: OutletOptions,
        *,
        render: RenderFor,
        readdress: Readdress,
        notice: Notice,
        stderr: Stderr,
        telling: Telling,
        shelf: Shelf | None = None,
    ) -> None:
        self._name = name
        self._buffer = buffer
        self._options = options
        self._render = render
        self._readdress = readdress
        self._notice = notice
        self._stderr = stderr
        self._telling = telling
        # Where records go between buffer and batch, if there is a spool.
        self._shelf = shelf
        self._destination: Destination | None = None
        self._host: Host | None = None
        self._batch: Batch | None = None
        # Requests in a row that did not deliver what they carried.
        self._failures = 0
        # For what is the matter with this stream alone; the host has one for what is with it.
        self.backoff = Backoff()
        self._sent_at = 0.0
        # There is none until there is a line.
        self._health_lines: deque[bytes] | None = None
        self._is_filling = False
        # How often the host had answered when it last gave this stream no answer; None if it did.
        self._answers_before: int | None = None
        # What is known of requests; the rest of it is the buffer's.
        self.sent = Stats()
        # Why the last request did not deliver what it carried; empty if it did.
        self.problem = ""
        # Since when the stream is refused, in seconds since the epoch; None if it is not.
        self.set_aside_since: float | None = None
        # Whether the destination may be looked up if it is refused, and whether it is to be.
        self.may_look_up = self.wants_look_up = False

    @property
    def host(self) -> Host | None:
        """The destination's host; None without one."""
        return self._host

    def go_to(self, destination: Destination, host: Host) -> None:
        """From now on this is the destination. It is tried at once if it is another one."""
        if destination != self._destination:
            if self._batch is not None and self._destination is not None:
                old = self._destination
                self._batch.rewrite(lambda frame: self._readdress(frame, old, destination))
            self._destination = destination
            self._host = host
            self._answers_before = None
            if self._shelf is not None:
                self._shelf.go_to(destination.hostname)
            self._failures = 0
            self.backoff.succeed()

    @property
    def fails_alone(self) -> bool:
        """Whether the host has answered others since it last gave this stream no answer.

        Then it is not the host that fails.
        """
        before, host = self._answers_before, self._host
        return before is not None and host is not None and host.answers > before

    @property
    def asked_to_wait_until(self) -> float:
        """Until when the receiver has asked to be left alone, on the monotonic clock."""
        asked = self.backoff.asked_to_wait_until
        return asked if self._host is None else max(asked, self._host.backoff.asked_to_wait_until)

    def waiting(self) -> Waiting:
        """What waits to be sent, on disk and in memory."""
        waiting = self._buffer.waiting()
        return waiting if self._shelf is None else self._shelf.with_stored(waiting)

    def pause(self, *, closing: bool) -> float | None:
        """Seconds until there is something to do; None if nothing waits."""
        now = time.monotonic()
        waiting = self.waiting()
        if self._batch is not None:
            in_a_hurry = closing or waiting.somebody_waits
            pause = self.backoff.remaining(now, in_a_hurry=in_a_hurry)
            if self._host is not None and not self._host.is_well:
                pause = max(pause, self._host.backoff.remaining(now, in_a_hurry=in_a_hurry))
            return pause
        if self._shelf is not None and (pause := self._shelf.pause(now)):
            return pause
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
        if self._health_lines is None:
            self._health_lines = deque(maxlen=_MOST_HEALTH_LINES)
        self._health_lines.extend(frames)

    @property
    def is_telling(self) -> bool:
        """Whether lines on health have not left yet, once all records have."""
        return bool(self._health_lines) or self._is_filling or self._batch is not None

    def try_once_more(self) -> None:
        """It is the last chance: do not wait, not even where the receiver has asked for it."""
        self.backoff.asked_to_wait_until = 0.0
        if self._host is not None:
            self._host.backoff.asked_to_wait_until = 0.0

    def give_up(self) -> None:
        """Nothing goes anywhere any more."""
        self._batch = None
        self.set_aside_since = None

    def deliver(self, transport: Transport, seconds: float) -> None:
        """Send one part of one batch, within the seconds."""
        batch = self._batch
        destination = self._destination
        if destination is None:
            return
        if batch is None or batch.all_refused:
            batch = self._filled(batch, destination)
        part = batch.next_part if batch is not None else None
        if batch is not None and part is not None:
            tried, maybe_delivered = part.tried, part.maybe_delivered
            # Unless an answer says otherwise: a signal may end this without one.
            part.tried = part.maybe_delivered = True
            answer = transport.post(
                destination,
                part.body,
                frames=len(part.frames),
                frame_id=part.frame_id,
                seconds=seconds,
            )
            self._sent_at = time.monotonic()
            part.tried, part.maybe_delivered = tried or answer.was_tried, answer.maybe_delivered
            if answer.was_tried:
                self._count(answer, again=tried, maybe_twice=maybe_delivered)
            self._follow(batch, answer)

    def _filled(self, batch: Batch | None, destination: Destination) -> Batch | None:
        """A new batch, or one that is begun again with more in it; None if there is nothing."""
        if self._shelf is not None:
            return self._from(self._shelf, batch, destination)
        frames: list[bytes] = []
        held = batch.size if batch is not None else 0
        room = self._options.max_batch_bytes - held
        try:
            self._is_filling = True
            if room > 0:
                self._add_notice(frames, destination)
                render = partial(self._render, destination=destination)
                fill(frames, room, self._buffer, render, held=held)
        finally:
            # What was taken is sent in any case, even if a signal has interrupted this.
            if batch is not None:
                batch.restart(frames)
            elif frames:
                self._batch = Batch(frames, self._options.max_batch_bytes)
            self._is_filling = False
        return self._batch

    def _from(self, shelf: Shelf, batch: Batch | None, destination: Destination) -> Batch | None:
        """As `_filled`, but what is sent is on disk before; but for the handler's own lines, which
        go apart."""
        if batch is None:
            own: list[bytes] = []
            try:
                if not shelf.has_recovered:
                    self._add_notice(own, destination)
            finally:
                if own:
                    self._batch = Batch(own, self._options.max_batch_bytes)
            if self._batch is None:
                frame_id, frames = shelf.take(destination, shelf.max_bytes, more=False)
                if frames:
                    self._batch = Batch(frames, self._options.max_batch_bytes, frame_id)
        else:
            room = shelf.max_bytes - batch.size
            _, frames = shelf.take(destination, room, more=True) if room > 0 else ("", [])
            batch.restart(frames)
            shelf.divided(batch, destination)
        return self._batch

    def park(self) -> int | None:
        """Put on disk what is left, as there is no later; how many taken records could not be.

        None if there is no spool.
        """
        if self._shelf is None:
            return None
        if self._batch is not None and self._destination is not None and self._shelf.is_unsafe:
            self._shelf.divided(self._batch, self._destination)
        return self._shelf.park()

    def _add_notice(self, frames: list[bytes], destination: Destination) -> None:
        """The handler's own lines, if there are drops to tell of, or its health is asked for."""
        while self._health_lines:
            frames.append(HealthFrame(self._health_lines.popleft()))
        if self._telling.is_due_in_stream:
            try:
                notice = self._notice(self._telling.begin_notice(), destination)
                frames += map(OwnFrame, notice)
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
        is_hosts = (
            self._host is not None
            and not (answer.status is None and self.fails_alone)
            and self._host.take_note(self._name, answer, self._sent_at)
        )
        if answer.status is not None or self._host is None:
            self._answers_before = None
        elif answer.was_tried:
            self._answers_before = self._host.answers
        if action is Action.AGAIN:
            self._fail(answer, _retry.LONGEST_WAIT, waits=not is_hosts)
            if self._failures >= _FAILURES_TO_TELL:
                self._say_kept("unreachable", answer, "not delivering")
            return
        if action is Action.LOOK_UP:
            self._refuse(answer)
            return
        delivered = broken = 0
        recovered = self._shelf is not None and self._shelf.in_flight_recovered
        if action is Action.FORGET:
            delivered, broken = batch.part_accepted()
            self._failures = 0
            self.backoff.succeed()
            self.problem = ""
            self.set_aside_since = None
        elif self.may_look_up and answer.status != _TOO_LARGE:
            # Perhaps it is not the batch that is refused.
            self.problem = str(answer)
            self.backoff.go_on()
            self.wants_look_up = True
            return
        else:
            alone = batch.part_refused()
            self.backoff.go_on()
            self.problem = str(answer)
            if batch.all_refused:
                self._refuse(answer)
                return
            if alone and batch.refused_alone >= _REFUSALS_TO_SLOW_DOWN:
                wait = _retry.wait(1, random.random(), _retry.LONGEST_REFUSED_WAIT)
                self.backoff.rest(time.monotonic(), wait)
                return
        if batch.next_part is None:
            more_delivered, more_broken = batch.drop_refused()
            delivered, broken = delivered + more_delivered, broken + more_broken
            self._batch = None
            self._telling.end_notice(delivered=batch.notice_accepted)
            if self._shelf is not None:
                self._shelf.settled()
        elif self._shelf is not None and self._destination is not None:
            self._shelf.divided(batch, self._destination)
        self._buffer.settle(
            delivered=delivered,
            dropped=broken,
            recovered=recovered,
            through=self._batch is None,
        )

    def _refuse(self, answer: Answer) -> None:
        """The stream is refused: keep its records, and wait longer each time."""
        self._fail(answer, _retry.LONGEST_REFUSED_WAIT)
        self.wants_look_up = self.may_look_up
        if self.set_aside_since is None:
            self.set_aside_since = time.time()
        if not self.may_look_up:
            what = "not accepted (is the URL with its token still good?)"
            self._say_kept("refused", answer, what)

    def _fail(self, answer: Answer, longest: float, *, waits: bool = True) -> None:
        self._failures += 1
        self.problem = str(answer)
        if waits:
            self.backoff.fail(time.monotonic(), answer, longest)

    def _say_kept(self, kind: str, answer: Answer, what: str) -> None:
        _, _, pending, _ = self._buffer.books()
        host = self._destination.host if self._destination is not None else ""
        self._stderr.say(
            kind,
            f"{host}: {what}: {answer}; {records_in_words(pending)} kept, to be tried again",
        )
