"""POSTs over a session that is kept alive. The outcome is an answer, never an exception."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
import urllib3.exceptions

from logplex_handler._process.reentrancy import free_library_loggers, requesting
from logplex_handler._transport import errors
from logplex_handler._transport.answer import Answer, retry_after
from logplex_handler._transport.limits import Limits, limits, nothing
from logplex_handler._transport.prepared_request import PreparedRequest
from logplex_handler._transport.session import SessionFactory, new_session
from logplex_handler._wire.destination import Destination

# Logplex accepts only this exact type, without parameters.
CONTENT_TYPE = "application/logplex-1"

# The longest time of a request, as a multiple of the time-out of a single read.
TOTAL_TIMEOUTS = 4
# The longest time, in seconds, for which an idle connection can be used again. Logplex closes it
# after 5, and a request that is sent at that very moment may or may not have arrived.
_MAX_IDLE = 4.0


@dataclass(frozen=True, repr=False)
class TransportOptions:
    """How requests are made.

    Attributes:
        headers: Headers of every request, with the User-Agent. They may hold a secret, so this
            object has no repr.
        timeout: Seconds for connecting, and for each read.
        compress: Whether bodies are gzipped.
        session_factory: Makes the session; None for an ordinary session.
    """

    headers: Mapping[str, str]
    timeout: float
    compress: bool
    session_factory: SessionFactory | None


class Transport:
    """A session for one host. One thread at a time uses it.

    Args:
        before_waiting: Called before something that may take long: all but a short request on an
            open connection whose answer comes at once.
    """

    def __init__(
        self, options: TransportOptions, before_waiting: Callable[[], object] = nothing
    ) -> None:
        self._options = options
        self._before_waiting = before_waiting
        self._session: requests.Session | None = None
        # Seconds that all requests have taken together.
        self.requests_took = 0.0
        # When the last request was over, on the monotonic clock; 0 while no connection is open.
        self._last_used = 0.0
        # None while no connection is open, or if the application may change the session.
        self._prepared: PreparedRequest | None = None

    def post(
        self,
        destination: Destination,
        body: bytes,
        *,
        frames: int,
        frame_id: str,
        seconds: float = math.inf,
    ) -> Answer:
        """Send a body of this many frames once, within the time-outs and the given seconds."""
        if self._options.compress:
            # 6 is zlib's default, between speed and size.
            # What the module gzip does; that is not imported by anything else.
            gzip = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
            body = gzip.compress(body) + gzip.flush()
        try:
            session = self._open()
        except Exception as error:
            return Answer(failure=f"session_factory: {type(error).__name__}", was_tried=False)
        kept_open = self._last_used > 0
        began = time.monotonic()
        try:
            with requesting():
                answer = self._post(session, destination, body, frames, frame_id, seconds)
        except Exception as error:
            sent = errors.maybe_sent(error)
            # The connection may be in any state. The text of the error may quote the URL.
            self._disconnect(session)
            scheme = destination.host.partition(":")[0]
            answer = Answer(
                failure=errors.setting_at_fault(error, scheme) or errors.name(error),
                was_tried=errors.was_tried(error),
                maybe_delivered=sent,
                stale_connection=kept_open and sent and errors.is_closed_connection(error),
                bytes_sent=len(body),
                # A flush may leave less time than the receiver is allowed to take.
                timed_out=seconds >= self._options.timeout and errors.is_timeout(error),
            )
            errors.dissolve(error)
        except BaseException as error:
            # A signal handler may have raised it, within libraries whose variables hold
            # credentials.
            self._disconnect(session)
            errors.clear_variables(error)
            raise
        else:
            self._last_used = time.monotonic()
        self.requests_took += time.monotonic() - began
        return answer

    @property
    def is_stale(self) -> bool:
        """Whether the transport was idle for so long that its connection is not used again."""
        return time.monotonic() - self._last_used > _MAX_IDLE

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if self._session is not None:
            with requesting():
                self._disconnect(self._session)
            self._session = None

    def _disconnect(self, session: requests.Session) -> None:
        # The session, or its adapter, may be of an application class.
        with contextlib.suppress(Exception):
            session.close()
        self._last_used = 0.0
        self._prepared = None

    def _open(self) -> requests.Session:
        if self._session is None:
            self._before_waiting()
            self._session = new_session(self._options.session_factory)
            self._last_used = 0.0
        elif self._last_used and time.monotonic() - self._last_used > _MAX_IDLE:
            self._disconnect(self._session)
        return self._session

    def _post(
        self,
        session: requests.Session,
        destination: Destination,
        body: bytes,
        frames: int,
        frame_id: str,
        seconds: float,
    ) -> Answer:
        timeout = max(0.001, min(self._options.timeout, seconds))
        deadline = time.monotonic() + min(TOTAL_TIMEOUTS * self._options.timeout, seconds)
        limited = Limits(
            deadline,
            # A worker waits for a resolver that hangs. A caller that flushes must be back in time.
            names_in_time=seconds != math.inf,
            is_public=not destination.allow_private,
            before_waiting=self._before_waiting,
        )
        with limits.set(limited):
            prepared = self._prepared
            if prepared is None or prepared.endpoint != destination.endpoint:
                prepared = self._prepare(session, destination)
            status, wait = prepared.post(destination, body, frames, frame_id, timeout)
        if status < 200:
            # Another answer follows, which must not be taken for that of the next request.
            raise urllib3.exceptions.ProtocolError("no final answer")
        return Answer(
            status=status, retry_after=retry_after(wait, time.time()), bytes_sent=len(body)
        )

    def _prepare(self, session: requests.Session, destination: Destination) -> PreparedRequest:
        headers = {**self._options.headers, "Content-Type": CONTENT_TYPE}
        if self._options.compress:
            headers["Content-Encoding"] = "gzip"
        is_own = self._options.session_factory is None
        prepared = PreparedRequest(session, destination, headers, is_own=is_own)
        if is_own:
            # Not kept otherwise: the application may change its own session at any time.
            self._prepared = prepared
        return prepared


class TransportPool:
    """Transports that are kept open, by host, for all streams that go there.

    An open connection may lead to a private address, so destinations that must not lead to one have
    their own transports. Any thread may use the pool.
    """

    def __init__(self, options: TransportOptions) -> None:
        # Called here, and not later, because it acquires a lock that a flushing caller may hold.
        free_library_loggers()
        self._options = options
        # Guards `_idle`, `_closed` and `requests_took`. Re-entrant, because a garbage collection
        # may log while it is held.
        self._lock = threading.RLock()
        self._idle: dict[tuple[str, bool], list[Transport]] = {}
        self._closed = False
        # Seconds that all requests of released transports have taken together.
        self.requests_took = 0.0
        # See `Transport`. Who makes requests in several threads sets it.
        self.before_waiting: Callable[[], object] = nothing

    def acquire(self, destination: Destination) -> Transport:
        """Return the idle transport that was used last, or a new one."""
        with self._lock:
            idle = self._idle.get((destination.host, destination.allow_private))
            return idle.pop() if idle else Transport(self._options, self.before_waiting)

    def release(self, destination: Destination, transport: Transport) -> None:
        kind = destination.host, destination.allow_private
        with self._lock:
            self.requests_took += transport.requests_took
            transport.requests_took = 0.0
            if not self._closed:
                self._idle.setdefault(kind, []).append(transport)
                return
        transport.close()

    def close_idle(self) -> None:
        """Close transports that were idle for so long that the receiver will have closed them."""
        with self._lock:
            old: list[Transport] = []
            for kind in list(self._idle):
                for transport in self._idle.pop(kind):
                    kept = old if transport.is_stale else self._idle.setdefault(kind, [])
                    kept.append(transport)
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
