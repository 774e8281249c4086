"""A receiver that is on another machine, as far as the commands can see."""

from __future__ import annotations

import socket

import pytest

from logplex_handler.testing import LogplexReceiver

_getaddrinfo = socket.getaddrinfo


@pytest.fixture
def elsewhere(monkeypatch):
    """A receiver whose URL has a host that is not loopback by its name."""

    class Elsewhere(LogplexReceiver):
        @property
        def url(self):
            return super().url.replace("127.0.0.1", "logs.example.com")

    def getaddrinfo(host, *arguments, **options):
        host = "127.0.0.1" if host == "logs.example.com" else host
        return _getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with Elsewhere() as receiver:
        yield receiver
