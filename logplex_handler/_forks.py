"""What must begin anew in a forked child."""

from __future__ import annotations

import os
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
