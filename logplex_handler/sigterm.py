"""Delivers the waiting records on SIGTERM, for which Python runs no exit functions."""

from __future__ import annotations

import os
import signal
from types import FrameType

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


class _FlushFirst:
    """Flushes, then does what the previous signal handler did."""

    def __init__(self, previous: object) -> None:
        self._previous = previous
        self._ends_process = not callable(previous) and previous is not signal.SIG_IGN
        self._is_flushing = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._is_flushing:
            # The call that this signal interrupts takes its effect in time.
            return
        self._is_flushing = True
        # Whatever is raised meanwhile, by another signal for example, the signal takes its effect.
        try:
            for reporter in all_reporters.all():
                reporter.report_recorded()
            handlers = begin_shutdown()
            for handler in handlers:
                handler.flush()
            if self._ends_process:
                for handler in handlers:
                    # Closing reports what is not delivered; nothing can do so later.
                    handler.close()
        finally:
            self._is_flushing = False
            if callable(self._previous):
                self._previous(number, frame)
            elif self._ends_process:
                # The process dies of the signal itself, so that its parent sees which one it was.
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
