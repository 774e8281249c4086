"""Delivering what waits when the process is told to end: SIGTERM runs no exit functions."""

from __future__ import annotations

import os
import signal
from types import FrameType

from logplex_handler.handler.handler import all_handlers
from logplex_handler.metrics.reporter import all_reporters

__all__ = ["flush_on_sigterm"]


def flush_on_sigterm() -> None:
    """From now on SIGTERM, by which Heroku stops a process, delivers what waits first.

    What any `Metrics` has recorded is logged. Every handler is flushed, together for at most the
    longest `shutdown_timeout` of them (Heroku kills after 30 seconds). Then what was there before
    goes on: another signal handler is called; otherwise the process ends as it would have. Call it
    once, after other signal handlers are set. Forked children inherit it. A signal that strikes the
    main thread while it is itself inside `flush` or `close` cannot wait for these, and goes on at
    once.

    Nothing installs this by itself. Servers that turn SIGTERM into an orderly exit, such as
    gunicorn or Celery, do not need it.

    Raises:
        ValueError: It is not called in the main thread, the only one that may set signal handlers.
    """
    before = signal.getsignal(signal.SIGTERM)
    if isinstance(before, _FlushFirst):
        return
    signal.signal(signal.SIGTERM, _FlushFirst(before))


class _FlushFirst:
    def __init__(self, before: object) -> None:
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for reporter in all_reporters.all():
            reporter.report_recorded()
        handlers = all_handlers.all()
        # All of them at once, so that one whose receiver hangs takes no time from the others.
        for handler in handlers:
            handler._current().begin_shutdown()
        for handler in handlers:
            handler.flush()
        if callable(self._before):
            self._before(number, frame)
        elif self._before is not signal.SIG_IGN:
            for handler in handlers:
                # It says what is not delivered; nobody else will.
                handler.close()
            # As if nobody had listened: whoever sent it sees what the process died of.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
