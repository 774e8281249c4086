"""What a stream sends with, which is made when it is first needed."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.drop_reports import DropReports
from logplex_handler._sender.due import Urgency, next_batch_due_in
from logplex_handler._sender.in_flight import InFlight
from logplex_handler._sender.sender import Sender
from logplex_handler._sender.source import Source, age_of_oldest
from logplex_handler._wire.destination import Destination
from logplex_handler.streams._resolution import Resolution, ResolutionState
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import OpenIntake

if TYPE_CHECKING:
    from logplex_handler._sender.relay import Relay
    from logplex_handler._sender.taken_source import Hands


class Sending(OpenIntake):
    """The queue and the sender of a stream: the base of `Stream`, which is one object less.

    Attributes:
        id: The application's name for the stream; None for the handler's own URL.
        resolution: The state of its URL.
        destination: Where it goes; None while its URL is not known.
        breaker: The circuit breaker of its host; None while its URL is not known.
    """

    __slots__ = ("_sender", "breaker", "destination", "id", "known_since", "resolution")

    def __init__(
        self,
        stream_id: Hashable,
        context: StreamContext,
        resolution: Resolution,
        destination: Destination | None,
    ) -> None:
        self.id = stream_id
        self.context = context
        self.resolution = resolution
        self.accumulator = Accumulator(context.limits, context.weigh, context.memory, owner=self)
        # Without the accumulator's lock, because the registry's is held.
        self.destination = destination
        self.breaker: CircuitBreaker | None = None
        if self.relay is not None:
            resolution.state = ResolutionState.FIXED
            self.destination, self.breaker = self.relay.destination, self.relay.breaker
        elif destination is not None:
            self.breaker = context.breakers[destination.host]
        # When the destination became known, on the monotonic clock.
        self.known_since = time.monotonic()
        # None until it is needed: while a receiver is down, most of its streams only wait, and each
        # garbage collection walks over all that they have.
        self._sender: Sender | None = None
        if context.disk is not None or self._hands is not None:
            self._sender = self._new_sender()

    def after_reclaim(self) -> None:
        """Be told that entries were dropped for another stream."""
        raise NotImplementedError

    @property
    def sender(self) -> Sender:
        """Its sender. Any thread may be the first to need it."""
        if self._sender is None:
            with self.accumulator.lock:
                sender = self._new_sender()
                # An interruption may have made one meanwhile.
                if self._sender is None:
                    self._sender = sender
        return self._sender

    @property
    def in_flight(self) -> InFlight:
        return self.sender.in_flight

    @property
    def source(self) -> Source:
        return self.sender.in_flight.source

    @property
    def drop_reports(self) -> DropReports:
        return self.sender.in_flight.drop_reports

    def _new_sender(self) -> Sender:
        context, hands = self.context, self._hands
        if hands is None:
            drops = DropReports(self.accumulator, context.diagnostics, context.on_drop)
            source = self._new_source()
        else:
            drops, source = self._of_relay(hands)
        in_flight = InFlight(
            self.accumulator, source, drops, context.sender.max_batch_bytes, context.codec
        )
        flush_interval = context.sender.flush_interval
        sender = Sender(self.id, in_flight, flush_interval, context.diagnostics)
        if self.destination is not None and self.breaker is not None:
            sender.set_destination(self.destination, self.breaker, self.known_since)
        return sender

    def _new_source(self) -> Source:
        """Return a source with the spool if that can hold the stream, else one without."""
        context = self.context
        if context.disk is not None and not self.resolution.end_cause:
            # Imported here, because it is not needed without a spool.
            from logplex_handler._sender.disk_queue import DiskQueue
            from logplex_handler._sender.disk_source import DiskSource
            from logplex_handler._spool.chunk import is_stream_id

            if is_stream_id(self.id):
                spool, disk = context.disk
                queue = DiskQueue(self.id, spool, self.accumulator, context.diagnostics)
                if self.relay is not None:
                    form = self.relay.form
                    max_bytes = min(form.max_bytes, disk.form.max_bytes)
                    disk = disk._replace(form=form._replace(max_bytes=max_bytes))
                return DiskSource(queue, self.accumulator, disk, context.codec)
        form = context.form if self.relay is None else self.relay.form
        return Source(self.accumulator, form, context.codec)

    @property
    def _hands(self) -> Hands | None:
        return None if self.id is None else self.context.relaying.hands

    def _of_relay(self, hands: Hands) -> tuple[DropReports, Source]:
        from logplex_handler._sender.taken_source import RelayedDrops, TakenSource

        context = self.context
        drops = RelayedDrops(self.accumulator, context.diagnostics)
        return drops, TakenSource(
            self.accumulator,
            context.form,
            context.codec,
            hands,
            drops,
            lambda: self.resolution.end_cause,
        )

    @property
    def relay(self) -> Relay | None:
        """The relay that takes its batches; None if a receiver does."""
        return None if self.id is None else self.context.relaying.sink

    def set_destination(self, destination: Destination) -> None:
        """Send to this destination from now on."""
        breaker = self.context.breakers[destination.host]
        # With the lock, so that a sender that is being made has it, too.
        with self.accumulator.lock:
            self.destination, self.breaker = destination, breaker
            self.known_since = time.monotonic()
            sender = self._sender
        if sender is not None:
            sender.set_destination(destination, breaker, self.known_since)

    def request_due_in(self, urgency: Urgency) -> float | None:
        """Return the seconds until the next request is due, or None if nothing waits."""
        if self._sender is not None:
            return self._sender.due_in(urgency)
        return next_batch_due_in(
            self.accumulator.backlog(),
            urgency,
            time.monotonic(),
            flush_interval=self.context.sender.flush_interval,
            sent_at=-math.inf,
            has_own_lines=False,
        )

    def age(self) -> float:
        """Return the age, in seconds, of the oldest record in the batch, or else waiting."""
        if self._sender is None:
            return age_of_oldest(self.accumulator, self.context.codec)
        return self.in_flight.age()

    @property
    def problem(self) -> str:
        """Why the last request did not deliver its records; empty if it did."""
        return "" if self._sender is None else self._sender.problem

    @property
    def is_sending(self) -> bool:
        """Whether health lines wait, or a batch is being made or sent."""
        return self._sender is not None and self.in_flight.is_busy

    @property
    def has_drops_to_report(self) -> bool:
        """Whether there are drops that the callback and stderr have not seen."""
        if self._sender is None:
            return self.accumulator.ledger.has_unreported
        return self.drop_reports.is_due_locally

    @property
    def reported_drops(self) -> int:
        """The number of drops that were reported in the stream."""
        return 0 if self._sender is None else self.drop_reports.reported_in_stream

    @property
    def retry_after_until(self) -> float:
        """The time before which the receiver wants no request, on the monotonic clock."""
        return max([one.backoff.retry_after_until for one in self._waiting], default=0.0)

    def ignore_retry_after(self) -> None:
        """Ignore the receiver's `Retry-After`, because there is no later chance to send."""
        for one in self._waiting:
            one.backoff = one.backoff._replace(retry_after_until=0.0)

    @property
    def _waiting(self) -> list[Sender | CircuitBreaker]:
        return [one for one in (self._sender, self.breaker) if one is not None]
