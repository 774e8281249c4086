"""Ends of a process that Python's own exit functions do not see."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

# multiprocessing, and Celery's fork of it, end their children without exit functions, but each
# with finalizers of its own. These run in the order of their priorities, the highest first.
_LIBRARIES = ("multiprocessing", "billiard")
_LAST = -100

_Function = Callable[[], object]


class _End:
    """What is done at the end of this process, in an order of its own.

    What runs there may log, and so have more to be done; a library's finalizers, or the receivers
    of a signal, would not run those any more.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._first: list[_Function] = []
        self._last: list[_Function] = []

    def add(self, function: _Function, *, before_handlers: bool) -> None:
        if self._pid != os.getpid():
            # A forked child has what the parent was to do, and no finalizer for it.
            self._pid = os.getpid()
            self._first, self._last = [], []
            self._find_out()
        (self._first if before_handlers else self._last).append(function)

    def _find_out(self) -> None:
        """Have it called, if this process is a child of one of these libraries, or Celery's."""
        for library in _LIBRARIES:
            # Only a library that is loaded can have made this process.
            process: Any = sys.modules.get(f"{library}.process")
            util: Any = sys.modules.get(f"{library}.util")
            if process is not None and util is not None:
                is_child = getattr(process.current_process(), "_parent_pid", None) is not None
                if is_child:
                    util.Finalize(None, self, exitpriority=_LAST)
        # The children of Celery's own pool end without even these, but for a signal of Celery's. In
        # any other process it is never sent.
        signals: Any = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(
                self._at_signal, weak=False, dispatch_uid="logplex_handler"
            )

    def _at_signal(self, **_: object) -> None:
        self()

    def __call__(self) -> None:
        if self._pid == os.getpid():
            while self._first or self._last:
                (self._first or self._last).pop(0)()

    def remove(self, function: _Function) -> None:
        for functions in (self._first, self._last):
            if function in functions:
                functions.remove(function)


_end = _End()


def call_at_exit(
    function: Callable[[], object], *, before_handlers: bool = False
) -> Callable[[], None]:
    """Have it called when this process ends, if it is a child of multiprocessing, or Celery's.

    `before_handlers` is for what still logs then.

    To be called in the child itself, after its start: finalizers from before are forgotten there.
    What is returned takes it back.
    """
    _end.add(function, before_handlers=before_handlers)
    return partial(_end.remove, function)


def threads_run() -> bool:
    """Whether threads run here: in uWSGI they do not, unless it is asked for them."""
    uwsgi: Any = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if not isinstance(options, dict):
        return True
    return any(
        options.get(name) for key in ("enable-threads", "threads") for name in (key, key.encode())
    )
