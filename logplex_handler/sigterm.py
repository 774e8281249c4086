"""Delivers the waiting records on SIGTERM, for which Python runs no exit functions."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

from logplex_handler._process import exits
from logplex_handler._process.signal_watch import EndingHandler
from logplex_handler.handler.shutdown import begin_shutdown
from logplex_handler.metrics.reporter import all_reporters

__all__ = ["flush_on_sigterm"]


def flush_on_sigterm() -> None:
    """Install a handler of SIGTERM that delivers the waiting records before the process ends.

    Heroku stops a process with SIGTERM, and kills it 30 seconds later. On the signal, every
    `Metrics` logs what it has recorded, and every handler is flushed; all of them together take at
    most the longest `shutdown_timeout` of any handler, however often the signal comes. Then the
    previous signal handler is called. Without one, SIGTERM ends the process as usual; if SIGTERM
    was ignored, it still is. Call this function once, after other signal handlers are set. Forked
    children inherit it. A signal that interrupts `flush` or `close` in the main thread cannot wait
    for them, and takes effect at once.

    The package never calls this function itself. Servers that turn SIGTERM into an orderly exit,
    such as gunicorn or Celery, do not need it.

    Raises:
        ValueError: The caller is not in the main thread, the only one that may set signal handlers.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if isinstance(previous, _FlushFirst):
        return
    signal.signal(signal.SIGTERM, _FlushFirst(previous))
    exits.watch_sigterm_in_children()


class _FlushFirst(EndingHandler):
    """Flushes, then does what the previous signal handler did."""

    def __init__(self, previous: object) -> None:
        self._previous = previous
        self._ends_process = not callable(previous) and previous is not signal.SIG_IGN
        # The process in which a call is running: a child may be forked meanwhile by another thread.
        self._running_in = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._running_in == os.getpid():
            # The call that this signal interrupts takes its effect in time.
            return
        self._running_in = os.getpid()
        # Whatever is raised meanwhile, by another signal for example, the signal takes its effect.
        try:
            self._deliver()
        finally:
            self._running_in = 0
            if callable(self._previous):
                self._previous(number, frame)
            elif self._ends_process:
                # The process dies of the signal itself, so that its parent sees which one it was.
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)

    def _deliver(self) -> None:
        # Every function is called, the last one first, whatever another one raises.
        with contextlib.ExitStack() as stack:
            stack.callback(self._flush_handlers)
            for reporter in reversed(all_reporters.all()):
                stack.callback(reporter.report_recorded)

    def _flush_handlers(self) -> None:
        handlers = begin_shutdown()
        with contextlib.ExitStack() as stack:
            if self._ends_process:
                for handler in reversed(handlers):
                    # Closing reports what is not delivered; nothing can do so later.
                    stack.callback(handler.close)
            for handler in reversed(handlers):
                stack.callback(handler.flush)

    def has_begun(self) -> bool:
        if self._running_in == os.getpid():
            return True
        if isinstance(self._previous, EndingHandler):
            return self._previous.has_begun()
        return not self._ends_process
