"""Ends of a process that Python's own exit functions do not see."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# multiprocessing, and Celery's fork of it, end their children without exit functions, but each
# with finalizers of its own. These run in the order of their priorities, the highest first.
_LIBRARIES = ("multiprocessing", "billiard")
_LAST = -100
_BEFORE_LAST = -99


def call_at_exit(
    function: Callable[[], object], *, before_handlers: bool = False
) -> Callable[[], None]:
    """Have it called when this process ends, if it is a child of one of these libraries, or Celery.

    `before_handlers` is for what still logs then.

    To be called in the child itself, after its start: finalizers from before are forgotten there.
    What is returned takes it back.
    """
    priority = _BEFORE_LAST if before_handlers else _LAST
    finalizers: list[Any] = []
    for library in _LIBRARIES:
        # Only a library that is loaded can have made this process.
        process: Any = sys.modules.get(f"{library}.process")
        util: Any = sys.modules.get(f"{library}.util")
        if process is not None and util is not None:
            is_child = getattr(process.current_process(), "_parent_pid", None) is not None
            if is_child:
                finalizers.append(util.Finalize(None, function, exitpriority=priority))

    # The children of Celery's own pool end without even these, but for a signal of Celery's. In any
    # other process it is never sent.
    signals: Any = sys.modules.get("celery.signals")

    def at_signal(**_: object) -> None:
        function()

    if signals is not None:
        signals.worker_process_shutdown.connect(at_signal, weak=False)

    def take_back() -> None:
        for finalizer in finalizers:
            finalizer.cancel()
        if signals is not None:
            signals.worker_process_shutdown.disconnect(at_signal)

    return take_back


def threads_run() -> bool:
    """Whether threads run here: in uWSGI they do not, unless it is asked for them."""
    uwsgi: Any = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if not isinstance(options, dict):
        return True
    return any(
        options.get(name) for key in ("enable-threads", "threads") for name in (key, key.encode())
    )
