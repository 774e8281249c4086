"""How values become text, before quoting."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring
from operator import attrgetter
from types import NoneType
from typing import Any, TypeAlias

# Any: what the function returns.
Call: TypeAlias = Callable[[Callable[[Any], Any], object], Any]


def text_of(value: object) -> str:
    """Return the value as text before quoting.

    None is `null`, and bools are lower-case. A datetime is written in ISO 8601 with a `T`. Dicts,
    lists, tuples, sets and dataclasses are JSON, without the fields that a dataclass's `repr`
    leaves out. All other values, and those whose class has its own `__str__` or `__repr__`, are
    written by `str()`.

    A value whose text fails, or whose JSON would repeat more than 1,000,000 characters, becomes
    `<unprintable TYPE object>`, as in tracebacks, so that the record is not lost.
    """
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    try:
        return exact(_writer(type(value))(value))
    except Exception:
        return unprintable(value)


def exact(text: str) -> str:
    """Return the text as a plain `str`: a subclass could return another text at each read."""
    return text if type(text) is str else str.__str__(text)


def characters_of(value: object) -> str:
    """Return the characters of a value that is any `str`, and the text of another one."""
    return exact(value if issubclass(type(value), str) else str(value))  # type: ignore[arg-type]


def unprintable(value: object) -> str:
    """Return the text in place of a value that cannot be written, as in tracebacks."""
    return f"<unprintable {name_of(type(value))} object>"


def name_of(type_: type) -> str:
    """Return the name of a class, whatever its metaclass says."""
    name: str = type.__dict__["__name__"].__get__(type_)
    return name


def _writer_of(type_: type) -> Callable[[Any], str]:
    if issubclass(type_, datetime) and type_.__str__ is datetime.__str__:
        return type_.isoformat
    if type_ in (str, int, float):
        return str
    if type_ in _MAPPINGS or type_ in _SEQUENCES or _is_plain_dataclass(type_):
        return _json
    if type_.__module__ == "numpy" and type_.__name__ in ("bool", "bool_"):
        return _lower
    return str


# A program logs values of few types.
_writer: Callable[[type], Callable[[Any], str]] = lru_cache(maxsize=256)(_writer_of)


def _lower(value: object) -> str:
    return str(value).lower()


def _json(value: object) -> str:
    """Return a container as JSON, in less time than `json.dumps` takes for short values."""
    text = json_text(value, _MOST_REPEATED, lambda function, inner: function(inner))
    return _Json().written(value) if text is None else text


def json_text(value: object, most: int, call: Call) -> str | None:
    """Return a container as JSON, or None if only `_Json` knows how.

    Args:
        most: The most items, and the most characters of the texts among them.
        call: Calls a function with a value whose class may have code of the application.
    """
    try:
        text = _json_text(value, type(value), [most], call, _DEEPEST)
    except _NotPlain:
        return None
    return None if len(text) > _MOST_REPEATED else text


def _json_text(value: Any, type_: type, left: list[int], call: Call, depth: int) -> str:
    if not depth:
        # Perhaps it is in itself.
        raise _NotPlain
    # Another thread may be changing the items, so they are copied in one step.
    keys: Iterable[object] | None = None
    if type_ is dict:
        keys = copied = value.copy()
        values = copied.values()
    elif type_ in _SEQUENCES:
        values = [*value]
    elif type_ in _MAPPINGS:
        items = [*value.items()]
        keys, values = [key for key, _ in items], [inner for _, inner in items]
    else:
        keys = _shown_fields(type_)
        values = call(attrgetter(*keys, "__class__"), value)[:-1]
    size = len(values)
    texts = []
    for inner in values:
        kind = type(inner)
        if kind is str:
            text = encode_basestring(inner)
            size += len(inner)
        elif (write := _SCALARS.get(kind)) is not None:
            text = write(inner)
        elif _writer(kind) is _json:
            text = _json_text(inner, kind, left, call, depth - 1)
        else:
            text = encode_basestring(call(text_of, inner))
            size += len(text)
        if size > left[0]:
            raise _NotPlain
        texts.append(text)
    left[0] -= size
    if keys is None:
        return f"[{','.join(texts)}]"
    pairs = []
    for key, text in zip(keys, texts, strict=True):
        if type(key) is not str:
            raise _NotPlain
        pairs.append(f"{encode_basestring(key)}:{text}")
    return f"{{{','.join(pairs)}}}"


def flat_repr(value: Any, most: int) -> str | None:
    """Return the `repr` of a dict, list or tuple if it has only texts and numbers in it, or None.

    It runs no code of the application.

    Raises:
        TooLong: The texts in it have more characters than `most`.
        ValueError: A number has more digits than Python converts to text.
    """
    flat = _flat(value, most)
    return None if flat is None else repr(flat)


def is_flat(value: Any) -> bool:
    """Return whether a value is a dict, list or tuple with only texts and numbers in it."""
    return _flat(value, sys.maxsize) is not None


def _flat(value: Any, most: int) -> Any:
    """Return a copy of a dict, list or tuple if it has only texts and numbers in it, or None.

    Another thread may be changing the items, so they are copied in one step.
    """
    if type(value) is dict:
        value = value.copy()
        for key, inner in value.items():
            if type(key) is not str:
                return None
            most -= len(key)
            if type(inner) is str:
                most -= len(inner)
            elif type(inner) not in _SCALARS:
                return None
    elif type(value) is list or type(value) is tuple:
        value = value[:]
        for inner in value:
            if type(inner) is str:
                most -= len(inner)
            elif type(inner) not in _SCALARS:
                return None
    else:
        return None
    if most < 0:
        raise TooLong
    return value


class TooLong(Exception):
    """The text would have, or the JSON would repeat, more characters than are allowed."""


class _NotPlain(Exception):
    """A container is perhaps in itself, has a key that is no text, or is very long."""


class _Json:
    """Writes a container and those within, whatever they are, in a third more time."""

    __slots__ = ("_is_open", "_left")

    def __init__(self) -> None:
        self._left = _MOST_REPEATED
        # The containers, by `id`, and whether they are being written just now.
        self._is_open: dict[int, bool] = {}

    def written(self, value: Any) -> str:
        type_ = type(value)
        # Another thread may be changing the items, so they are copied in one step.
        if type_ in _SEQUENCES:
            return self._container(value, [*value])
        if type_ in _MAPPINGS:
            items = [*value.items()]
            keys = [key if type(key) is str else _text_of_key(key) for key, _ in items]
            return self._container(value, [inner for _, inner in items], keys)
        if _writer(type_) is _json:
            keys = _shown_fields(type_)
            return self._container(value, [getattr(value, key) for key in keys], keys)
        return encode_basestring(text_of(value))

    def _container(self, value: object, values: list[object], keys: list[str] | None = None) -> str:
        identity = id(value)
        is_open = self._is_open.get(identity)
        if is_open:
            return '"..."'
        self._is_open[identity] = True
        left = self._left
        texts = [
            self.written(inner) if (write := _SCALARS.get(type(inner))) is None else write(inner)
            for inner in values
        ]
        self._is_open[identity] = False
        if keys is None:
            text = f"[{','.join(texts)}]"
        else:
            both = zip(keys, texts, strict=True)
            text = f"{{{','.join([f'{encode_basestring(key)}:{text}' for key, text in both])}}}"
        if is_open is not None:
            # The text holds those of the containers within, which were subtracted before.
            self._left = left - len(text)
            if self._left < 0:
                raise TooLong
        return text


def _text_of_key(key: object) -> str:
    """Return a key of a mapping as text, which is not JSON.

    JSON in a key that is in the JSON of a key would have twice as many escapes at each level.
    """
    if _writer(type(key)) is not _json:
        return text_of(key)
    try:
        if type(key) in _SEQUENCES:
            # Its JSON is too long if its `str` is.
            _json(key)
        return str(key)
    except Exception:
        return unprintable(key)


def _int(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # The number has more digits than Python converts to text.
        return encode_basestring(unprintable(value))


# The most characters of the texts of containers that were written before: a few containers that are
# in each other several times can make a text without end.
_MOST_REPEATED = 1_000_000

# Exactly these types: a subclass may have its own text, which hides something.
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: _int,
    # JSON has no infinity.
    float: lambda value: str(value) if math.isfinite(value) else f'"{value}"',
    bool: _lower,
    NoneType: lambda _: "null",
}
# The most containers within each other that are written without looking for one within itself.
_DEEPEST = 10
_MAPPINGS = frozenset({dict, OrderedDict, defaultdict, Counter})
_SEQUENCES = frozenset({list, tuple, set, frozenset, deque})


def _fields_of(type_: type) -> list[str]:
    return [field.name for field in dataclasses.fields(type_) if field.repr]


# The fields of a dataclass that its `repr` shows.
_shown_fields: Callable[[type], list[str]] = lru_cache(maxsize=256)(_fields_of)


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
