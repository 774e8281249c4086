"""What of one stream is on its way: a batch that was taken, and is settled.

One thread at a time calls what changes the batch; `add_health` may come from any.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from logplex_handler._buffer.accumulator import Accumulator, Backlog
from logplex_handler._sender.batch import Batch, Part
from logplex_handler._sender.disk_queue import DiskQueue
from logplex_handler._sender.drain import Readdress, RenderFor, drain
from logplex_handler._sender.drop_notices import DropNotices
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.frames import Frame, HealthFrame, OwnFrame

# The frames that tell a stream of drops.
Notice = Callable[[Counter[str], Destination], list[bytes]]

# Lines on the handler's health that wait while nothing can be sent; then the oldest give way.
_MOST_HEALTH_LINES = 60


class InFlight:
    """A stream's batch, of which there is one at most, from being filled to being settled.

    Args:
        accumulator: Where records come from, and whose books say what became of them.
        max_bytes: Bytes of a request's body before compression.
        disk_queue: Where records are between accumulator and batch, if there is a spool.
    """

    __slots__ = (
        "_accumulator",
        "_batch",
        "_disk_queue",
        "_drop_notices",
        "_health_lines",
        "_is_filling",
        "_max_bytes",
        "_notice",
        "_readdress",
        "_render",
        "destination",
    )  # fmt: skip

    def __init__(
        self,
        accumulator: Accumulator,
        max_bytes: int,
        *,
        render: RenderFor,
        readdress: Readdress,
        notice: Notice,
        drop_notices: DropNotices,
        disk_queue: DiskQueue | None,
    ) -> None:
        self._accumulator = accumulator
        self._max_bytes = max_bytes
        self._render = render
        self._readdress = readdress
        self._notice = notice
        self._drop_notices = drop_notices
        self._disk_queue = disk_queue
        # Where it goes; None while that is not known.
        self.destination: Destination | None = None
        self._batch: Batch | None = None
        self._is_filling = False
        # There is none until there is a line.
        self._health_lines: deque[bytes] | None = None

    def set_destination(self, destination: Destination) -> None:
        """From now on this is the destination."""
        old = self.destination
        if self._batch is not None and old is not None:
            self._batch.rewrite(lambda frame: self._readdress(frame, old, destination))
        self.destination = destination
        if self._disk_queue is not None:
            self._disk_queue.set_hostname(destination.hostname)

    @property
    def is_begun(self) -> bool:
        """Whether there is a batch that is not settled yet."""
        return self._batch is not None

    @property
    def has_own_lines(self) -> bool:
        """Whether there is something to say in the stream: its health, or drops."""
        return bool(self._health_lines) or self._drop_notices.is_due_in_stream

    @property
    def is_busy(self) -> bool:
        """Whether lines on health have not left yet, once all records have."""
        return bool(self._health_lines) or self._is_filling or self._batch is not None

    @property
    def pending(self) -> int:
        """Records that wait, or are being sent."""
        return self._accumulator.counts()[2]

    def backlog(self) -> Backlog:
        """What waits to be taken, on disk and in memory."""
        backlog = self._accumulator.backlog()
        return backlog if self._disk_queue is None else self._disk_queue.with_stored(backlog)

    def disk_pause(self, now: float) -> float:
        """Seconds until what is next in the spool can be tried again; 0 if it need not wait."""
        return 0.0 if self._disk_queue is None else self._disk_queue.pause(now)

    @property
    def is_tidy(self) -> bool:
        """Whether the disk has taken all that it was given, and let go of all that is settled."""
        return self._disk_queue is None or self._disk_queue.is_tidy

    def add_health(self, frames: list[bytes]) -> None:
        """Send these with the next batch. Any thread may call it, and then wakes who delivers."""
        if self._health_lines is None:
            self._health_lines = deque(maxlen=_MOST_HEALTH_LINES)
        self._health_lines.extend(frames)

    def next_part(self) -> Part | None:
        """What to send now; a new batch is taken if there is none. None if nothing waits."""
        batch, destination = self._batch, self.destination
        if destination is None:
            return None
        if batch is None or batch.all_refused:
            if self._disk_queue is None:
                self._fill(batch, destination)
            else:
                self._fill_from(self._disk_queue, batch, destination)
        return None if self._batch is None else self._batch.next_part

    def _fill(self, batch: Batch | None, destination: Destination) -> None:
        """Make a new batch, or begin one again with more in it."""
        frames: list[Frame] = []
        held = batch.size if batch is not None else 0
        room = self._max_bytes - held
        try:
            self._is_filling = True
            if room > 0:
                self._add_own(frames, destination)
                render = partial(self._render, destination=destination)
                drain(frames, room, self._accumulator, render, held=held)
        finally:
            # What was taken is sent in any case, even if a signal has interrupted this.
            if batch is not None:
                batch.restart(frames)
            elif frames:
                self._batch = Batch(frames, self._max_bytes)
            self._is_filling = False

    def _fill_from(
        self, disk_queue: DiskQueue, batch: Batch | None, destination: Destination
    ) -> None:
        """As `_fill`, but what is sent is on disk before; but for the handler's own lines, which
        go apart."""
        if batch is None:
            own: list[Frame] = []
            try:
                if not disk_queue.has_recovered:
                    self._add_own(own, destination)
            finally:
                if own:
                    self._batch = Batch(own, self._max_bytes)
            if self._batch is None:
                frame_id, frames = disk_queue.take(destination, disk_queue.max_bytes, more=False)
                if frames:
                    self._batch = Batch(frames, self._max_bytes, frame_id)
        else:
            room = disk_queue.max_bytes - batch.size
            _, frames = disk_queue.take(destination, room, more=True) if room > 0 else ("", [])
            batch.restart(frames)
            disk_queue.divided(batch, destination)

    def _add_own(self, frames: list[Frame], destination: Destination) -> None:
        """The handler's own lines, if there are drops to tell of, or its health is asked for."""
        while self._health_lines:
            frames.append(HealthFrame(self._health_lines.popleft()))
        if self._drop_notices.is_due_in_stream:
            try:
                notice = self._notice(self._drop_notices.begin_notice(), destination)
                frames += map(OwnFrame, notice)
            except BaseException:
                self._drop_notices.end_notice(delivered=False)
                raise

    def part_accepted(self) -> None:
        """The part that was sent is delivered."""
        batch = self._batch
        if batch is not None:
            self._settle(batch, *batch.part_accepted())

    def part_refused(self) -> int | None:
        """The part that was sent is refused as it is: it is halved, or its one packet kept apart.

        How many packets were refused alone while none is accepted, if it was one; None if all of
        the batch are, so that it is kept, and begun again with more.
        """
        batch = self._batch
        if batch is None:
            return 0
        alone = batch.part_refused()
        if batch.all_refused:
            return None
        refused_alone = batch.refused_alone if alone else 0
        self._settle(batch, 0, 0)
        return refused_alone

    def _settle(self, batch: Batch, delivered: int, broken: int) -> None:
        """So many records are delivered, or dropped for a part of theirs that was refused."""
        recovered = self._disk_queue is not None and self._disk_queue.in_flight_recovered
        if batch.next_part is None:
            more_delivered, more_broken = batch.drop_refused()
            delivered, broken = delivered + more_delivered, broken + more_broken
            self._batch = None
            self._drop_notices.end_notice(delivered=batch.notice_accepted)
            if self._disk_queue is not None:
                self._disk_queue.settled()
        elif self._disk_queue is not None and self.destination is not None:
            self._disk_queue.divided(batch, self.destination)
        self._accumulator.settle(
            delivered=delivered,
            dropped=broken,
            recovered=recovered,
            through=self._batch is None,
        )

    def discard_batch(self) -> None:
        """Nothing goes anywhere any more."""
        self._batch = None

    def park(self) -> int | None:
        """Put on disk what is left, as there is no later; how many taken records could not be.

        None if there is no spool.
        """
        if self._disk_queue is None:
            return None
        if self._batch is not None and self.destination is not None and self._disk_queue.is_unsafe:
            self._disk_queue.divided(self._batch, self.destination)
        return self._disk_queue.park()
