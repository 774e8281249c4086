"""Delivers the waiting records on SIGTERM, for which Python runs no exit functions."""

from __future__ import annotations

import os
import signal
from types import FrameType

from logplex_handler.handler.shutdown import begin_shutdown
from logplex_handler.metrics.reporter import all_reporters

__all__ = ["flush_on_sigterm"]


def flush_on_sigterm() -> None:
    """Deliver the waiting records before SIGTERM, with which Heroku stops a process, takes effect.

    On the signal, every `Metrics` logs what it has recorded, and every handler is flushed; all of
    them together take at most the longest `shutdown_timeout` of any handler (Heroku kills the
    process after 30 seconds). Then the previous signal handler is called; without one, the process
    ends as it would have. Call this function once, after other signal handlers are set. Forked
    children inherit it. A signal that interrupts `flush` or `close` in the main thread cannot wait
    for them, and takes effect at once.

    Nothing calls this function by itself. Servers that turn SIGTERM into an orderly exit, such as
    gunicorn or Celery, do not need it.

    Raises:
        ValueError: It is not called in the main thread, the only one that may set signal handlers.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if isinstance(previous, _FlushFirst):
        return
    signal.signal(signal.SIGTERM, _FlushFirst(previous))


class _FlushFirst:
    """Flushes, then does what the previous signal handler did."""

    def __init__(self, previous: object) -> None:
        self._previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for reporter in all_reporters.all():
            reporter.report_recorded()
        handlers = begin_shutdown()
        for handler in handlers:
            handler.flush()
        if callable(self._previous):
            self._previous(number, frame)
        elif self._previous is not signal.SIG_IGN:
            for handler in handlers:
                # Reports what is not delivered; after this nothing else can.
                handler.close()
            # As without this handler, so that the parent process sees which signal ended it.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
