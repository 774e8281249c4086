"""Whose turn it is: hosts take turns, and so do the streams of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from logplex_handler._sender.circuit_breaker import Host
from logplex_handler.streams.stream import Stream


class Turns:
    """The streams that are due, by host. Whoever owns it guards it."""

    def __init__(self) -> None:
        self._due: dict[Host, deque[Stream]] = {}
        # The hosts that have some; the next one stands first.
        self._hosts: deque[Host] = deque()

    def __bool__(self) -> bool:
        return bool(self._hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts)

    def add(self, stream: Stream, host: Host) -> None:
        """It waits behind the others of its host."""
        if host not in self._due:
            self._due[host] = deque()
            self._hosts.append(host)
        self._due[host].append(stream)

    def next_hosts(self) -> Iterator[Host]:
        """All hosts, each of which has had its turn when the next one is asked for."""
        for _ in range(len(self._hosts)):
            host = self._hosts[0]
            self._hosts.rotate(-1)
            yield host

    def streams_of(self, host: Host) -> Iterator[Stream]:
        """Takes out one stream after the other."""
        while streams := self._due.get(host):
            stream = streams.popleft()
            if not streams:
                self._hosts.remove(host)
                del self._due[host]
            yield stream
