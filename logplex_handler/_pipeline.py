"""The rooms behind the handler, connected: one process's way from an entry to the receiver."""

from __future__ import annotations

import dataclasses
import os
import time
from types import MappingProxyType

from logplex_handler import _exits
from logplex_handler._buffer import Buffer, Entry
from logplex_handler._delivery import Delivery
from logplex_handler._options import Options
from logplex_handler._outlet import Notice, Outlet, Render
from logplex_handler._stderr import Stderr
from logplex_handler._transport import Transport
from logplex_handler.stats import Stats, records_in_words

# Seconds: a `close` that comes so soon after a `flush` belongs to the same shutdown.
_SAME_SHUTDOWN = 1.0


class Pipeline:
    """What a handler has in one process; a forked child gets another, with nothing in it."""

    def __init__(self, options: Options, *, render: Render, notice: Notice, stderr: Stderr) -> None:
        self.pid = os.getpid()
        self._shutdown_timeout = options.shutdown_timeout
        self._stderr = stderr
        self._buffer = Buffer(options.buffer)
        self._outlet: Outlet | None = None
        self._delivery: Delivery | None = None
        self._started = False
        self._gave_up_at = float("-inf")
        if options.destination is None:
            self._buffer.turn_away("inactive")
            return
        transport = Transport(options.transport)
        self._outlet = Outlet(
            self._buffer,
            transport,
            options.destination,
            options.outlet,
            render=render,
            notice=notice,
            stderr=stderr,
            on_drop=options.on_drop,
        )
        self._delivery = Delivery(self._buffer, self._outlet, transport, stderr)

    @property
    def closed(self) -> bool:
        """Whether it takes no more entries."""
        return self._buffer.turned_away == "closed"

    @property
    def takes_entries(self) -> bool:
        """Whether an entry would be queued; else `refuse` is enough."""
        return self._buffer.turned_away is None

    def put(self, entry: Entry) -> None:
        """Queue an entry, or drop and count one."""
        # The thread that delivers must not wait for room that only it can make.
        may_block = self._delivery is None or not self._delivery.is_here
        if self._buffer.put(entry, may_block=may_block):
            self._wake()

    def refuse(self, cause: str) -> None:
        """Count a record that never became an entry."""
        if self._buffer.refuse(cause):
            self._wake()
        if self.closed:
            self._stderr.say("closed", "records are logged after close, and dropped")

    def _wake(self) -> None:
        if self._delivery is None:
            return
        if not self._started:
            self._started = True
            _exits.call_at_exit(self.close)
            if not _exits.threads_run():
                self._stderr.say(
                    "uwsgi",
                    "uWSGI runs no threads without --enable-threads: "
                    "records wait until they are flushed, or the process exits",
                )
        self._delivery.wake()

    def flush(self, timeout: float | None) -> bool:
        """Whether all that was queued is delivered, or dropped and told, in time."""
        if self._delivery is None or self.pid != os.getpid():
            return True
        flushed = self._delivery.flush(
            self._shutdown_timeout if timeout is None else max(0.0, timeout)
        )
        if timeout is None and not flushed:
            self._gave_up_at = time.monotonic()
        return flushed

    def close(self) -> None:
        """Deliver what is left in what is left of the time, and stop; harmless twice."""
        if not self.takes_entries or self.pid != os.getpid():
            return
        self._buffer.turn_away("closed")
        if self._delivery is None or self._outlet is None:
            return
        just_flushed = time.monotonic() - self._gave_up_at < _SAME_SHUTDOWN
        if left := self._delivery.close(0.0 if just_flushed else self._shutdown_timeout):
            why = self._outlet.problem or f"not within {self._shutdown_timeout:g} s"
            self._stderr.say("shutdown", f"{records_in_words(left)} not delivered: {why}")

    def stats(self) -> Stats:
        """The books at this moment."""
        accepted, delivered, pending, dropped = self._buffer.books()
        books = Stats(accepted, delivered, pending, MappingProxyType(dropped))
        if self._outlet is None:
            return books
        return dataclasses.replace(books, **dataclasses.asdict(self._outlet.sent))
