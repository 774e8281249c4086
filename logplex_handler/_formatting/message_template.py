"""Messages that are key=value by themselves: their pairs, and the pair of each argument.

`"status=delivered order=%s"` stays two pairs, and its argument becomes the value of `order`, or
part of it, whatever its text is. All other messages are free text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from logplex_handler._formatting import grammar
from logplex_handler._formatting.value_text import text_of

# Keys are names only, so that prose, URLs and code with an `=` in it stay free text.
_KEY = r"[^\W\d][\w.#-]{0,99}"
# The start of a pair: up to a quoted value, or with a bare one.
_START = re.compile(rf'(?P<key>{_KEY})=(?:"|(?P<bare>[^ ]*))')
# A pair that stays as it is. A bare value needs no quotes; a quoted one needs them, and no escapes.
_BARE = r"""[^\x00-\x20"'=\\\x7f-\x9f][^\x00-\x20"=\\\x7f-\x9f]*"""
_QUOTED = r"""\"(?:[^\x00-\x20"=\\\x7f-\x9f]*[ =][^\x00-\x1f"\\\x7f-\x9f]*)?\""""
_KEPT_PAIR = re.compile(rf"{_KEY}=(?:{_BARE}|{_QUOTED})(?: |\Z)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# A width does not begin with zero, which is a flag: two ways to read many zeros would take
# quadratic time.
_CONVERSION = re.compile(
    r"%(?:%|(?:\((?P<name>[^()]*)\))?[#0\-+]*(?P<width>\*|[1-9]\d*)?(?:\.(?P<precision>\*|\d*))?"
    r"[hlL]?[diouxXeEfFgGcrsa])"
)
_WHOLE = re.compile(r"%\(([^()]*)\)s")

# The most pairs of a message. A program writes few; a text of a user's with a million would take
# their time and memory, 500 bytes for each, in place of those of one value.
MOST_PAIRS = 1000

# The most templates in the cache, and the longest, in characters. Templates are literals of a
# program, so they are few and short. A longer text was made at run time, and is not worth caching.
_CACHED_TEMPLATES = 1024
_MAX_CACHED_LENGTH = 1000


class Value(NamedTuple):
    """A pair of a message, whose value is a %-template."""

    key: str
    template: str
    # The number of arguments that the template takes by position.
    arguments: int
    # The name of the argument if the template is nothing but one `%(name)s`.
    whole: str | None


# The most digits of an integer that Python writes by default.
_MOST_DIGITS = 4300


class _Huge:
    """A number such as 1e999999, of which Python would compute the digits for half a minute."""

    __slots__ = ("_number",)

    def __init__(self, number: Decimal) -> None:
        self._number = number

    def __str__(self) -> str:
        return str(self._number)

    def __repr__(self) -> str:
        return repr(self._number)

    def __format__(self, form: str) -> str:
        return format(self._number, form)

    def __float__(self) -> float:
        return float(self._number)

    def __int__(self) -> int:
        raise ValueError(f"the number has more than {_MOST_DIGITS} digits")


def without_huge(template: object, arguments: object) -> object:
    """Return the arguments of a template, with numbers in place that are never converted to int.

    The text of a template that is no string is asked for only if that may change something.
    """
    if type(arguments) is tuple:
        for value in arguments:
            if issubclass(type(value), Decimal):
                return tuple(map(_without_huge, arguments))
    elif isinstance(arguments, Mapping):
        if type(arguments) is dict and not any(map(_is_decimal, arguments.values())):
            return arguments
        values = {name: arguments[name] for name, _ in named(str(template))}
        if any(map(_is_decimal, values.values())):
            return {name: _without_huge(value) for name, value in values.items()}
    return _without_huge(arguments)


def _is_decimal(value: object) -> bool:
    return issubclass(type(value), Decimal)


def _without_huge(value: Any) -> object:
    is_converted = _is_decimal(value) and type(value).__int__ is Decimal.__int__
    return _Huge(value) if is_converted and Decimal.adjusted(value) >= _MOST_DIGITS else value


def named(template: str) -> list[tuple[str, bool]]:
    """Return the name of each conversion that has one, and whether a precision may cut its text."""
    found = [(match["name"], match["precision"]) for match in _CONVERSION.finditer(template)]
    return [(name, precision is not None) for name, precision in found if name is not None]


def written_pairs(message: str, own: frozenset[str]) -> str | None:
    """Return the safe pairs of a message without arguments, or None if it is free text.

    `own` are the line's own keys.
    """
    if _stays(message) and not [key for key in own if f"{key}=" in message]:
        return message
    pairs = _split(message)
    if pairs is None:
        return None
    return " ".join([f"{_beside(own, key)}={grammar.quote(value)}" for key, value in pairs])


def _stays(message: str) -> bool:
    """Return whether a message is pairs that stay as they are, in less time than `_split` takes."""
    end = pairs = 0
    while match := _KEPT_PAIR.match(message, end):
        end = match.end()
        pairs += 1
    return 1 < pairs <= MOST_PAIRS and end == len(message) and message[-1] != " "


def filled_pairs(template: str, arguments: object, own: frozenset[str]) -> str | None:
    """Return the safe pairs of a %-template and its arguments, or None if it is free text.

    The result is None, too, if the number of arguments is not that of the conversions: formatting
    the template as free text then raises the error that says so.
    """
    values = plan(template, own)
    if values is None:
        return None
    if isinstance(arguments, Mapping):
        if sum(value.arguments for value in values) > 1:
            return None
        return " ".join([_pair(value, arguments) for value in values])
    if not isinstance(arguments, tuple):
        return None
    pairs, used = [], 0
    for value in values:
        end = used + value.arguments
        if end > len(arguments):
            return None
        pairs.append(_pair(value, arguments[used:end]))
        used = end
    return " ".join(pairs) if used == len(arguments) else None


def plan(template: str, own: frozenset[str]) -> tuple[Value, ...] | None:
    """Return the pairs of a %-template, or None if it is free text.

    `own` are the line's own keys.
    """
    make = _plan if len(template) <= _MAX_CACHED_LENGTH else _compile
    return make(template, own)


def parts(template: str) -> tuple[list[str], list[str]] | None:
    """Return the texts of a %-template, and the conversions between them, of one argument each.

    The result is None if a conversion takes its argument by name, or its width or precision from an
    argument.
    """
    texts, conversions, end = [""], [], 0
    for match in _CONVERSION.finditer(template):
        between, end = template[end : match.start()], match.end()
        texts[-1] += between
        if "%" in between or match["name"] is not None or "*" in match[0]:
            return None
        if match[0] == "%%":
            texts[-1] += "%"
        else:
            conversions.append(match[0])
            texts.append("")
    texts[-1] += template[end:]
    return None if "%" in template[end:] else (texts, conversions)


def by_position(template: str) -> tuple[str, list[str]] | None:
    """Return the template with arguments by position, and the arguments' names.

    The result is None unless each conversion has a name, if an escape may make another conversion,
    or if a name has what ends a pair: without that name, free text might become pairs.
    """
    names: list[str] = []

    def without_name(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%%"
        names.append(match["name"])
        return match[0].replace(f"({match['name']})", "", 1)

    text = _CONVERSION.sub(without_name, template)
    if not names or "\\" in text or any(grammar.key(name) != name for name in names):
        return None
    return text, names


def is_surely_a_message(template: str) -> bool:
    """Return whether the filled template can be neither empty nor metrics."""
    return template[:1] not in ("", "%", "=", '"') and "=" not in template and "#" not in template


def _pair(value: Value, arguments: tuple[object, ...] | Mapping[object, object]) -> str:
    if isinstance(arguments, Mapping):
        if value.whole is not None:
            return f"{value.key}={grammar.quote(text_of(arguments[value.whole]))}"
        if value.template == "%s":
            return f"{value.key}={grammar.quote(text_of(arguments))}"
    elif value.template == "%s":
        return f"{value.key}={grammar.quote(text_of(arguments[0]))}"
    return f"{value.key}={grammar.quote(value.template % arguments)}"


def _beside(own: frozenset[str], key: str) -> str:
    return f"{key}_" if key in own else key


def _compile(template: str, own: frozenset[str]) -> tuple[Value, ...] | None:
    pairs = _split(template)
    if pairs is None:
        return None
    values = []
    for key, value in pairs:
        arguments = 0
        for match in _CONVERSION.finditer(value):
            by_position = match[0] != "%%" and match["name"] is None
            arguments += by_position + (match["width"] == "*") + (match["precision"] == "*")
        if "%" in _CONVERSION.sub("", value):
            return None
        whole = _WHOLE.fullmatch(value)
        values.append(Value(_beside(own, key), value, arguments, whole[1] if whole else None))
    return tuple(values)


_plan = lru_cache(_CACHED_TEMPLATES)(_compile)


def _split(text: str) -> list[tuple[str, str]] | None:
    """Return the keys and the unquoted values of a text, or None if it is not pairs alone."""
    text = text.strip(" ")
    if "=" not in text or _CONTROL.search(text):
        return None
    pairs: list[tuple[str, str]] = []
    position = 0
    # Its quotes are those that are not escaped.
    quotes = text.replace("\\\\", "__").replace('\\"', "__")
    while position < len(text):
        match = _START.match(text, position)
        if match is None:
            return None
        start, end = match.end(), match.end()
        value: str | None = match["bare"]
        if value is None:
            # A pattern for all of a quoted value takes 165 bytes of memory for each character.
            end = quotes.find('"', start) + 1
            value = grammar.unescape(text[start : end - 1]) if end else None
        position = end
        while text[position : position + 1] == " ":
            position += 1
        if value is None or (position == end and end < len(text)) or len(pairs) == MOST_PAIRS:
            return None
        pairs.append((match["key"], value))
    # Base64 ends with `=`, and a comparison has `==`: neither is a pair.
    if len(pairs) == 1 and (not pairs[0][1] or pairs[0][1].startswith("=")):
        return None
    return pairs
