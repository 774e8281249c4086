"""Functions to call at the end of a process, including ends at which Python calls none."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TypeVar

from logplex_handler._process import forks
from logplex_handler._process.contexts import in_empty_context, new_thread
from logplex_handler._process.reentrancy import is_held, release_if_held
from logplex_handler._process.signal_watch import EndingHandler, SignalWatch

T = TypeVar("T")

# multiprocessing, and Celery's fork of it, end their child processes without Python's exit
# functions, but call their own finalizers, those with the highest priority first.
_LIBRARIES = ("multiprocessing", "billiard")
_LAST_PRIORITY = -100
# The longest time, in seconds, that a child that is ending may take after SIGTERM; as on Heroku.
_MOST_TO_END = 30

_Function = Callable[[], object]


class _ExitFunctions:
    """The functions to call at the end of this process, those of handlers last.

    The functions may log, and so add further functions. There is one finalizer for all of them,
    because neither the libraries nor Celery's signal would call functions that are added late.
    """

    def __init__(self) -> None:
        # The functions to call first, and those of handlers, by process id.
        self._functions: dict[int, tuple[list[_Function], list[_Function]]] = {}
        # The id of the process that is ending.
        self._ending = 0
        self._at_sigterm = _DeliverFirst(self)
        self._signal_watch = SignalWatch()

    def add(self, function: _Function, *, before_handlers: bool) -> None:
        pid = os.getpid()
        functions = self._functions.get(pid)
        if functions is None:
            # A forked child inherits its parent's functions, but no finalizer for them.
            for other in [*self._functions]:
                if other != pid:
                    self._functions.pop(other, None)
            # Several threads may do this at once; it does no harm, and all add to the same lists.
            self._install()
            functions = self._functions.setdefault(pid, ([], []))
        functions[not before_handlers].append(function)

    def _install(self) -> None:
        # Called before `logging.shutdown`, which was registered earlier and closes the handlers.
        atexit.register(self._call_first)
        for library in _LIBRARIES:
            # Only a library that is loaded can have made this process.
            process = sys.modules.get(f"{library}.process")
            util = sys.modules.get(f"{library}.util")
            if process is not None and util is not None:
                is_child = getattr(process.current_process(), "_parent_pid", None) is not None
                if is_child:
                    util.Finalize(
                        None, self._call_last, args=(library,), exitpriority=_LAST_PRIORITY
                    )
                    self.take_sigterm()
                    if util.is_exiting():
                        self._call_after_threads()
        # The children of Celery's own pool run no finalizers, but Celery sends a signal in them,
        # and in no other process.
        signals = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(
                self, weak=False, dispatch_uid="logplex_handler"
            )

    def take_sigterm(self) -> None:
        """Deliver at SIGTERM too: `Pool` ends its children with it, even those that are done."""
        if sys.platform == "win32":
            return
        # Only the main thread may set a signal handler, and the watch needs descriptors.
        with contextlib.suppress(ValueError, OSError):
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, self._at_sigterm)
            if isinstance(signal.getsignal(signal.SIGTERM), EndingHandler):
                self._signal_watch.start(signal.SIGTERM)

    def is_ending(self) -> bool:
        return self._ending == os.getpid()

    def _call_first(self) -> None:
        self._call(kinds=1)

    def _call_last(self, library: str) -> None:
        if library == "multiprocessing":
            # Threads that outlive the child's function may log. Before Python 3.13, the library
            # waits for them only after it has called this. A second wait ends at once.
            vars(threading)["_shutdown"]()
        self._call(kinds=2)

    def _call_after_threads(self) -> None:
        """Call the functions once the last thread ends, because the library may call no more.

        Before Python 3.13, that is so where only a thread that outlives the child's function logs.
        """

        def call() -> None:
            threading.main_thread().join()
            here = {threading.main_thread(), threading.current_thread()}
            while others := [one for one in {*threading.enumerate()} - here if not one.daemon]:
                others[0].join()
            self._call(kinds=2)

        thread = new_thread(call, "logplex_handler.exit")
        # The process waits for it.
        thread.daemon = False
        # The interpreter may be about to exit.
        with contextlib.suppress(RuntimeError):
            thread.start()

    def __call__(self, **_: object) -> None:
        self._call(kinds=2)

    def _call(self, *, kinds: int) -> None:
        if os.getpid() in self._functions:
            self._ending = os.getpid()
        try:
            while function := self._next(kinds):
                in_empty_context(function)
        except BaseException:
            # Ctrl-C, for example, ends the wait of one handler; the others deliver all the same.
            self._call(kinds=kinds)
            raise

    def _next(self, kinds: int) -> _Function | None:
        for functions in self._functions.get(os.getpid(), ())[:kinds]:
            if functions:
                return functions.pop(0)
        return None

    def remove(self, function: _Function) -> None:
        for functions in self._functions.get(os.getpid(), ()):
            # Another thread may be removing or calling it.
            with contextlib.suppress(ValueError):
                functions.remove(function)


class _DeliverFirst(EndingHandler):
    """Calls the exit functions, then ends the process by the same signal."""

    def __init__(self, functions: _ExitFunctions) -> None:
        self._functions = functions

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.has_begun():
            # The process is ending by itself; limit the time that it may take.
            if sys.platform != "win32" and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
                signal.alarm(_MOST_TO_END)
            return
        try:
            self._functions()
        finally:
            # End as without this handler, so that the parent process sees which signal ended the
            # child.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def has_begun(self) -> bool:
        return self._functions.is_ending()


_exit_functions = _ExitFunctions()


def watch_sigterm_in_children() -> None:
    """Let no child of multiprocessing miss SIGTERM, not even one that never logs.

    Such a child inherits an `EndingHandler` of its parent.
    """
    # Imported here, because few programs need it.
    from multiprocessing import util

    util.register_after_fork(_exit_functions, _ExitFunctions.take_sigterm)


def call_at_exit(function: _Function, *, before_handlers: bool = False) -> Callable[[], None]:
    """Call the function when this process ends, if multiprocessing or Celery has made it.

    Must be called in the child itself, after it has started: a child forgets the finalizers of its
    parent. A function that may still log is called `before_handlers` close, and at the end of any
    other process too.

    Returns:
        A function that cancels the call.
    """
    _exit_functions.add(function, before_handlers=before_handlers)
    return partial(_exit_functions.remove, function)


def without_logging_lock(function: Callable[[], T], seconds: float) -> T | None:
    """Call a function that needs locks of the package, but not under the lock of logging.

    A thread that holds one of them may wait for the lock of logging: a garbage collection, at any
    moment, may find a handler, which logging forgets under its lock. If the calling thread holds
    that lock, as `dictConfig` does, another thread calls the function; it is waited for at most
    `seconds` now, and for the rest at exit.

    Returns:
        What the function has returned, or None if it has not.
    """
    if not is_held(forks.logging_lock()):
        return function()
    returned: list[T] = []

    def run() -> None:
        try:
            returned.append(function())
        finally:
            cancel()

    cancel: Callable[[], object] = bool
    try:
        thread = new_thread(run, "logplex_handler.close")
        cancel = call_at_exit(thread.join, before_handlers=True)
        # A collection in the new thread would need the lock, and `start` waits for that thread.
        reacquire = release_if_held(forks.logging_lock())
        try:
            thread.start()
        finally:
            if reacquire is not None:
                reacquire()
    except RuntimeError:
        # The interpreter is about to exit or allows no daemon threads, or the system cannot start
        # another thread.
        run()
    else:
        thread.join(seconds)
    return returned[0] if returned else None


def threads_run() -> bool:
    """Return whether threads run in this process; under uWSGI they need an option."""
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if not isinstance(options, dict):
        return True
    return any(
        options.get(name) for key in ("enable-threads", "threads") for name in (key, key.encode())
    )
