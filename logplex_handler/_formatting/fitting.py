"""Whether a record's line may fit into memory, told by its texts before they are formatted.

No code of a value's class is called here: types are compared, and `isinstance` might ask the value.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, TypeGuard

from logplex_handler._formatting import grammar, message_template
from logplex_handler._formatting.exception_texts import (
    WRITE_ARGUMENTS,
    arguments_of,
    texts_of_traceback,
)
from logplex_handler._formatting.record_parts import exception_of, extras
from logplex_handler._formatting.value_text import exact
from logplex_handler._wire.entry import ORDINARY_BITS, WIDEST

# The precision of a conversion, which may cut its argument.
_PRECISION = re.compile(r"%[^a-zA-Z%.]*\.([\d*]*)[hlL]?[sra]")
# A template without any has no field whose width matters. An escape may be a digit, and a name may
# have parentheses.
_WIDE_FIELD = re.compile(r"\d{3}|\*")
_WIDE_CONVERSION = re.compile(r"%(?:\([^()]*\(|(?:\([^()]*\))?[#0\- +]*(?:\d*\.)?(?:\*|\d{3}))")
# A conversion after its `%` and its name, as Python reads it.
_FIELD = re.compile(r"[#0\- +]*(\*|[1-9]\d*)?(?:\.(\*|\d*))?[hlL]?([diouxXeEfFgGcrsa%])", re.ASCII)
_PARENTHESIS = re.compile("[()]")
# A number of so many digits is an error as a width.
_DIGITS_OF_ERROR = 20
# The most bytes of memory that a character takes in a line: the longest escape has six characters.
_MOST_BYTES = 6 * WIDEST
# A character that is not ASCII once it is escaped.
_WIDE = re.compile("[^\x00-\x9f]")

# The most characters of a template, of the keys of a mapping as message, and of a record's names
# that are a program's own. A record with more was made at run time, and none like it will come
# again.
_MAX_TEXT = 1000
# The most keys, likewise.
_MAX_KEYS = 32
# The names of the attributes of a record without extras, and all their characters.
_ALWAYS = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
_CHARACTERS_OF_ALWAYS = sum(map(len, _ALWAYS))
_ONLY_TEXTS = frozenset({str})


def fits(record: logging.LogRecord, omitted: frozenset[str], max_bytes: float) -> bool:
    """Return whether the record's line may fit into memory, judged by its texts."""
    message, arguments = record.msg, record.args
    values: list[object] = []
    template, inner = "", 0
    if type(message) is str or _is_plain(message):
        template = exact(message)
        if arguments:
            if padding(template, arguments) > max_bytes:
                return False
            if type(arguments) is tuple:
                values += _at_least(template, arguments)
            elif type(arguments) is dict:
                values += _named(template, arguments)
    elif type(message) is dict:
        # Also the characters that are not written in a key.
        inner = sum([len(key) for key in [*message] if type(key) is str])
        values += message.values()
    elif not arguments:
        values.append(message)
    if len(record.__dict__) > len(_ALWAYS):
        for name, value in extras(record, omitted):
            inner += len(name) if type(name) is str else 0
            values.append(value)
    if record.exc_info:
        exception = exception_of(record)
        if exception is None:
            values.append(record.exc_text)
        else:
            written, around = texts_of_traceback(exception[1], max_bytes)
            values += written
            inner += around
    texts = []
    for value in values:
        kind = type(value)
        # Not a lookup in a set: a class may have a metaclass without a hash.
        if type(value) is str:
            texts.append(value)
        elif kind is int or kind is float or kind is bool or value is None:
            # Its text is short, or proportional to its memory.
            continue
        elif _is_plain(value):
            texts.append(exact(value))
        else:
            inner += characters_within(value)
            if inner > max_bytes:
                return False
    characters = len(template) + sum(map(len, texts)) + inner
    if characters * _MOST_BYTES <= max_bytes or characters > max_bytes:
        return characters <= max_bytes
    # The quotes and backslashes of a message that is key=value are not escaped.
    texts.append(template.replace('"', "").replace("\\", ""))
    size = sum(map(grammar.escaped_length, texts)) + inner
    return size * (WIDEST if any(map(_WIDE.search, texts)) else 1) <= max_bytes


