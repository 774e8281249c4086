"""Transports that are kept open for each host, and used by all streams that go there."""

from __future__ import annotations

import threading

from logplex_handler._process.reentrancy import free_library_loggers
from logplex_handler._transport.transport import Transport, TransportOptions


class TransportPool:
    """The idle transports, by host. Any thread may use it.

    Attributes:
        requests_took: Seconds that all requests of released transports have taken together.
    """

    def __init__(self, options: TransportOptions) -> None:
        # Not later: this acquires a lock that a flushing caller may hold.
        free_library_loggers()
        self._options = options
        # Guards the fields below. Re-entrant because a garbage collection under it may log.
        self._lock = threading.RLock()
        self._idle: dict[str, list[Transport]] = {}
        self._closed = False
        self.requests_took = 0.0

    def acquire(self, host: str) -> Transport:
        """The idle transport that was used last, or a new one."""
        with self._lock:
            idle = self._idle.get(host)
            if idle:
                return idle.pop()
        return Transport(self._options)

    def release(self, host: str, transport: Transport) -> None:
        """Put a transport back."""
        with self._lock:
            self.requests_took += transport.requests_took
            transport.requests_took = 0.0
            if not self._closed:
                self._idle.setdefault(host, []).append(transport)
                return
        transport.close()

    def close_idle(self) -> None:
        """Close transports that were idle for so long that the receiver will have closed them."""
        with self._lock:
            old = []
            for host, transports in list(self._idle.items()):
                old += [one for one in transports if one.is_stale]
                kept = [one for one in transports if not one.is_stale]
                if kept:
                    self._idle[host] = kept
                else:
                    del self._idle[host]
        for transport in old:
            transport.close()

    def close(self) -> None:
        """Close all transports; those in use are closed when they are released."""
        with self._lock:
            self._closed = True
            transports = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        for transport in transports:
            transport.close()
