"""What must begin anew in a forked child."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something with locks, threads or sockets."""

    def _begin_anew(self) -> None:
        """Called in the child, where no thread of the parent runs and its locks may be held."""


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(forkable: Forkable) -> None:
    """Have it begin anew in every child, where Python is told of the fork."""
    _forkables.add(forkable)


def registered() -> list[Forkable]:
    """All that are still in use."""
    return list(_forkables)


def _after_in_child() -> None:
    # Nothing is logged here, and no thread is started: that is for the child's first record.
    for forkable in registered():
        forkable._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)


# Linux wipes such a page in a child; CPython has no name for that yet.
_MADV_WIPEONFORK = 18


class Here(Protocol):
    """`here[0]` is true in the process that made it, and false in those forked from it."""

    def __getitem__(self, index: int, /) -> object: ...


def here() -> Here:
    """A mark that no fork copies, not even one of which Python is not told.

    Where the system has one, reading it is a memory access: a tenth of what it costs to ask for the
    process id, which is done for every record.
    """
    if sys.platform == "linux":
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_MADV_WIPEONFORK)
        except (OSError, ValueError):
            # A kernel older than 4.14.
            return _HereByPid()
        page[0] = 1
        return page
    return _HereByPid()


class _HereByPid:
    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> bool:
        return os.getpid() == self._pid