def is_made_at_run_time(record: logging.LogRecord) -> bool:
    """Return whether what a call site would keep of the record is too long to be a program's."""
    message = record.msg
    keys = [*message] if type(message) is dict else [message] if record.args else []
    names = [record.name, record.levelname, *(record.__dict__.keys() - _ALWAYS)]
    return (
        type(record.levelno) is not int
        or record.levelno.bit_length() > ORDINARY_BITS
        or len(keys) > _MAX_KEYS
        or {*map(type, keys), *map(type, names)} != _ONLY_TEXTS
        or sum(map(len, keys)) > _MAX_TEXT
        or sum(map(len, names)) + _CHARACTERS_OF_ALWAYS > _MAX_TEXT
        or (type(message) is str and padding(message, record.args) > _MAX_TEXT)
    )


def padding(template: str, arguments: object) -> int:
    """Return the sum of the widths that formatting pads to, up to the first error.

    Widths of less than three digits do not count if there are no others.
    """
    is_escaped = "\\" in template
    if not (_WIDE_FIELD if is_escaped else _WIDE_CONVERSION).search(template):
        return 0
    values = message_template.plan(template, frozenset()) if is_escaped else None
    if values:
        # The values of a message that is key=value, without their escapes.
        template = " ".join([value.template for value in values])
    left = iter(arguments if type(arguments) is tuple else ())
    total = at = 0
    while at := template.find("%", at) + 1:
        at = _end_of_name(template, at)
        field = _FIELD.match(template, at)
        if field is None:
            break
        at = field.end()
        width, precision, kind = field.groups()
        padded, digits = abs(_number(width, left)), max(0, _number(precision, left))
        if kind != "%":
            # The precision of these cuts.
            total += padded if kind in "srac" else padded + digits
            next(left, None)
    return total


def _end_of_name(template: str, start: int) -> int:
    """Return the index after a name in parentheses, which may hold others, if there is one."""
    if not template.startswith("(", start):
        return start
    depth = 0
    for parenthesis in _PARENTHESIS.finditer(template, start):
        depth += 1 if parenthesis[0] == "(" else -1
        if not depth:
            return parenthesis.end()
    return len(template)


def _number(text: str | None, arguments: Iterator[object]) -> int:
    """Return a width or precision, which may be an argument; 0 if Python takes it for an error."""
    if text == "*":
        given = next(arguments, None)
        return int.__int__(given) if issubclass(type(given), int) else 0  # type: ignore[arg-type]
    return int(text) if text and len(text) < _DIGITS_OF_ERROR else 0


def _at_least(template: str, arguments: tuple[object, ...]) -> list[object]:
    """Return the arguments, cut to the lowest precision that the template has, if any."""
    precisions = _PRECISION.findall(template) if "." in template else ()
    if not precisions:
        return [*arguments]
    # A precision `*` is itself an argument.
    least = min([int(one) if one.isdecimal() and len(one) < 10 else 0 for one in precisions])
    return [one[:least] for one in arguments if type(one) is str]


def _named(template: str, arguments: dict[object, object]) -> list[object]:
    """Return the arguments that the template names, as often as it does without cutting them."""
    found = message_template.named(template)
    if not found:
        # One `%s` takes all arguments.
        parts = message_template.parts(template)
        return [arguments] if parts and parts[1] == ["%s"] else []
    return [arguments[name] for name, is_cut in found if not is_cut and name in arguments]


def _is_plain(value: object) -> TypeGuard[str]:
    """Return whether a value is a string, maybe of a subclass, whose text is its characters."""
    kind = type(value)
    return kind is str or (
        issubclass(kind, str) and kind.__str__ is str.__str__ and kind.__repr__ is str.__repr__
    )


# Any, because its type is compared, not checked.
def characters_within(value: Any) -> int:
    """Return the least number of characters of a value, or of those directly in a container."""
    kind = type(value)
    if kind is dict:
        return sum(map(_characters, [*value, *value.values()]))
    if kind is list or kind is tuple:
        return sum(map(_characters, [*value]))
    return _characters(value)


def _characters(value: Any) -> int:
    """Return the least number of characters of a text, bytes, or an exception's arguments."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind is int or kind is float:
        return 0
    if _is_plain(value):
        return str.__len__(value)
    if not issubclass(kind, BaseException) or kind.__repr__ is not BaseException.__repr__:
        return 0
    inner = arguments_of(value) if kind.__str__ in WRITE_ARGUMENTS else ()
    return sum([len(one) for one in inner if type(one) is str or type(one) is bytes])
