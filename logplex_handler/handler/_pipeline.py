"""The pipeline behind a handler connects everything between a record's entry and the receiver.

This is the only module that connects these objects with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from logplex_handler._buffer.first_entries import first_entries
from logplex_handler._buffer.memory_pool import MemoryPool
from logplex_handler._delivery.flush import Flusher, ShutdownClock
from logplex_handler._delivery.news import News
from logplex_handler._delivery.scheduler import Scheduler
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._formatting.codec import Codec
from logplex_handler._process import exits, forks
from logplex_handler._process.countdown import Countdown
from logplex_handler._process.diagnostics import Diagnostics, records_in_words
from logplex_handler._process.periodic import Periodic
from logplex_handler._process.reentrancy import is_held
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.due import UrgencyMonitor
from logplex_handler._sender.lag_reports import LagReports
from logplex_handler._sender.source import LeaseForm
from logplex_handler._transport.transport import TransportPool
from logplex_handler.handler._sharing import cure_of_lag, shared
from logplex_handler.handler.health import Vitals, pairs
from logplex_handler.handler.options import Options
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.context import Relaying, StreamContext
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.stream import Stream

if TYPE_CHECKING:
    from logplex_handler._delivery.spool_writer import SpoolWriter
    from logplex_handler._sender.disk_source import DiskOptions
    from logplex_handler._sender.relay import Relay
    from logplex_handler._spool.spool import Spool

# The longest wait in `close`, in seconds, for the handler's last health lines.
_HEALTH_PATIENCE = 1.0
# The longest wait, in seconds, of `flush` and `close` each in a thread that holds the lock of the
# logging module, as `dictConfig` does: a look-up that logs may need that lock.
_CONFIGURATION_PATIENCE = 1.0


class Pipeline:
    """A pipeline to the handler's own URL, to the application's streams, or to both.

    It belongs to the process that created it, the only one in which `here[0]` is true.

    Attributes:
        takes_entries: Whether entries are taken. If not, `own_intake` drops every record.
        own_intake: The intake of records that name no stream.
        intake: Returns the intake of a stream; None means `own_intake`.
    """

    def __init__(self, options: Options, codec: Codec, diagnostics: Diagnostics) -> None:
        self.here = forks.here()
        self.takes_entries = True
        self._clock = ShutdownClock(options.shutdown_timeout)
        self._diagnostics = diagnostics
        many = options.has_streams
        limits, sender = options.accumulator, options.sender
        news = News()
        self._memory: MemoryPool | None = None
        if many:
            limits, sender = shared(limits, sender)
            self._memory = MemoryPool(
                limits.max_bytes,
                may_reclaim=limits.on_full == "drop_oldest",
                first_entries=first_entries(limits, news, sender.flush_interval),
            )
        self._spool: Spool | None = None
        self._spool_writer: SpoolWriter | None = None
        disk: DiskOptions | None = None
        if options.spool is not None:
            # Imported here because it loads SQLite, which only a spool needs.
            from logplex_handler._sender.disk_source import DiskOptions
            from logplex_handler._spool.spool import Spool

            self._spool = Spool(options.spool)
            disk = DiskOptions(
                # At most an eighth: a chunk and a batch together leave most of an accumulator free.
                form=LeaseForm(min(options.sender.max_batch_bytes, limits.max_bytes // 8)),
                batch_frames=limits.batch_frames,
                has_token=options.token_as_appname,
            )
        self._relay = self._new_relay(options, sender.max_batch_bytes)
        context = StreamContext(
            limits=limits,
            memory=self._memory,
            sender=sender,
            form=LeaseForm(sender.max_batch_bytes),
            codec=codec,
            weigh=codec.weigh,
            diagnostics=diagnostics,
            on_drop=options.on_drop,
            breakers=CircuitBreakers(),
            lag_reports=LagReports(diagnostics, sender.flush_interval, cure_of_lag(options)),
            resolver=options.lookup,
            max_block=options.shutdown_timeout if limits.on_full == "block" else None,
            on_news=self._on_news,
            is_delivering=self._is_delivering,
            make_room=self._make_room,
            disk=None if self._spool is None or disk is None else (self._spool, disk),
            recover=self._recover,
            relaying=Relaying(sink=self._relay),
        )
        own = None
        if options.destination is not None:
            own = Stream(None, context)
            own.fix(options.destination)
        self._registry = Registry(context, own)
        self.intake = self._registry.intake
        self.own_intake = self.intake(None)
        self._transports = TransportPool(options.transport)
        urgency = UrgencyMonitor()
        # A relay takes one push at a time, and is asked for nothing.
        workers = options.workers if options.relay is None else 1
        self._worker_pool = WorkerPool(
            Scheduler(workers, self._registry, urgency, diagnostics),
            self._transports,
            diagnostics,
            urgency,
            # Requests to hosts that answer and to hosts that do not, look-ups that return and
            # look-ups that do not, one thread that reports drops, and one that watches the others.
            max_workers=4 * workers + 2 if many else 1,
            here=self.here,
            on_end=self._on_end,
            news=news,
        )
        if options.spool is not None and self._spool is not None:
            from logplex_handler._delivery.spool_writer import SpoolWriter
            from logplex_handler._spool.spool import Served

            self._spool_writer = SpoolWriter(
                self._spool,
                options.spool.interval,
                served=Served(own_url=own is not None, streams=many),
                stream=self._registry.stream,
                wake=self._worker_pool.wake,
                count_lost=self._count_lost,
                diagnostics=diagnostics,
            )
        pool, writer = self._worker_pool, self._spool_writer
        self._flusher = Flusher(
            pool, self._transports, diagnostics, urgency, self._registry, writer
        )
        self._health: Periodic | None = None
        self._vitals = Vitals(Stats(), 0.0, 0.0)
        if options.health_interval is not None and own is not None:
            self._health = Periodic(options.health_interval, self._report_health)
        self._started = False
        self._cancel_exit_call: Callable[[], None] | None = None

    def _new_relay(self, options: Options, max_bytes: int) -> Relay | None:
        if options.relay is None:
            return None
        # With redis-py, which nothing else needs.
        from logplex_handler._sender.relay import Relay

        has_token = options.token_as_appname
        return Relay(options.relay.engine(), max_bytes, self._diagnostics, has_token=has_token)

    def _on_news(self, stream: Stream) -> None:
        if not self._started:
            self._started = True
            self._start()
        if self._memory is not None and self._memory.to_shrink:
            self._memory.shrink_holders()
        if self._spool_writer is not None:
            self._spool_writer.note(stream)
        self._worker_pool.wake(stream)

    def _start(self) -> None:
        self._cancel_exit_call = exits.call_at_exit(self.close)
        if self._health is not None:
            self._health.start()
        if not exits.threads_run():
            self._diagnostics.warn(
                "uwsgi",
                "uWSGI runs no threads without --enable-threads: "
                "records may wait until they are flushed, or the process exits",
            )

    def _make_room(self) -> None:
        self._flusher.flush_soon()

    def _is_delivering(self) -> bool:
        return self._worker_pool.is_current_thread()

    def _count_lost(self, records: int) -> None:
        stream = self._registry.own or self._registry.unknown
        stream.accumulator.count_recovered(records)
        stream.accumulator.settle(dropped=records, cause="spool_lost", recovered=True)
        self._worker_pool.wake(stream)

    def _recover(self) -> None:
        if self._spool_writer is not None:
            self._spool_writer.recover()

    def flush(self, timeout: float | None) -> bool:
        """Wait until all queued records are delivered, or dropped and reported.

        Without a `timeout`, wait for the time left for the shutdown. Return whether all are.
        """
        try:
            seconds = self._clock.left(closing=False) if timeout is None else timeout
            if timeout is None and is_held(forks.logging_lock()):
                seconds = min(seconds, _CONFIGURATION_PATIENCE)
            countdown = Countdown(seconds)
            flushed = exits.without_logging_lock(partial(self._flush, countdown), countdown.left)
            if timeout is None:
                self._clock.flushed()
            return bool(flushed)
        except Exception as error:
            # The application's code may raise anything; the caller of `flush` must not see it.
            self._report_internal(error)
            return False

    def _flush(self, countdown: Countdown) -> bool:
        try:
            with self._spool.until(countdown.deadline) if self._spool else nullcontext():
                return self._flusher.flush(countdown.left)
        except Exception as error:
            self._report_internal(error)
            return False

    def begin_shutdown(self) -> None:
        """Start the shutdown clock that `flush` and `close` share, and deliver waiting records."""
        self._clock.start()
        self._flusher.flush_soon()

    def close(self) -> None:
        """Deliver the remaining records in the remaining time, and stop. May be called again."""
        if not self.takes_entries or not self.here[0]:
            return
        close = partial(self._close, Countdown(self._clock.left(closing=True)))
        exits.without_logging_lock(close, _CONFIGURATION_PATIENCE)

    def _close(self, countdown: Countdown) -> None:
        interruption = ""
        try:
            if self._health is not None:
                self._health.stop(min(_HEALTH_PATIENCE, max(0.0, countdown.left)))
            self.takes_entries = False
            self.own_intake = self._registry.close()
            if self._cancel_exit_call is not None:
                self._cancel_exit_call()
            if self._spool is not None:
                self._spool.set_deadline(countdown.deadline)
            self._flusher.flush_last(countdown.left)
        except Exception as error:
            self._report_internal(error)
        except BaseException as error:
            # Ctrl-C, for example, ends the wait. What it leaves is reported all the same.
            interruption = type(error).__name__
            raise
        finally:
            self._stop(interruption)

    def _stop(self, interruption: str) -> None:
        left = 0
        try:
            left = self._flusher.stop()
        except Exception as error:
            self._report_internal(error)
        within = f"within {self._clock.timeout:g} s"
        problems = [stream.problem for stream in self._registry.streams()]
        problem = next(filter(None, [interruption, *problems]), "")
        if self._spool_writer is not None:
            self._spool_writer.stop()
            if pending := self.stats().pending:
                why = problem or f"not delivered {within}"
                words = records_in_words(pending)
                self._diagnostics.warn("left", f"{words} left in the spool: {why}")
        if left:
            why = problem or f"not {within}"
            self._diagnostics.warn("shutdown", f"{records_in_words(left)} not delivered: {why}")
        # Last, as `on_drop` may raise what is meant to end the program.
        try:
            self._flusher.report_last_drops()
        except Exception as error:
            self._report_internal(error)

    def _report_internal(self, error: Exception) -> None:
        self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")

    def _on_end(self) -> None:
        """Leave the spool, so that other handlers may take over its chunks."""
        if self._spool_writer is not None:
            self._spool_writer.leave()
        if self._relay is not None:
            self._relay.close()

    def stats(self) -> Stats:
        return self._registry.stats()

    def stats_of(self, stream: Hashable) -> Stats:
        return self._registry.stats_of(stream)

    def _report_health(self) -> None:
        own, before = self._registry.own, self._vitals
        self._vitals = now = Vitals(
            self.stats(), self._transports.requests_took, self._registry.fill_ratio()
        )
        if own is not None and own.destination is not None:
            frames = own.context.codec.health_lines(pairs(now, before), own.destination)
            own.in_flight.add_health(frames)
            self._worker_pool.wake(own)

    def set_aside(self) -> tuple[SetAside, ...]:
        return self._registry.set_aside()
