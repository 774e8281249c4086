"""Which stream is served next: hosts take turns, and so do the streams of each host."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable

from logplex_handler._delivery.line import Line, Waiting
from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler._sender.due import UrgencyMonitor

# A turn that never comes: no host may be served before a request ends.
NEVER = (math.inf, 0)


class Host:
    """The requests to one host: streams that wait, in order, and the number of those in progress.

    Attributes:
        turn: When the host may be served, a number that decides between equal times, and whether
            the request is a probe. None while the host must wait for the end of a request.
    """

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.waiting = Line()
        self.in_progress = 0
        self.turn: tuple[float, int, bool, Host] | None = None


class FairQueue:
    """The requests that wait, by host.

    The owner guards it. A host whose circuit breaker is closed may be served at any time. Any other
    host gets one request at a time, and none before its backoff is over; that request is a probe,
    unless it is the host's first request. Of the hosts that may be served, the one that has waited
    longest is next.

    Args:
        in_progress: The circuit breakers of the requests that are in progress already.
    """

    def __init__(self, urgency: UrgencyMonitor, in_progress: Iterable[CircuitBreaker] = ()) -> None:
        self._urgency = urgency
        # Hosts with requests that wait or are in progress.
        self._hosts: dict[CircuitBreaker, Host] = {}
        for breaker in in_progress:
            self._hosts.setdefault(breaker, Host(breaker)).in_progress += 1
        # A heap of turns for ordinary requests, and one for probes. An outdated turn is removed
        # when it comes to the front.
        self._turns: dict[bool, list[tuple[float, int, bool, Host]]] = {False: [], True: []}
        self._numbers = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, waiting: Waiting, breaker: CircuitBreaker, now: float) -> None:
        """Add a stream's request after the others for its host."""
        host = self._hosts.get(breaker)
        if host is None:
            host = self._hosts[breaker] = Host(breaker)
        host.waiting.append(waiting)
        self._size += 1
        self._update(host, now)

    def next_turn(self, *, is_probe: bool) -> tuple[float, int]:
        """Return when the next host may be served, and a number to decide between equal times."""
        turns = self._turns[is_probe]
        while turns:
            turn = turns[0]
            if turn[3].turn is turn:
                return turn[0], turn[1]
            heapq.heappop(turns)
        return NEVER

    def first(self, now: float, *, is_probe: bool) -> Host | None:
        """Return the host whose turn `next_turn` gave, or None if it must wait after all."""
        host = self._turns[is_probe][0][3]
        readiness = self._readiness(host, now)
        if readiness is not None and readiness[0] <= now and readiness[1] is is_probe:
            return host
        host.turn = None
        self._update(host, now)
        return None

    def host_of(self, breaker: CircuitBreaker) -> Host:
        """The host of a request that is in progress."""
        return self._hosts[breaker]

    def pop(self, host: Host) -> Waiting:
        """Take the next stream of the host; then `begin` or `update` must follow."""
        self._size -= 1
        return host.waiting.popleft()

    def begin(self, breaker: CircuitBreaker, now: float) -> None:
        """Record that a request begins; the host goes behind the others."""
        host = self._hosts[breaker]
        host.in_progress += 1
        host.turn = None
        self._update(host, now)

    def end(self, breaker: CircuitBreaker, now: float) -> None:
        host = self._hosts[breaker]
        host.in_progress -= 1
        self._update(host, now)

    def update(self, breaker: CircuitBreaker, now: float) -> None:
        """Update the host's turn after a change of its circuit breaker or of the urgency."""
        host = self._hosts.get(breaker)
        if host is not None:
            self._update(host, now)

    def _update(self, host: Host, now: float) -> None:
        """Give the host a turn. It keeps its present turn unless it can be served earlier."""
        readiness, turn = self._readiness(host, now), host.turn
        if readiness is None:
            host.turn = None
            if not host.waiting and not host.in_progress:
                del self._hosts[host.breaker]
            return
        due_at, is_probe = readiness
        if turn is None or due_at < turn[0] or is_probe is not turn[2]:
            number = next(self._numbers)
            if turn is not None and turn[0] <= now >= due_at:
                # The host already waits, and keeps its place.
                due_at, number = turn[0], turn[1]
            host.turn = (due_at, number, is_probe, host)
            heapq.heappush(self._turns[is_probe], host.turn)

    def _readiness(self, host: Host, now: float) -> tuple[float, bool] | None:
        """Return when the host may be served, and whether by a probe; None if it may not be."""
        breaker = host.breaker
        if not host.waiting:
            return None
        is_closed = breaker.is_closed
        if host.in_progress and (breaker.is_exclusive or not is_closed):
            return None
        if is_closed:
            return now, False
        backoff = breaker.remaining(now, self._urgency.current)
        return now + backoff, not breaker.is_untried
