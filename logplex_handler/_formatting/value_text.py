"""How values become text, before quoting."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring
from types import NoneType
from typing import Any


def text_of(value: object) -> str:
    """Return the value as text before quoting; see `written`.

    A value that cannot be written becomes `<unprintable TYPE object>`, as in tracebacks, so that
    the record is not lost.
    """
    if type(value) is str:
        return value
    try:
        return written(value)
    except Exception:
        return unprintable(value)


def written(value: object) -> str:
    """Return the value as text before quoting. Raises the errors of the value's own code.

    None is `null`, and bools are lower-case. A datetime is written in ISO 8601 with a `T`. Dicts,
    lists, tuples, sets and dataclasses are JSON, without the fields that a dataclass's `repr`
    leaves out. All other values, and those whose class has its own `__str__` or `__repr__`, are
    written by `str()`.
    """
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    return exact(_writer(type(value))(value))


def exact(text: str) -> str:
    """Return the text as a plain `str`: a subclass could return another text at each read."""
    return text if type(text) is str else str.__str__(text)


def unprintable(value: object) -> str:
    """Return the text in place of a value that cannot be written, as in tracebacks."""
    return f"<unprintable {type(value).__name__} object>"


def _writer_of(type_: type) -> Callable[[Any], str]:
    if issubclass(type_, datetime) and type_.__str__ is datetime.__str__:
        return type_.isoformat
    if type_ in (str, int, float):
        return str
    if type_ in _JSON_WRITERS or _is_plain_dataclass(type_):
        return _json_or_str
    if type_.__module__ == "numpy" and type_.__name__ in ("bool", "bool_"):
        return _lower
    return str


# A program logs values of few types.
_writer: Callable[[type], Callable[[Any], str]] = lru_cache(maxsize=256)(_writer_of)


def _lower(value: object) -> str:
    return str(value).lower()


def _json_or_str(value: object) -> str:
    try:
        return _json(value)
    except Exception:
        # The value may contain itself, for example.
        return str(value)


def _json(value: object) -> str:
    """Return the value as JSON, in less time than `json.dumps` takes for short values."""
    write = _JSON_WRITERS.get(type(value))
    return _json_of_other(value) if write is None else write(value)


# The functions copy the items in one step, because another thread may be changing them.
def _json_of_mapping(value: Mapping[object, object]) -> str:
    return _json_object([(text_of(key), inner) for key, inner in [*value.items()]])


def _json_of_sequence(value: Iterable[object]) -> str:
    return f"[{','.join([_json(inner) for inner in [*value]])}]"


def _json_of_other(value: Any) -> str:
    if not isinstance(value, type) and _is_plain_dataclass(type(value)):
        shown = [field.name for field in dataclasses.fields(value) if field.repr]
        return _json_object([(name, getattr(value, name)) for name in shown])
    return encode_basestring(text_of(value))


def _json_object(items: list[tuple[str, object]]) -> str:
    pairs = [f"{encode_basestring(key)}:{_json(inner)}" for key, inner in items]
    return f"{{{','.join(pairs)}}}"


# Exactly these types: a subclass may have its own text, which hides something.
_JSON_WRITERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: str,
    # JSON has no infinity.
    float: lambda value: str(value) if math.isfinite(value) else f'"{value}"',
    bool: _lower,
    NoneType: lambda _: "null",
    **dict.fromkeys([dict, OrderedDict, defaultdict, Counter], _json_of_mapping),
    **dict.fromkeys([list, tuple, set, frozenset, deque], _json_of_sequence),
}


def _is_plain_dataclass(type_: type) -> bool:
    """Return whether a class is a dataclass with the `repr` that was generated for it."""
    if not dataclasses.is_dataclass(type_) or type_.__str__ is not object.__str__:
        return False
    owner = next(one for one in type_.__mro__ if "__repr__" in vars(one))
    # The generated method is wrapped, to end where an object contains itself, and is in no file.
    code = getattr(getattr(owner.__repr__, "__wrapped__", None), "__code__", None)
    is_generated = getattr(code, "co_filename", "") == "<string>"
    # An inherited method shows only the fields of its own class.
    shows_all = vars(owner).get("__dataclass_fields__") is vars(type_).get("__dataclass_fields__")
    return is_generated and shows_all
