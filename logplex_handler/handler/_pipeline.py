"""What stands behind the handler, connected: one process's way from an entry to the receivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Protocol

from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._delivery.flush import Flusher
from logplex_handler._delivery.scheduler import Scheduler
from logplex_handler._delivery.spool_writer import SpoolWriter
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._process import exits, forks
from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.disk_queue import DiskQueueOptions
from logplex_handler._sender.drain import Readdress, RenderFor
from logplex_handler._sender.in_flight import Notice
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._sender.urgency import UrgencyMonitor
from logplex_handler._spool.store import Spool
from logplex_handler._transport.pool import TransportPool
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.entry import Weigh
from logplex_handler.handler._health import Health, Vitals
from logplex_handler.handler._shutdown_clock import ShutdownClock
from logplex_handler.handler.options import Options
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.context import StreamContext
from logplex_handler.streams.intake import Intake
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Stream

# Bytes of one request, if that is no more than half of the bound; and of the longest packet.
_LEAST_BATCH = 65_536
_LONGEST_FRAME = 10_248


class Pipeline(Protocol):
    """What a handler has in one process; a forked child gets another, with nothing in it."""

    # Whose first item says whether this is the process of the pipeline.
    here: forks.Here
    # Whether entries are taken at all; else `count_rejected` of the handler's own intake is enough.
    takes_entries: bool
    # Where records go that name no stream.
    own: Intake

    def intake(self, stream: Hashable) -> Intake:
        """Where the records of a stream go."""

    def flush(self, timeout: float | None) -> bool:
        """Whether all that was queued is delivered, or dropped and told, in time."""

    def begin_shutdown(self) -> None:
        """Start the clock that flushing and closing share, and the delivery of what waits."""

    def close(self) -> None:
        """Deliver what is left in what is left of the time, and stop; harmless twice."""

    def stats(self) -> Stats:
        """The books at this moment."""

    def stats_of(self, stream: Hashable) -> Stats:
        """Those of one stream."""

    def set_aside(self) -> tuple[SetAside, ...]:
        """The streams whose lines are kept while nothing is written to them."""


def _smaller(options: SenderOptions, max_bytes: int) -> SenderOptions:
    """Where many streams share a bound, none is to hold much of it with one request."""
    share = max(_LONGEST_FRAME, min(max(_LEAST_BATCH, max_bytes // 64), max_bytes // 2))
    return replace(options, max_batch_bytes=min(options.max_batch_bytes, share))


class Active:
    """A pipeline to the handler's own URL, to the application's streams, or to both."""

    def __init__(
        self,
        options: Options,
        *,
        weigh: Weigh,
        render: RenderFor,
        readdress: Readdress,
        notice: Notice,
        health: Callable[[Mapping[str, str], Destination], list[bytes]],
        diagnostics: Diagnostics,
    ) -> None:
        self.here = forks.here()
        self.takes_entries = True
        self._clock = ShutdownClock(options.shutdown_timeout)
        self._diagnostics = diagnostics
        many = options.lookup is not None
        limits, sender = options.accumulator, options.sender
        if many:
            sender = _smaller(sender, limits.max_bytes)
            # No stream need hold more than fits into a request.
            batch_bytes = min(limits.batch_bytes, sender.max_batch_bytes)
            limits = replace(limits, batch_bytes=batch_bytes)
        may_reclaim = limits.on_full == "drop_oldest"
        self._memory = MemoryPool(limits.max_bytes, may_reclaim=may_reclaim) if many else None
        spool = None if options.spool is None else Spool(options.spool)
        context = StreamContext(
            limits=limits,
            memory=self._memory,
            sender=sender,
            weigh=weigh,
            render=render,
            readdress=readdress,
            notice=notice,
            diagnostics=diagnostics,
            on_drop=options.on_drop,
            breakers=CircuitBreakers(),
            lookup=options.lookup,
            may_wait=options.shutdown_timeout if limits.on_full == "block" else None,
            on_news=self._on_news,
            is_deliverer=self._is_deliverer,
            spool=spool,
            disk_queue=DiskQueueOptions(
                # Of a small accumulator, a chunk being made and a batch being sent leave most.
                max_bytes=min(options.sender.max_batch_bytes, limits.max_bytes // 8),
                batch_frames=limits.batch_frames,
                has_token=options.token_as_appname,
            ),
            recover=self._recover,
        )
        own = None
        if options.destination is not None:
            own = Stream(None, context)
            own.fix(options.destination)
        self._registry = Registry(context, own)
        self.own: Intake = self._registry.unknown_intake if own is None else own.intake
        self._pool = TransportPool(options.transport)
        urgency = UrgencyMonitor()
        self._worker_pool = WorkerPool(
            Scheduler(options.workers, self._registry, urgency, diagnostics),
            self._pool,
            diagnostics,
            urgency,
            # Requests to hosts that are well and to others, look-ups that come back and that do
            # not, one that tells of drops, and one to see to all of them.
            max_workers=4 * options.workers + 2 if many else 1,
            here=self.here,
            on_end=self._leave_spool,
        )
        self._delivery = Flusher(
            self._worker_pool, self._pool, diagnostics, urgency, self._registry.all_streams
        )
        self._spool = spool
        self._spool_writer: SpoolWriter | None = None
        if options.spool is not None and spool is not None:
            self._spool_writer = SpoolWriter(
                spool,
                options.spool.interval,
                serves=(own is not None, many),
                stream=self._registry.stream,
                wake=self._worker_pool.wake,
                diagnostics=diagnostics,
            )
        self._health: Health | None = None
        if options.health_interval is not None and own is not None:
            self._health = Health(options.health_interval, self._vitals, self._say_health)
        self._render_health = health
        self._started = False
        self._take_back_exit: Callable[[], None] | None = None

    def intake(self, stream: Hashable) -> Intake:
        return self.own if stream is None else self._registry.intake(stream)

    def _on_news(self, stream: Stream) -> None:
        if not self._started:
            self._started = True
            if self._health is not None:
                self._health.start()
            self._take_back_exit = exits.call_at_exit(self.close)
            if not exits.threads_run():
                self._diagnostics.warn(
                    "uwsgi",
                    "uWSGI runs no threads without --enable-threads: "
                    "records may wait until they are flushed, or the process exits",
                )
        if self._memory is not None:
            self._memory.shrink_holders()
        if self._spool_writer is not None:
            self._spool_writer.note(stream)
        self._worker_pool.wake(stream)

    def _is_deliverer(self) -> bool:
        return self._worker_pool.is_current_thread()

    def _recover(self) -> None:
        if self._spool_writer is not None:
            self._spool_writer.recover()

    def flush(self, timeout: float | None) -> bool:
        self._recover()
        if timeout is not None:
            return self._delivery.flush(max(0.0, timeout))
        flushed = self._delivery.flush(self._clock.left_to_flush())
        self._clock.flushed()
        return flushed

    def begin_shutdown(self) -> None:
        self._clock.start()
        self._delivery.flush_soon()

    def close(self) -> None:
        if not self.takes_entries or not self.here[0]:
            return
        if self._health is not None:
            self._health.stop()
        self.takes_entries = False
        self.own = self._registry.close()
        if self._take_back_exit is not None:
            self._take_back_exit()
        seconds = self._clock.left_to_close()
        if self._spool is not None:
            self._spool.end_by(time.monotonic() + seconds)
        left = self._delivery.close(seconds)
        if self._spool_writer is not None:
            self._spool_writer.stop()
            pending = self.stats().pending
            if pending:
                why = self._problem() or f"not delivered within {self._clock.timeout:g} s"
                self._diagnostics.warn(
                    "left", f"{records_in_words(pending)} left in the spool: {why}"
                )
        if left:
            why = self._problem() or f"not within {self._clock.timeout:g} s"
            self._diagnostics.warn("shutdown", f"{records_in_words(left)} not delivered: {why}")

    def _leave_spool(self) -> None:
        """Nobody here sends any more of what is on disk: it is anybody's."""
        if self._spool_writer is not None:
            self._spool_writer.leave()

    def _problem(self) -> str:
        problems = [stream.sender.problem for stream in self._registry.streams()]
        return next(filter(None, problems), "")

    def stats(self) -> Stats:
        return self._registry.stats()

    def stats_of(self, stream: Hashable) -> Stats:
        return self._registry.stats_of(stream)

    def _vitals(self) -> Vitals:
        took = self._pool.requests_took
        return Vitals(self.stats(), took, self._registry.fill_ratio())

    def _say_health(self, pairs: Mapping[str, str]) -> None:
        own = self._registry.own
        if own is not None and own.in_flight.destination is not None:
            own.in_flight.add_health(self._render_health(pairs, own.in_flight.destination))
            self._worker_pool.wake(own)

    def set_aside(self) -> tuple[SetAside, ...]:
        return self._registry.set_aside()
