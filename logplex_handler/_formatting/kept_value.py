"""The values that an entry holds, and what the compiled functions call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from logplex_handler._formatting.value_kinds import LONGEST, OF_DICT, ValueKind, kind_of
from logplex_handler._formatting.value_text import is_flat

# The most values of a dict that are kept in its place, and the most characters of its keys.
_MOST_ITEMS = 16
_LONGEST_KEYS = 500


class Value(NamedTuple):
    """A value of a record: a variable of the compiled functions.

    Attributes:
        longest: The most characters that the value may have if it is kept as a text: any, and
            ASCII.
        twin: The variable of the first text that is probably the same object, maybe this one.
        keys: The keys of a dict in place of which the entry holds its `items`, its values.
    """

    variable: str
    type: type
    kind: ValueKind
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

    def bounded(self, bounds: Iterator[tuple[tuple[int, int], str]]) -> Value:
        """Return the value with the next bounds and twins for its texts."""
        if self.keys is not None:
            return self._replace(items=tuple([item.bounded(bounds) for item in self.items]))
        if not self.is_text:
            return self
        longest, twin = next(bounds)
        return self._replace(longest=longest, twin=twin)


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


def as_tuple(values: Sequence[Value]) -> str:
    """Return the source of a tuple of the values."""
    return tuple_of([value.variable for value in values])


def tuple_of(expressions: Sequence[str]) -> str:
    return f"({expressions[0]},)" if len(expressions) == 1 else f"({', '.join(expressions)})"
