"""The call sites that are asked for a record before its signature is looked up.

The records of one template may have several: a value is a number or None, or two loggers share the
template. Looking a signature up takes longer than asking four of them.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import LogRecord

from logplex_handler._wire.entry import Entry

# Returns the entry of a record, or None if the record is not like the others of its call site. May
# raise an error then, too.
Extract = Callable[[LogRecord], Entry | None]

# Those of two values that may be None.
_MOST = 4


class Asked:
    """The functions of the call sites that took the latest records, by template."""

    def __init__(self) -> None:
        self._latest_first: dict[object, tuple[Extract, ...]] = {}

    def beginning_with(self, extract: Extract, key: object) -> Extract:
        """Return a function that asks this one first, and then the latest others of the key."""
        others = self._latest_first.get(key, ())
        asked = (extract, *[other for other in others if other is not extract])[:_MOST]
        self._latest_first[key] = asked
        return extract if len(asked) == 1 else _one_of(asked)

    def clear(self) -> None:
        self._latest_first.clear()


def _one_of(asked: tuple[Extract, ...]) -> Extract:
    def extract(record: LogRecord) -> Entry | None:
        for one in asked:
            try:
                entry = one(record)
            except Exception:
                continue
            if entry is not None:
                return entry
        return None

    return extract
