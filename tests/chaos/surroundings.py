"""What a program stands on, failing: names, clocks, disks and descriptors.

Each is a context manager around what it replaces in this process; `over` ends the failing early.
"""

from __future__ import annotations

import contextlib
import errno
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HOST = "chaos.localhost"
# Seconds by which a clock on the wall may be off: to 1901, to 2262 (nanoseconds in 64 bits), beyond
# what a date can be, and a little.
_OFF = (-3.9e9, 7.4e9, 2.6e11, -3_600.0, 3_600.0, 0.5, -0.5)


@contextmanager
def failing_names(seed: int, port: int, over: threading.Event) -> Iterator[None]:
    """`HOST` is looked up with errors, late, without an address, or with one that leads nowhere."""
    dice = random.Random(f"names {seed}")
    real = socket.getaddrinfo
    again = socket.gaierror(socket.EAI_AGAIN, "try again")
    unknown = socket.gaierror(socket.EAI_NONAME, "unknown")

    def getaddrinfo(host, *args, **kwargs):
        if host != HOST:
            return real(host, *args, **kwargs)
        good = real("127.0.0.1", *args, **kwargs)
        if over.is_set():
            return good
        # Nothing listens on the second one.
        dead = real("127.0.0.66", *args, **kwargs)
        outcome = dice.choice(
            (again, unknown, UnicodeError("label"), [], dead, dead + good, "late")
        )
        if outcome == "late":
            over.wait(0.2)
            return good
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with _replaced(socket, "getaddrinfo", getaddrinfo):
        yield


@contextmanager
def named(port: int) -> Iterator[None]:
    """`HOST` is looked up well."""
    over = threading.Event()
    over.set()
    with failing_names(0, port, over):
        yield


@contextmanager
def jumping_clock(seed: int, over: threading.Event) -> Iterator[None]:
    """The clock on the wall jumps at every hundredth look or so; the monotonic one, never back."""
    dice = random.Random(f"clock {seed}")
    real, real_ns, real_monotonic = time.time, time.time_ns, time.monotonic
    off = [0.0]
    ahead = [0.0]

    def jump() -> float:
        if over.is_set():
            return 0.0
        if dice.random() < 0.01:
            off[0] = dice.choice(_OFF)
        return off[0]

    def monotonic() -> float:
        # As where a virtual machine was paused, or its processor taken away.
        if not over.is_set() and dice.random() < 0.001:
            ahead[0] += dice.choice((0.1, 5.0, 3_600.0))
        return real_monotonic() + ahead[0]

    with (
        _replaced(time, "time", lambda: real() + jump()),
        _replaced(time, "time_ns", lambda: real_ns() + int(jump() * 1e9)),
        _replaced(time, "monotonic", monotonic),
    ):
        yield


@contextmanager
def full_disk() -> Iterator[None]:
    """stderr goes to a file on a full disk."""
    real = sys.stderr
    # Closed below: what it could not write, it would try again.
    full = open("/dev/full", "w")  # noqa: SIM115
    sys.stderr = full
    try:
        yield
    finally:
        sys.stderr = real
        with contextlib.suppress(OSError):
            full.close()


@contextmanager
def few_descriptors(seed: int, port: int, over: threading.Event) -> Iterator[None]:
    """Connecting to the port fails now and then, as where all descriptors are in use."""
    dice = random.Random(f"descriptors {seed}")
    real = socket.socket.connect

    def connect(self, address):
        if not over.is_set() and address[1] == port and dice.random() < 0.5:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(self, address)

    with _replaced(socket.socket, "connect", connect):
        yield


@contextmanager
def _replaced(where: object, name: str, by: Callable[..., object]) -> Iterator[None]:
    inherited = name not in vars(where)
    real = getattr(where, name)
    setattr(where, name, by)
    try:
        yield
    finally:
        if inherited:
            delattr(where, name)
        else:
            setattr(where, name, real)
