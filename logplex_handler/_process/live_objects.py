"""The objects of one kind that are still in use."""

from __future__ import annotations

import itertools
import weakref
from typing import Generic, TypeVar

T = TypeVar("T")


class LiveObjects(Generic[T]):
    """Holds objects weakly, in the order in which they were added.

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
