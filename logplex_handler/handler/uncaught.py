"""Logs the exceptions that nothing catches, which Python only prints to stderr."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from logplex_handler._process.contexts import in_empty_context
from logplex_handler._process.diagnostics import Diagnostics, name_of
from logplex_handler.handler.arguments import level_above_zero, logger_of

__all__ = ["log_uncaught_exceptions"]


def log_uncaught_exceptions(
    logger: logging.Logger | str | None = None, *, level: int | str = logging.CRITICAL
) -> None:
    """Log the exceptions that nothing catches, so that a crash's traceback reaches the stream.

    - An exception that ends the main thread, and with it the program.
    - An exception that ends another thread.
    - An "unraisable" exception, which Python can only report, such as one in `__del__`. It is
      logged without the context variables of the call that happened to run `__del__`.

    Each is logged with its traceback. Then the previous hook runs as before, whether it prints to
    stderr or belongs to an error reporter. `KeyboardInterrupt` and `SystemExit` are not logged.

    The handlers deliver the record as they deliver any other: at the exit that follows an exception
    of the main thread, or within `flush_interval` if the process lives on. A crash of the
    interpreter itself, such as a segmentation fault, runs no hook.

    Exceptions that are logged already need no hook: those in tasks and callbacks of asyncio (logged
    by the logger `asyncio`), and those that a web server or a task queue catches itself.
    `multiprocessing` prints what its children raise, and runs no hook either.

    Call it once, after error reporters and other hooks are set. Another call changes the logger and
    the level. Forked children inherit the hooks.

    Args:
        logger: The logger for these records, or its name. Default: the root logger.
        level: Their level, or its name. Default: `logging.CRITICAL`.

    Raises:
        ConfigurationError: (a ValueError) It is no logger, or `logging` does not know the level or
            logs nothing at it.
    """
    _log_to.logger, _log_to.level = logger_of(logger), level_above_zero(level)
    if _log_to.installed:
        return
    _log_to.installed = True
    sys.excepthook = _in_main_thread(sys.excepthook)
    threading.excepthook = _in_thread(threading.excepthook)
    sys.unraisablehook = _unraisable(sys.unraisablehook)


class _LogTo:
    """Where the hooks log; a process has one set of hooks."""

    def __init__(self) -> None:
        self.installed = False
        self.logger = logging.getLogger()
        self.level = logging.CRITICAL
        self._diagnostics = Diagnostics()
        self._of_thread = threading.local()

    def log(
        self,
        error: BaseException,
        traceback: TracebackType | None,
        message: str,
        extra: dict[str, str] | None = None,
    ) -> None:
        is_logging = getattr(self._of_thread, "is_logging", False)
        # What the logging of an exception raises would be logged without end. The type is compared,
        # because `isinstance` may ask the exception for its `__class__`.
        if is_logging or issubclass(type(error), KeyboardInterrupt | SystemExit):
            return
        self._of_thread.is_logging = True
        try:
            self.logger.log(
                self.level, message, exc_info=(type(error), error, traceback), extra=extra
            )
        except BaseException as failure:
            # An application's filter has failed, for example. The previous hook must still run, and
            # Python would only print what a hook raises.
            self._diagnostics.warn("uncaught", f"{message}: not logged: {type(failure).__name__}")
        finally:
            self._of_thread.is_logging = False


_log_to = _LogTo()


def _in_main_thread(
    previous: Callable[[type[BaseException], BaseException, TracebackType | None], object],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        _log_to.log(error, traceback, "uncaught exception")
        previous(kind, error, traceback)

    return hook


def _in_thread(
    previous: Callable[[threading.ExceptHookArgs], object],
) -> Callable[[threading.ExceptHookArgs], None]:
    def hook(arguments: threading.ExceptHookArgs) -> None:
        # The error and the thread may be missing while the interpreter ends.
        if arguments.exc_value is not None:
            thread = arguments.thread
            try:
                name = "unknown" if thread is None else thread.name
            except BaseException:
                # A subclass may compute it.
                name = name_of(thread)
            _log_to.log(
                arguments.exc_value,
                arguments.exc_traceback,
                "uncaught exception in a thread",
                {"thread_name": name},
            )
        previous(arguments)

    return hook


def _unraisable(
    previous: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], None]:
    def hook(arguments: sys.UnraisableHookArgs) -> None:
        if arguments.exc_value is not None and not sys.is_finalizing():
            # Any call may trigger the garbage collection in which it was raised, so the record does
            # not belong to the stream that the call has chosen.
            in_empty_context(
                _log_to.log,
                arguments.exc_value,
                arguments.exc_traceback,
                arguments.err_msg or "exception ignored",
                {"raised_in": name_of(arguments.object)},
            )
        previous(arguments)

    return hook
