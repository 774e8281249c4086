"""Keeps a connection that the other side has closed from ending the whole process.

Python ignores SIGPIPE, and such a connection is an error. A program may have given the signal its
default back, so that `program | head` ends in silence.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Not on Windows, which has no such signal, and not on macOS.
_IS_POSSIBLE = hasattr(signal, "sigtimedwait")


def is_fatal() -> bool:
    """Return whether writing to a closed connection would end the process."""
    return _IS_POSSIBLE and signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL


# How many blocks hold the signal back in each of the system's threads, and whether the thread had
# blocked it before. gevent's and eventlet's greenlets, which share one thread and what it blocks,
# make requests at the same time.
_held: dict[int, tuple[int, bool]] = {}


@contextmanager
def held_back() -> Iterator[None]:
    """Have what the calling thread or greenlet does in a `with` block cause no SIGPIPE."""
    thread = threading.get_native_id()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    blocks, was_blocked = _held.get(thread, (0, signal.SIGPIPE in before))
    _held[thread] = blocks + 1, was_blocked
    try:
        yield
    finally:
        # It is not there in a child that another greenlet has forked meanwhile.
        blocks, was_blocked = _held.pop(thread, (1, signal.SIGPIPE in before))
        if blocks > 1:
            _held[thread] = blocks - 1, was_blocked
        elif not was_blocked:
            # One that waits would come as soon as it is let through.
            signal.sigtimedwait({signal.SIGPIPE}, 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
