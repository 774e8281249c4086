"""Connections that are kept: those of a host are used by all streams that go there."""

from __future__ import annotations

import threading

from logplex_handler._process.library_loggers import free_library_loggers
from logplex_handler._transport.transport import Transport, TransportOptions


class TransportPool:
    """Transports that nobody uses just now, by host. Any thread may take one."""

    def __init__(self, options: TransportOptions) -> None:
        # Now, for it asks for a lock that may be held while a delivery is waited for.
        free_library_loggers()
        self._options = options
        # Guards the three below. Re-entrant because a garbage collection under it may log.
        self._lock = threading.RLock()
        self._idle: dict[str, list[Transport]] = {}
        self._closed = False
        # Seconds that all requests have taken together, as far as they are over.
        self.requests_took = 0.0

    def acquire(self, host: str) -> Transport:
        """The one that was used last, or a new one."""
        with self._lock:
            idle = self._idle.get(host)
            if idle:
                return idle.pop()
        return Transport(self._options)

    def release(self, host: str, transport: Transport) -> None:
        """It is not used any more."""
        with self._lock:
            self.requests_took += transport.requests_took
            transport.requests_took = 0.0
            if not self._closed:
                self._idle.setdefault(host, []).append(transport)
                return
        transport.close()

    def close_idle(self) -> None:
        """Close those that were not used for so long that a receiver will have done so."""
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
        """Close all; those in use, when they are given back."""
        with self._lock:
            self._closed = True
            transports = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        for transport in transports:
            transport.close()
