"""Whether the package itself has called the code that runs now.

Records that such code logs must not cause a delivery, which would log again, and so on without end.
Records of the HTTP libraries during a request are left out altogether.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from enum import Enum
from functools import partial
from logging import LogRecord
from typing import Any

from logplex_handler._process import sigpipe
from logplex_handler._process.contexts import CallVar


class Activity(Enum):
    """An activity of the package during which other code runs."""

    REQUEST = "making an HTTP request"
    CALLBACK = "calling the application's `on_drop`"


current_activity: CallVar[Activity] = CallVar("activity")
# Makes its argument the current activity for the duration of a `with` block.
performing = current_activity.set


def requesting() -> AbstractContextManager[None]:
    """Make a request the current activity, and keep SIGPIPE from ending the process in it."""
    return _without_sigpipe() if sigpipe.is_fatal() else performing(Activity.REQUEST)


@contextlib.contextmanager
def _without_sigpipe() -> Iterator[None]:
    with performing(Activity.REQUEST), sigpipe.held_back():
        yield


# The HTTP libraries, by the first part of their loggers' names.
LIBRARIES = frozenset({"requests", "urllib3"})


def free_library_loggers() -> None:
    """Keep the loggers of the HTTP libraries from holding up or ending the package's requests.

    `dictConfig` holds the lock of the logging module while it waits for handlers to flush. A logger
    takes that lock to find out whether it is enabled, if any level has changed since it last did.
    And an application's filter may fail for records of libraries, which have not what it asks for,
    or its record factory outside of the application's threads.
    """
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logger = logging.getLogger(f"urllib3.{name}")
        if "isEnabledFor" not in vars(logger):
            logger.isEnabledFor = partial(_is_enabled, logger)  # type: ignore[method-assign]
        if "handle" not in vars(logger):
            logger.handle = partial(_handle, logger)  # type: ignore[method-assign]
        if "makeRecord" not in vars(logger):
            logger.makeRecord = partial(_make_record, logger)  # type: ignore[method-assign]


def _is_enabled(logger: logging.Logger, level: int) -> bool:
    if current_activity.get() is not Activity.REQUEST:
        return logging.Logger.isEnabledFor(logger, level)
    # The logger's cache is not used, because the lock guards it.
    if logger.disabled or logger.manager.disable >= level:
        return False
    return level >= logger.getEffectiveLevel()


def _handle(logger: logging.Logger, record: LogRecord) -> None:
    is_of_request = current_activity.get() is Activity.REQUEST
    with contextlib.suppress(Exception) if is_of_request else contextlib.nullcontext():
        type(logger).handle(logger, record)


def _make_record(logger: logging.Logger, *args: Any, **kwargs: Any) -> LogRecord:
    try:
        return type(logger).makeRecord(logger, *args, **kwargs)
    except Exception:
        if current_activity.get() is not Activity.REQUEST:
            raise
        return LogRecord(*args[:7])


def is_held(lock: threading.RLock) -> bool:
    """Return whether the calling thread holds the lock."""
    # Condition uses this method of RLock; gevent's and eventlet's locks have it too.
    held: Any = lock
    return bool(held._is_owned())


def holding(
    lock: threading.RLock, seconds: float, function: Callable[..., object], *args: object
) -> bool:
    """Call a function that holds the lock, or return False if it cannot be had so soon.

    A signal handler may raise an error as soon as the lock is acquired, before any `try` has begun.
    """
    was_held = is_held(lock)
    try:
        if not was_held and not lock.acquire(timeout=seconds):
            return False
        function(*args)
        return True
    finally:
        if not was_held:
            # Nothing else is called here, because the handler may run after each call.
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:
                # It was not acquired.
                pass


def release_if_held(lock: threading.RLock) -> Callable[[], object] | None:
    """Release the lock entirely, as `Condition.wait` does, if the calling thread holds it.

    Returns:
        A function that acquires it as many times as it was held, or None if it was not held.
    """
    held: Any = lock
    return partial(held._acquire_restore, held._release_save()) if is_held(lock) else None
