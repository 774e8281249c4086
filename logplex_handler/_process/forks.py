"""What happens to the package's locks, threads and sockets when the process forks.

Before a fork, the guards acquire their locks, the last registered one first, as with
`os.register_at_fork`, but after the lock of the logging module. After it, in the parent and in the
child, they release them in the opposite order; in the child all other objects then begin anew, in
the order of their registration. Meanwhile SIGTERM is blocked.

Python runs these hooks for `os.fork` only: uWSGI, for one, forks without them. So an object that is
used after every fork also marks the process that made it (`here`).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

try:
    import mmap
except ImportError:  # pragma: no cover  # some slim Pythons
    mmap = None  # type: ignore[assignment]

T = TypeVar("T")


class LiveObjects(Generic[T]):
    """Weak references to objects, in the order in which these were added.

    Needs no lock: unlike an iteration over a WeakSet, `all` copies the references in one step, so
    other threads (and signals) may add objects at the same time.
    """

    def __init__(self) -> None:
        self._objects: weakref.WeakValueDictionary[int, T] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()

    def add(self, added: T) -> None:
        self._objects[next(self._numbers)] = added

    def all(self) -> list[T]:
        found = (reference() for reference in self._objects.valuerefs())
        return [one for one in found if one is not None]


class Forkable(Protocol):
    """An object with locks, threads or sockets, which a forked child cannot use."""

    def after_fork_in_child(self) -> None:
        """Begin anew: no thread of the parent runs here, and any of its locks may be held.

        Must neither log nor start a thread; that is left to the first record of the child.
        """


class ForkGuard(Forkable, Protocol):
    """An object that no other thread may be changing while the process forks."""

    def before_fork(self) -> None:
        """Acquire the locks of everything that must be consistent in the child."""

    def after_fork_in_parent(self) -> None:
        """Release the locks, as `after_fork_in_child` does in the child."""


def logging_lock() -> Any:
    """Return the re-entrant lock of the logging module, which `dictConfig`, for one, holds."""
    return vars(logging)["_lock"]


class _LoggingLock:
    """Waits for the lock of the logging module while no guard's lock is held.

    `dictConfig` holds it while handlers deliver, which the guards hold up.
    """

    def before_fork(self) -> None:
        logging_lock().acquire()

    def after_fork_in_parent(self) -> None:
        # It is not held if a signal handler has raised an exception in `before_fork`.
        with contextlib.suppress(RuntimeError):
            logging_lock().release()

    def after_fork_in_child(self) -> None:
        """Do nothing: the logging module has renewed the lock."""


_forkables: LiveObjects[Forkable] = LiveObjects()
_guards: LiveObjects[ForkGuard] = LiveObjects()
_logging_guard = _LoggingLock()
# Guards `_called`, from before a fork until after it. Re-entrant, because a signal handler may fork
# meanwhile.
_fork_lock = threading.RLock()
# The guards of each fork that is under way, in the order in which they were called, and the signals
# that the forking thread blocked before.
_called: list[tuple[list[ForkGuard], set[int]]] = []


def register(forkable: Forkable) -> None:
    _forkables.add(forkable)


def register_guard(guard: ForkGuard) -> None:
    _guards.add(guard)


def _blocked_signals(how: str, signals: Iterable[int]) -> set[int]:
    """Change the signals that this thread blocks, and return those that it blocked before."""
    if sys.platform == "win32" or not hasattr(signal, "pthread_sigmask"):
        return set()
    return {*signal.pthread_sigmask(getattr(signal, how), signals)}


def _before() -> None:
    # First, because it calls signal handlers, which may raise an error: no lock is left acquired.
    blocked = _blocked_signals("SIG_BLOCK", ())
    _fork_lock.acquire()
    called: list[ForkGuard] = []
    _called.append((called, blocked))
    # Python forgets the signals that a child receives before its hooks are called. One that a pool
    # sends to a new worker takes its effect after them, when no lock is held.
    _blocked_signals("SIG_BLOCK", (signal.SIGTERM,))
    for guard in (_logging_guard, *reversed(_guards.all())):
        # Added first, so that a guard that fails is released all the same.
        called.append(guard)
        guard.before_fork()


def _after_in_parent() -> None:
    called, blocked = _called.pop()
    try:
        for guard in reversed(called):
            guard.after_fork_in_parent()
        _fork_lock.release()
    finally:
        _blocked_signals("SIG_SETMASK", blocked)


def _after_in_child() -> None:
    called, blocked = _called.pop()
    try:
        for guard in reversed(called):
            guard.after_fork_in_child()
        _fork_lock.release()
        for forkable in _forkables.all():
            forkable.after_fork_in_child()
    finally:
        # Whatever a signal handler has raised meanwhile.
        _blocked_signals("SIG_SETMASK", blocked)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )


# Linux wipes a page with this advice in a forked child. The mmap module has no constant for it yet.
_MADV_WIPEONFORK = 18


class _HereByPid:
    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> bool:
        return os.getpid() == self._pid


class Here(Protocol):
    """`here[0]` is true in the process that made the mark, and false in its forked children."""

    def __getitem__(self, index: int, /) -> int: ...


def here() -> Here:
    """Return a mark that no fork copies, not even one that Python runs no hooks for.

    The mark is read for every record. On Linux that is a memory access, which takes a tenth of the
    time of `os.getpid`.
    """
    if sys.platform == "linux" and mmap is not None:
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_MADV_WIPEONFORK)
            page[0] = 1
            return page
        except (OSError, ValueError):
            # The kernel is older than 4.14.
            pass
    return _HereByPid()
