"""The addresses of a name, and how long to wait for them."""

from __future__ import annotations

import importlib
import queue
import socket
import sys
import time
from typing import Any

from logplex_handler._process.contexts import new_thread
from logplex_handler._process.mailbox import Mailbox


def addresses(name: str, port: int) -> list[str]:
    """Return the addresses of a name, each once, in the order in which they are to be tried."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except RuntimeError:
        # gevent resolves names in a thread, and Python 3.12 starts no thread once it is about to
        # exit. Any, because gevent need not be installed where types are checked.
        gevent: Any = sys.modules.get("gevent")
        if gevent is None:
            raise
        blocking: Any = importlib.import_module("gevent.resolver.blocking")
        gevent.get_hub().resolver = blocking.Resolver()
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def addresses_by(deadline: float | None, name: str, port: int) -> list[str]:
    """Return the same; raise TimeoutError at the deadline, on the monotonic clock, if there is one.

    Nothing ends a resolver that hangs, so it is then called in a thread, which is left behind.
    """
    if deadline is None:
        return addresses(name, port)
    found: Mailbox[list[str] | Exception] = Mailbox()

    def resolve() -> None:
        try:
            found.put(addresses(name, port))
        except Exception as error:
            found.put(error)

    try:
        new_thread(resolve, "logplex_handler.names").start()
    except RuntimeError:
        # The interpreter is about to exit, or the system has no thread left.
        return addresses(name, port)
    try:
        answer = found.get(deadline - time.monotonic())
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
