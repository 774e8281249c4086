"""The values that an entry holds, and what the compiled functions call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, NamedTuple

from logplex_handler._formatting.value_kinds import LONGEST, METRIC, OF_DICT, ValueKind, kind_of
from logplex_handler._formatting.value_text import is_flat

# The most values of a dict that are kept in its place, and the most characters of its keys.
_MOST_ITEMS = 16
_LONGEST_KEYS = 500
_NUMBERS = (int, float, bool, NoneType)


class Fit(NamedTuple):
    """How the records of a call site are kept.

    Attributes:
        is_light: Whether entries are light; if not, their texts may be long.
        keeps_checked: Whether values are kept whose memory must be checked; if not, they become
            texts at once.
        keeps_items: Whether the values of a dict are kept in its place. Others of its call site
            must have the same keys.
    """

    is_light: bool
    keeps_checked: bool
    keeps_items: bool = False


# The cheapest first.
FITS = (
    Fit(True, True, keeps_items=True),
    Fit(True, True),
    Fit(False, True),
    Fit(True, False),
    Fit(False, False),
)


class Value(NamedTuple):
    """A value of a record: a variable of the compiled functions.

    Attributes:
        is_optional: Whether None is another value of the call site.
        needed: The bytes of a typical text.
        longest: The most characters that the value may have if it is kept as a text: any, and
            ASCII.
        twin: The variable of the first text that is probably the same object, maybe this one.
        keys: The keys of a dict in place of which the entry holds its `items`, its values.
    """

    variable: str
    type: type
    kind: ValueKind
    is_optional: bool = False
    needed: int = 0
    longest: tuple[int, int] = (LONGEST, LONGEST)
    twin: str = ""
    keys: list[str] | None = None
    items: tuple[Value, ...] = ()

    @property
    def parts(self) -> tuple[Value, ...]:
        """What the entry holds of it."""
        return (self,) if self.keys is None else self.items

    def parts_of(self, value: Any) -> list[Any]:
        """Return what the entry holds of such a value."""
        return [value] if self.keys is None else [*value.values()]

    @property
    def is_text(self) -> bool:
        return bool(self.kind.conversion) or issubclass(self.type, str)

    @property
    def source(self) -> str:
        """The expression of the value in terms of its parts."""
        if self.keys is None:
            return self.variable
        return f"dict(zip(keys_{self.variable}, {as_tuple(self.items)}))"

    def restored(self, kept: Iterator[Any]) -> Any:
        """Return the value for which an entry holds the next objects."""
        if self.keys is not None:
            return dict(zip(self.keys, [item.restored(kept) for item in self.items], strict=True))
        one = next(kept)
        return one if self.kind.restored is None else self.kind.restored(one)

    def with_needs(self, needs: Iterator[tuple[int, str]]) -> Value:
        """Return the value with the next needs and twins for its texts."""
        if self.keys is not None:
            return self._replace(items=tuple([item.with_needs(needs) for item in self.items]))
        if not self.is_text:
            return self
        needed, twin = next(needs)
        return self._replace(needed=needed, twin=twin)

    def bounded(self, longest: Iterator[tuple[int, int]]) -> Value:
        """Return the value with the next bounds for its texts."""
        if self.keys is not None:
            return self._replace(items=tuple([item.bounded(longest) for item in self.items]))
        return self._replace(longest=next(longest)) if self.is_text else self


def of_both(one: Value, other: Value) -> Value | None:
    """Return the value in the records of two call sites, or None if more than None is new."""
    is_optional = one.is_optional or other.is_optional
    if one.type is not other.type:
        is_optional = True
        if one.type is NoneType:
            one, other = other, one
        is_kept = one.keys is None and not one.kind.conversion and not one.kind.kept
        if other.type is not NoneType or not is_kept:
            return None
    is_metric = METRIC in (one.kind, other.kind)
    if is_metric and (is_optional or one.kind is not other.kind):
        return None
    needed = max(one.needed, other.needed)
    return one._replace(is_optional=is_optional, needed=needed, twin="")


def with_items(value: Value, one: Any) -> Value:
    """Return a value with parts if a typical one is a dict of texts and numbers alone.

    Writing it as JSON takes its caller half a microsecond for each of its values.
    """
    if type(one) is not dict or not 0 < len(one) <= _MOST_ITEMS or not is_flat(one):
        return value
    if sum(map(len, one)) > _LONGEST_KEYS:
        return value
    items = [
        Value(f"{value.variable}_{i}", type(inner), kind_of(type(inner)))
        for i, inner in enumerate(one.values())
    ]
    return value._replace(kind=OF_DICT, keys=[*one], items=tuple(items))


def numbers_and_others(values: Sequence[Value]) -> tuple[int, int]:
    """Return how many of the values are numbers, and how many neither texts nor numbers."""
    # Some numbers are kept as texts.
    others = [value for value in values if not value.is_text]
    numbers = len([value for value in others if value.type in _NUMBERS])
    # A metric's value is a text as well, and takes less memory than a text and a number.
    metrics = len([value for value in values if value.kind is METRIC])
    return numbers + metrics, len(others) - numbers


def as_tuple(values: Sequence[Value]) -> str:
    """Return the source of a tuple of the values."""
    return tuple_of([value.variable for value in values])


def tuple_of(expressions: Sequence[str]) -> str:
    return f"({expressions[0]},)" if len(expressions) == 1 else f"({', '.join(expressions)})"
