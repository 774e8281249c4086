"""What is kept of streams that are not in use: bytes, since a handler may have 100,000 of them.

Garbage collections go through a dict and all its values only if one of these is an object that may
refer to others. A tuple is, at least when it is new; bytes are not, and take less memory.
"""

from __future__ import annotations

import pickle  # nosec B403
from types import NoneType
from typing import Any, TypeAlias

Pickled: TypeAlias = bytes | tuple[Any, ...]

_PROTOCOL = 5
_OWN_TYPES = frozenset({NoneType, str, float, tuple})


def pickled(values: tuple[Any, ...]) -> Pickled:
    """Return bytes; the tuple itself if it has a value of an application's class, or one fails."""
    # A destination of such a class, for example, comes back as the same object.
    if not _OWN_TYPES.issuperset(map(type, values)):
        return values
    try:
        return pickle.dumps(values, _PROTOCOL)
    except Exception:
        # For example, the time zone of a record's value is of such a class.
        return values


def unpickled(kept: Pickled) -> tuple[Any, ...]:
    """Return what was pickled."""
    if not isinstance(kept, bytes):
        return kept
    # Only what `pickled` has returned in this process.
    values: tuple[Any, ...] = pickle.loads(kept)  # nosec B301
    return values
