"""How the compiled functions of a call site treat each type of value: one row for each type.

To give another type its own treatment, add a row to `VALUE_KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from json.encoder import encode_basestring
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from logplex_handler._formatting import grammar
from logplex_handler._formatting.fitting import characters_within
from logplex_handler._formatting.nesting import nested
from logplex_handler._formatting.value_text import TooLong, exact, flat_repr, json_text, text_of
from logplex_handler._wire.entry import ORDINARY_BITS
from logplex_handler.metrics.metric_pairs import MetricValue


class ValueKind(NamedTuple):
    """The expressions that the compiled functions have for values of one type.

    `$v` stands for the value, `$longest` and `$longest_ascii` for the most characters that a text
    of this call site's entries may have. All other names are those of `NAMES`.

    Attributes:
        as_value: The text of the value where it is the whole value of a pair.
        in_quotes: The text that `%s` makes of the value, escaped for double quotes.
        check: Limits the memory that a kept value holds, or makes sure that it cannot change.
        conversion: What the caller's thread keeps of a value that may change later. Default: the
            value itself, which must be immutable then.
        kept: An expression of what is kept in place of an immutable value. Default: the value.
        kept_check: Limits the memory of what is kept.
        restored: Returns the value for which such an object was kept.
    """

    type: type
    as_value: str
    in_quotes: str
    check: str = ""
    conversion: str = ""
    kept: str = ""
    kept_check: str = ""
    restored: Callable[[Any], object] | None = None


# The digits of the numbers that are logged most often: statuses, counts, milliseconds. Looking them
# up saves 200 instructions a number.
_SMALL = [str(number) for number in range(1000)]


def _uuid(number: int) -> str:
    """Return the text of a UUID, in two thirds of the time of its own method."""
    octets = number.to_bytes(16, "big")
    return f"{octets[:4].hex()}-{octets[4:10].hex('-', 2)}-{octets[10:].hex()}"


# The most characters of each text of a heavy entry. A record with a longer text is formatted at
# once, because escapes may make it six times as long.
LONGEST = 65_536


def within(value: object) -> object:
    """Return a value that may become a text at once.

    Raises:
        TooLong: The text would be too long for an entry, and perhaps for any memory.
    """
    if characters_within(value) > LONGEST:
        raise TooLong
    return value


def _call_within(function: Callable[[Any], Any], value: object) -> Any:
    """Call a function that may log with a value that is in a container."""
    return nested(function, within(value))


def _in_json(text: str) -> str:
    """Return what JSON has in the quotes of a text, escaped for the quotes around the JSON."""
    return grammar.escape(encode_basestring(text)[1:-1])


def _infinite(number: float) -> str:
    """Return a number that JSON does not have as a text, escaped likewise."""
    return f'\\"{number}\\"'


# The names that the expressions below may use.
NAMES: dict[str, object] = {
    "call_within": _call_within,
    "escape": grammar.escape,
    "escape_in_bytes": grammar.escape_in_bytes,
    "exact": exact,
    "false": "false",
    "flat_repr": flat_repr,
    "in_json": _in_json,
    "infinite": _infinite,
    "isfinite": math.isfinite,
    "json_text": json_text,
    "nested": nested,
    "null": "null",
    "quote": grammar.quote,
    "quote_in_bytes": grammar.quote_in_bytes,
    "small": _SMALL,
    "text_of": text_of,
    "timezone": timezone,
    "true": "true",
    "uuid": _uuid,
    "within": within,
}

_DIGITS = "small[$v] if 0 <= $v < 1000 else $v"
_QUOTED = "$v if $v.isalnum() else quote($v)"
_ESCAPED = "$v if $v.isalnum() else escape($v)"
IS_SHORT = "(len($v) <= $longest or len($v) <= $longest_ascii and $v.isascii())"

VALUE_KINDS = (
    ValueKind(int, _DIGITS, _DIGITS, check=f"$v.bit_length() <= {ORDINARY_BITS}"),
    ValueKind(float, "$v", "$v"),
    ValueKind(str, _QUOTED, _ESCAPED, check=IS_SHORT),
    ValueKind(bool, "true if $v else false", "$v"),
    ValueKind(NoneType, "null", "$v"),
    # The garbage collector does not track integers, and so no tuple of integers, either.
    ValueKind(
        UUID, "uuid($v)", "uuid($v)", kept="$v.int", restored=lambda number: UUID(int=number)
    ),
    # Kept as its text, since the garbage collector tracks the number itself from Python 3.13 on.
    ValueKind(Decimal, "$v", "$v", kept="str($v)", kept_check="len($v) <= 64", restored=Decimal),
    ValueKind(
        datetime,
        "$v.isoformat()",
        "$v",
        # Another time zone's code may return anything.
        check="($v.tzinfo is None or type($v.tzinfo) is timezone)",
    ),
)
# The kind of a metric's value, which never needs quotes. In another place, the same value has
# another kind.
METRIC = ValueKind(MetricValue, "$v", "$v", check=IS_SHORT)
# A dict whose values are kept in its place.
OF_DICT = ValueKind(dict, "quote(text_of($v))", "escape(str($v))")
# How such a value is written there, if not as in a pair; a text in quotes that are written around.
IN_JSON = {
    str: "$v if $v.isalnum() or escape($v) is $v else in_json($v)",
    float: "$v if isfinite($v) else infinite($v)",
}
# How a text is written in these places if its escaped text is known.
OF_ESCAPED = {
    _QUOTED: "quote($v, escaped_$v)",
    _ESCAPED: "escaped_$v",
    IN_JSON[str]: "$v if escaped_$v is $v else in_json($v)",
}
# Values of all other types become text in the caller's thread, by code that may log. The text
# depends on whether they are the whole value of a pair, or an argument of `%r`.
ANYTHING_ELSE = ValueKind(object, _QUOTED, _ESCAPED, conversion="nested(text_of, $v)")
ANYTHING_IN_TEXT = ValueKind(object, _QUOTED, _ESCAPED, conversion="exact(nested(str, $v))")
REPRESENTED = ValueKind(object, _QUOTED, _ESCAPED, conversion="exact(nested(repr, $v))")
# A container of texts and numbers alone has no such code, and its `str` is its `repr`.
_CONTAINER = ANYTHING_ELSE._replace(
    conversion=f"json_text($v, {LONGEST}, call_within) or nested(text_of, within($v))"
)
_CONTAINER_IN_TEXT = ANYTHING_IN_TEXT._replace(
    conversion=f"flat_repr($v, {LONGEST}) or exact(nested(repr, within($v)))"
)

_BY_TYPE = {kind.type: kind for kind in VALUE_KINDS}
_CONTAINERS = (dict, list, tuple)


def kind_of(type_: type, keeps_checked: bool = True, *, is_whole: bool = True) -> ValueKind:
    """Return the row of a type. Unless `keeps_checked`, only texts have a check.

    Args:
        is_whole: Whether the value is the whole value of a pair, not a part of a text.
    """
    other = once_told(ANYTHING_ELSE if is_whole else ANYTHING_IN_TEXT, type_)
    kind = _BY_TYPE.get(type_, other)
    is_checked = kind.check or kind.kept_check
    return kind if keeps_checked or not is_checked or type_ is str else other


def kind_of_object(type_: type) -> ValueKind | None:
    """Return the row for messages of a type that is no text, or None if they may be mappings.

    A proxy says that it is what it stands for.
    """
    read: object = type_.__getattribute__
    is_read_by_c = type(read) is type(object.__getattribute__)
    has_own_class = any("__class__" in vars(one) for one in type_.__mro__[:-1])
    if not is_read_by_c or has_own_class or issubclass(type_, Mapping):
        return None
    return once_told(ANYTHING_IN_TEXT, type_)


def once_told(kind: ValueKind, type_: type) -> ValueKind:
    """Return the row for a type whose values tell how long their text is at least."""
    if type_ in _CONTAINERS:
        return _CONTAINER if kind is ANYTHING_ELSE else _CONTAINER_IN_TEXT
    if type_ is bytes or issubclass(type_, BaseException):
        return kind._replace(conversion=kind.conversion.replace("$v", "within($v)"))
    return kind


def expression(source: str, variable: str) -> str:
    """Return an expression of a row for the value in this variable."""
    # The limits are names, so that the code is the same for call sites that differ in them alone.
    source = source.replace("$longest_ascii", f"longest_ascii_{variable}")
    return source.replace("$longest", f"longest_{variable}").replace("$v", variable)
