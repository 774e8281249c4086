"""A shipper: it owns some shards of a relay, and delivers what waits there.

Two threads serve the relay: one keeps the leases, and the other one takes batches and settles
outcomes. The worker pool sends the batches as it does those of a handler.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._delivery.exchange import Exchange
from logplex_handler._delivery.news import News
from logplex_handler._delivery.scheduler import Scheduler
from logplex_handler._delivery.worker_pool import WorkerPool
from logplex_handler._formatting.codec import Codec
from logplex_handler._process import forks
from logplex_handler._process.contexts import new_thread
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._relay.engine import RENEW, Engine
from logplex_handler._relay.ownership import plan
from logplex_handler._relay.values import EngineAway, Lease, Outcome
from logplex_handler._sender.circuit_breaker import CircuitBreakers
from logplex_handler._sender.due import UrgencyMonitor
from logplex_handler._sender.lag_reports import LagReports
from logplex_handler._sender.sender import SenderOptions
from logplex_handler._sender.source import LeaseForm
from logplex_handler._transport.transport import TransportOptions, TransportPool
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.stats import Stats
from logplex_handler.streams.context import Relaying, StreamContext
from logplex_handler.streams.registry import Registry
from logplex_handler.streams.resolver import Resolver
from logplex_handler.streams.stream import Stream

# Seconds between two looks at who works and which shards are free. With it, the shards of a shipper
# that was killed have owners again within the second after its leases end.
_LOOK = 0.5
# Seconds that a thread rests after an internal error, so as not to spin.
_AFTER_ERROR = 1.0


@dataclass(frozen=True, repr=False)
class ShipperOptions:
    """The options of a shipper.

    Attributes:
        flush_interval: Seconds that a stream's first chunk waits for more.
        workers: Requests at the same time.
        destination: Where the shipper's own lines go; None if it has none.
    """

    flush_interval: float
    workers: int
    limits: BufferLimits
    max_batch_bytes: int
    transport: TransportOptions
    resolver: Resolver
    destination: Destination | None = None


class Shipper:
    """Delivers what waits in its shards of a relay, until it is stopped.

    Attributes:
        name: Its name in the relay, which no other shipper has: host, process and a random part.
    """

    def __init__(
        self, engine: Engine, codec: Codec, options: ShipperOptions, diagnostics: Diagnostics
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._engine = engine
        self._diagnostics = diagnostics
        self._transports = TransportPool(options.transport)
        urgency = UrgencyMonitor()
        sender = SenderOptions(options.flush_interval, options.max_batch_bytes)
        context = StreamContext(
            limits=options.limits,
            memory=None,
            sender=sender,
            form=LeaseForm(sender.max_batch_bytes),
            codec=codec,
            weigh=codec.weigh,
            diagnostics=diagnostics,
            on_drop=None,
            breakers=CircuitBreakers(),
            lag_reports=LagReports(
                diagnostics,
                options.flush_interval,
                f"raise --workers (now {options.workers}), or start another shipper",
            ),
            resolver=options.resolver,
            max_block=None,
            on_news=self._wake,
            is_delivering=self._is_delivering,
            make_room=lambda: None,
            disk=None,
            recover=lambda: None,
            relaying=Relaying(hands=self),
        )
        self._codec = codec
        self._own: Stream | None = None
        if options.destination is not None:
            self._own = Stream(None, context)
            self._own.fix(options.destination)
        self._registry = Registry(context, self._own)
        self._pool = WorkerPool(
            Scheduler(options.workers, self._registry, urgency, diagnostics),
            self._transports,
            diagnostics,
            urgency,
            max_workers=4 * options.workers + 2,
            here=forks.here(),
            on_end=lambda: None,
            news=News(),
        )
        self._exchange = Exchange(
            engine,
            self._registry,
            self._pool,
            diagnostics,
            workers=options.workers,
            linger=options.flush_interval,
        )
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._keeper = new_thread(self._keep, "logplex_handler.leases")
        self._exchanger = new_thread(self._serve, "logplex_handler.exchange")

    # For its streams.

    def time_left(self, lease: Lease) -> float:
        return self._exchange.time_left(lease)

    def settle(self, outcome: Outcome) -> None:
        self._exchange.settle(outcome)

    def settle_now(self, outcome: Outcome) -> bool:
        return self._exchange.settle_now(outcome)

    def _wake(self, stream: Stream) -> None:
        self._pool.wake(stream)

    def _is_delivering(self) -> bool:
        return self._pool.is_current_thread()

    def start(self) -> None:
        self._keeper.start()
        self._exchanger.start()

    def stop(self, seconds: float) -> bool:
        """Take nothing more, let requests finish and give all shards back; False if too late."""
        deadline = time.monotonic() + seconds
        self._exchange.is_stopping = True
        self._exchange.wake()
        # Threads of their own end what is running, and renew the leases meanwhile.
        self._exchanger.join(max(0.0, deadline - time.monotonic()))
        is_done = not self._exchanger.is_alive()
        self._stop.set()
        self._keeper.join(max(0.1, deadline - time.monotonic()))
        self._pool.stop()
        self._engine.release(list(self._exchange.leases.values()))
        self._engine.leave(self.name)
        self._transports.close()
        self._engine.close()
        return is_done

    def stats(self) -> Stats:
        return self._registry.stats()

    def report(self, pairs: Mapping[str, str]) -> None:
        """Send a line of metrics to its own URL, if it has one."""
        own = self._own
        if own is not None and own.destination is not None:
            own.in_flight.add_health(self._codec.health_lines(pairs, own.destination))
            self._pool.wake(own)

    @property
    def requests_took(self) -> float:
        """Seconds that all requests have taken together."""
        return self._transports.requests_took

    @property
    def owned(self) -> int:
        """The number of shards that it owns."""
        return len(self._exchange.leases)

    @property
    def taken_over(self) -> int:
        """Batches taken that were taken before, by another shipper or by this one."""
        return self._exchange.taken_over

    def max_wait(self) -> float:
        """Seconds that chunks have waited at most that were taken since the last call."""
        return self._exchange.max_wait()

    @property
    def fill_ratio(self) -> float:
        """The share of the room for batches in hand that is in use, from 0 to 1."""
        return self._exchange.fill_ratio

    def _serve(self) -> None:
        while not (self._exchange.is_stopping and self._exchange.is_empty):
            try:
                self._exchange.step()
            except Exception as error:
                self._report(error)
                time.sleep(_AFTER_ERROR)

    def _keep(self) -> None:
        renew_at = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                if began >= renew_at:
                    renew_at = began + RENEW
                    self._renew()
                self._share()
            except EngineAway as error:
                self._diagnostics.warn("relay", f"the relay is away: {error}; tried again")
            except ConfigurationError as error:
                self._diagnostics.warn("relay", f"{error}; tried again")
            except Exception as error:
                self._report(error)
            self._stop.wait(max(0.05, began + _LOOK - time.monotonic()))

    def _renew(self) -> None:
        exchange = self._exchange
        held = {lease.shard: lease for lease in self._engine.renew(exchange.leases.values())}
        for shard in exchange.leases.keys() - held.keys():
            exchange.leaving.discard(shard)
        exchange.leases = held

    def _share(self) -> None:
        """Give back and take shards, so that each shipper has its share."""
        exchange = self._exchange
        if exchange.is_stopping:
            return
        held = dict(exchange.leases)
        free = exchange.idle_of(exchange.leaving & held.keys())
        if free:
            self._engine.release([held.pop(shard) for shard in free])
            exchange.leases = held
            exchange.leaving -= free
        fleet = self._engine.heartbeat(self.name)
        owned = held.keys() - exchange.leaving
        wanted = plan(fleet, self.name, owned, self._engine.shards)
        exchange.leaving |= set(wanted.release)
        if wanted.acquire:
            leases = self._engine.acquire(wanted.acquire, self.name)
            exchange.leases = {**held, **{lease.shard: lease for lease in leases}}

    def _report(self, error: Exception) -> None:
        self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
