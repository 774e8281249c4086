"""Whose turn it is: hosts take turns, and so do the streams of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from logplex_handler._sender.circuit_breaker import CircuitBreaker
from logplex_handler.streams.stream import Stream


class FairQueue:
    """The streams that are due, by breaker. Whoever owns it guards it."""

    def __init__(self) -> None:
        self._due: dict[CircuitBreaker, deque[Stream]] = {}
        # The hosts that have some; the next one stands first.
        self._hosts: deque[CircuitBreaker] = deque()

    def __bool__(self) -> bool:
        return bool(self._hosts)

    def __iter__(self) -> Iterator[CircuitBreaker]:
        return iter(self._hosts)

    def add(self, stream: Stream, breaker: CircuitBreaker) -> None:
        """It waits behind the others of its breaker."""
        if breaker not in self._due:
            self._due[breaker] = deque()
            self._hosts.append(breaker)
        self._due[breaker].append(stream)

    def next_hosts(self) -> Iterator[CircuitBreaker]:
        """All hosts, each of which has had its turn when the next one is asked for."""
        for _ in range(len(self._hosts)):
            breaker = self._hosts[0]
            self._hosts.rotate(-1)
            yield breaker

    def streams_of(self, breaker: CircuitBreaker) -> Iterator[Stream]:
        """Takes out one stream after the other."""
        while streams := self._due.get(breaker):
            stream = streams.popleft()
            if not streams:
                self._hosts.remove(breaker)
                del self._due[breaker]
            yield stream
