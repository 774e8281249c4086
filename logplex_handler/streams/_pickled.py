"""What is kept of streams that are not in use: bytes, since a handler may have 100,000 of them.

Garbage collections go through a dict and all its values only if one of these is an object that may
refer to others. A tuple is, at least when it is new; bytes are not, and take less memory.
"""

from __future__ import annotations

import io
import pickle  # nosec B403
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, TypeAlias

from logplex_handler.metrics.metric_pairs import MetricValue

Pickled: TypeAlias = bytes | tuple[Any, ...]

_PROTOCOL = 5
# The types in entries that pickle refers to by their names.
_TYPES = {type_.__name__: type_ for type_ in (MetricValue, datetime, timedelta, timezone)}


class _Pickler(pickle.Pickler):
    """Runs no code of an application, even where that has told pickle how to treat a type."""

    dispatch_table = MappingProxyType[type, Any]({})

    def reducer_override(self, value: object) -> Any:
        # Not called for texts, numbers, None and tuples, but for their subclasses, and for types.
        kind = value if type(value) is type else type(value)
        if all(kind is not known for known in _TYPES.values()):
            raise pickle.PicklingError
        return NotImplemented


class _Unpickler(pickle.Unpickler):  # nosec B301
    """Imports nothing: a module may have been removed since, or its classes replaced."""

    def find_class(self, _module: str, name: str) -> Any:
        return _TYPES[name]


def pickled(values: tuple[Any, ...]) -> Pickled:
    """Return bytes; the tuple itself if there is a value of an application's class in it.

    A destination of such a class, for example, comes back as the same object.
    """
    kept = io.BytesIO()
    try:
        _Pickler(kept, _PROTOCOL).dump(values)
    except Exception:
        return values
    return kept.getvalue()


def unpickled(kept: Pickled) -> tuple[Any, ...]:
    """Return what was pickled."""
    if not isinstance(kept, bytes):
        return kept
    values: tuple[Any, ...] = _Unpickler(io.BytesIO(kept)).load()
    return values
