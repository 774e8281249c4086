"""Repeats a signal that the main thread has not noticed.

Python calls signal handlers in the main thread, between two bytecodes. Nothing wakes the main
thread if a signal arrives just before it waits in a system call, or if another thread receives the
signal: the handler is called when the wait ends, which may be never. A process without a handler,
in contrast, is always ended by the signal, and `multiprocessing.Pool` relies on this.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

from logplex_handler._process import forks
from logplex_handler._process.contexts import new_thread

if TYPE_CHECKING:
    import socket

# Seconds after which an unnoticed signal is sent again.
_PATIENCE = 0.2


class EndingHandler:
    """A signal handler that ends the process, and may be called again for the same signal."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError

    def has_begun(self) -> bool:
        """Return whether it has been called in this process, or does not end it."""
        raise NotImplementedError


class SignalWatch:
    """A thread that sends a signal again until the main thread has called an `EndingHandler`."""

    def __init__(self) -> None:
        # The ends of the connection through which Python's C code reports signals.
        self._ends: tuple[socket.socket, socket.socket] | None = None
        forks.register(self)

    def start(self, number: signal.Signals) -> None:
        """Begin to watch the signal, unless another library is told of signals in this way.

        Trio is told while its loop runs, and warns if something else was before.

        Raises:
            ValueError: The caller is not in the main thread.
        """
        if sys.platform == "win32" or self._ends is not None or "trio" in sys.modules:
            return
        # Imported here, because few processes need it. gevent's sockets hold up one greenlet only.
        import socket

        ours, written = socket.socketpair()
        ours.settimeout(None)
        written.setblocking(False)
        # First, because another thread may fork meanwhile.
        self._ends = ours, written
        try:
            other = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        except ValueError:
            self._close()
            raise
        if other != -1:
            _hand_back(other)
            self._close()
            return
        try:
            new_thread(lambda: self._watch(ours, number), "logplex_handler.signals").start()
        except RuntimeError:
            # The system cannot start another thread.
            self.after_fork_in_child()

    def _watch(self, ours: socket.socket, number: signal.Signals) -> None:
        main = threading.main_thread().ident
        while received := ours.recv(1024):
            while number in received and _is_unnoticed(number):
                time.sleep(_PATIENCE)
                if main is not None and _is_unnoticed(number) and sys.platform != "win32":
                    signal.pthread_kill(main, number)

    def after_fork_in_child(self) -> None:
        """Stop: the child must not report its signals to its parent."""
        if self._ends is not None:
            # A child that a subinterpreter has forked has no main thread.
            with contextlib.suppress(ValueError):
                other = signal.set_wakeup_fd(-1)
                if other != self._ends[1].fileno():
                    _hand_back(other)
            self._close()

    def _close(self) -> None:
        for end in self._ends or ():
            end.close()
        self._ends = None


def _hand_back(descriptor: int) -> None:
    """Have Python report signals to another library again, unless that has closed its end."""
    with contextlib.suppress(OSError, ValueError):
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)


def _is_unnoticed(number: signal.Signals) -> bool:
    handler = signal.getsignal(number)
    return isinstance(handler, EndingHandler) and not handler.has_begun()
