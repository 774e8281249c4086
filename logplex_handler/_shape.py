"""Code for the records of one logging call, so that little is left to do for each.

Most records come from calls that differ only in their arguments and in the values of their extras.
For such a shape of record two functions are compiled. One takes the values out of a record, in the
application's thread, if they are of the types expected and cannot change any more; the other writes
them into a packet, in the sender's thread. Their source is made of names alone: no text of the
application's gets into it but as a constant.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from logplex_handler import _keyvalue, _record, _template
from logplex_handler._line import LineForm
from logplex_handler._queue import Entry
from logplex_handler._weight import LEAST_ORDINARY, MOST_ORDINARY, longest_of_light
from logplex_handler.metrics import MetricValue

Attributes = dict[str, Any]

# A shape with more would not be light.
_MAX_VALUES = 32
_NONE = type(None)
# Built-ins that cannot change, so that it does not matter when they are written. A value of any
# other type is turned into text at once.
_IMMUTABLE = frozenset({int, float, str, bool, _NONE})
# What a line depends on beside values; and what must not be there, as what a traceback shows may
# change.
SHARED = ("name", "levelno", "levelname")
NOT_STAYING = ("exc_info", "exc_text", "stack_info")
# Those that never need quotes, and the conversions of them that do not either.
_NUMBERS = frozenset({int, float})
_NUMERIC = frozenset("diouxXeEfFgG")


@dataclass(frozen=True)
class Shape:
    """The functions for records of one shape.

    Attributes:
        entry: Makes a light entry of a record's attributes: the shape's number, the time, the
            values. None if the record is not of this shape, or not light.
        packet: Makes a packet of a date, the six digits of its microseconds, and an entry.
        line: Makes the line alone of an entry, step by step, whatever its values are.
        level: The record's level.
    """

    entry: Callable[[Attributes], Entry | None]
    packet: Callable[[str, str, Entry], str]
    line: Callable[[Entry], str]
    level: int


def shape(
    number: int, record: logging.LogRecord, form: LineForm, head: tuple[str, str]
) -> Shape | None:
    """The shape of a record; None if such records are to be formatted one by one.

    Args:
        number: What its entries know it by.
        record: One that is typical.
        form: The form of its line.
        head: What a packet has before its date, and between its microseconds and its line.
    """
    template: Any = record.msg
    arguments: Any = record.args or ()
    asked = [pair.ask() for pair in form.live]
    extras = _record.extras(record, form.omitted)
    values = [*(arguments or (template,)), *asked, *[value for _, value in extras]]
    names = [name for name, _ in extras]
    types = [type(value) for value in values]
    texts = [template, record.name, record.levelname, *names]
    if set(map(type, texts)) != {str} or len(types) > _MAX_VALUES or MetricValue in types:
        return None
    # Where the values of extras begin, and before these those that were asked for.
    at = len(types) - len(names)
    live_at = at - len(form.live)
    has_arguments = bool(arguments)
    # What follows lasts, and must not keep this record's values.
    del arguments, asked, extras, values, texts
    start = form.start(record.levelname, record.name)
    writing = _Writing(types)
    writing.text(f"{head[1]}{start} ")
    for position, pair in enumerate(form.live, live_at):
        if types[position] is not _NONE:
            writing.text(f"{pair.key}=")
            writing.value(position)
            writing.text(" ")
    if has_arguments:
        if not writing.filled(template, form, live_at):
            return None
    else:
        writing.made_by(lambda text: form.message(text, ()), "v0")
    for position, name in enumerate(names, at):
        writing.text(f" {_keyvalue.key(name)}=")
        writing.value(position)

    def line(entry: Entry) -> str:
        values = entry[2:]
        if has_arguments:
            message = form.message(template, values[:live_at])
        else:
            message = form.message(values[0], ())
        live = zip(form.live, values[live_at:at], strict=True)
        before = [_keyvalue.pair(pair.key, value) for pair, value in live if value is not None]
        pairs = [_keyvalue.pair(*pair) for pair in zip(names, values[at:], strict=True)]
        return " ".join([start, *before, message, *pairs])

    entry = _taking(number, record, form, names, types)
    return Shape(entry, writing.compiled(head[0]), line, record.levelno)


class _Source:
    """Statements of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._objects: dict[str, object] = {}

    def name(self, thing: object) -> str:
        """A name for an object."""
        name = f"c{len(self._objects)}"
        self._objects[name] = thing
        return name

    def function(self, parameters: str) -> Callable[..., Any]:
        """The function that has these parameters."""
        body = "".join([f"    {statement}\n" for statement in self.statements])
        exec(f"def function({parameters}):\n{body}", self._objects)
        function: Any = self._objects["function"]
        return function  # type: ignore[no-any-return]


class _Writing(_Source):
    """Writes the values `v0`, `v1` and so on into a packet."""

    def __init__(self, types: list[type]) -> None:
        super().__init__()
        self._types = types
        self.statements.append(f"_, _, {_variables(len(types))} = entry")
        # What is joined in the end: constant texts (true), and expressions.
        self._parts: list[tuple[bool, str]] = []
        self._quote = self.name(_keyvalue.quote)
        self._escape = self.name(_keyvalue.escape)

    def text(self, text: str) -> None:
        """A constant."""
        self._parts.append((True, text))

    def expression(self, source: str) -> None:
        """What is a text, or becomes one as it is."""
        self._parts.append((False, source))

    def made_by(self, function: Callable[..., str], value: str) -> None:
        """What a function makes of a value."""
        self.expression(f"{self.name(function)}({value})")

    def value(self, position: int) -> None:
        """A value that is all of a pair's."""
        kind, v = self._types[position], f"v{position}"
        if kind is bool:
            self.expression(f"('true' if {v} else 'false')")
        elif kind is _NONE:
            self.text("null")
        else:
            if kind not in _NUMBERS:
                self.statements.append(f"if not {v}.isalnum(): {v} = {self._quote}({v})")
            self.expression(v)

    def filled(self, template: str, form: LineForm, arguments: int) -> bool:
        """A template with its arguments; False if it cannot be written like this."""
        parts = _template.parts(template)
        if parts is None or len(parts[1]) != arguments:
            return False
        texts, conversions = parts
        for kind, conversion in zip(self._types, conversions, strict=False):
            if kind not in _IMMUTABLE and conversion != "%s":
                return False
        pairs = _template.plan(template)
        if pairs is not None:
            # An escape in a value may be another conversion.
            if sum([pair.arguments for pair in pairs]) != arguments:
                return False
            self._pairs(pairs)
        elif any(character in text for text in texts for character in " ="):
            self._quoted(form, texts, conversions)
        else:
            filled = f"{self.name(template)} % ({_variables(arguments)})"
            self.made_by(form.free_text, filled)
        return True

    def _pairs(self, pairs: tuple[_template.Value, ...]) -> None:
        used = 0
        for number, pair in enumerate(pairs):
            self.text(f"{' ' if number else ''}{pair.key}=")
            if pair.template == "%s":
                self.value(used)
            else:
                variables = _variables(pair.arguments, used)
                self.made_by(_keyvalue.quote, f"{self.name(pair.template)} % ({variables})")
            used += pair.arguments

    def _quoted(self, form: LineForm, texts: list[str], conversions: list[str]) -> None:
        """Free text that needs quotes, whatever its arguments are."""
        self.text(f'{form.message_key}="{_keyvalue.escape(texts[0])}')
        for position, (conversion, text) in enumerate(zip(conversions, texts[1:], strict=True)):
            kind, v = self._types[position], f"v{position}"
            is_plain = conversion == "%s" or (conversion == "%d" and kind is int)
            if not is_plain:
                self.statements.append(f"{v} = {self.name(conversion)} % ({v},)")
            is_safe = kind in _IMMUTABLE - {str} and (is_plain or conversion[-1] in _NUMERIC)
            if not is_safe:
                self.statements.append(f"if not {v}.isalnum(): {v} = {self._escape}({v})")
            self.expression(v)
            self.text(_keyvalue.escape(text))
        self.text('"')

    def compiled(self, before_date: str) -> Callable[[str, str, Entry], str]:
        """The function that writes."""
        before: list[tuple[bool, str]] = [
            (True, before_date), (False, "date"), (True, "."), (False, "micros")
        ]  # fmt: skip
        joined = ""
        for are_texts, parts in groupby([*before, *self._parts, (True, "\n")], itemgetter(0)):
            written = [part for _, part in parts]
            if are_texts:
                written = [self.name("".join(written))]
            joined += "".join([f"{{{expression}}}" for expression in written])
        self.statements.append(f'return f"{joined}"')
        return self.function("date, micros, entry")


def _taking(
    number: int,
    record: logging.LogRecord,
    form: LineForm,
    extras: list[str],
    types: list[type],
) -> Callable[[Attributes], Entry | None]:
    """The function that makes an entry of a record's attributes."""
    source = _Source()
    attributes = [*record.__dict__]
    first_extra = len(types) - len(extras)
    count = first_extra - len(form.live)
    source.statements.append(f"{_variables(count)} = d['args']" if record.args else "v0 = d['msg']")
    for position, pair in enumerate(form.live, count):
        source.statements.append(f"v{position} = {source.name(pair.ask)}()")
    checks = [f"len(d) == {len(attributes)}"]
    for name in SHARED:
        checks.append(f"d[{name!r}] == {source.name(record.__dict__[name])}")
    checks += [f"d[{name!r}] is None" for name in NOT_STAYING]
    names = [source.name(name) for name in extras]
    for position, name in enumerate(names, first_extra):
        source.statements.append(f"v{position} = d[{name}]")
    # Nobody takes away what every record has; so with their number right, and may be missing there,
    # the extras are these and no others.
    checks += [f"{name!r} in d" for name in attributes if name in _record.MAY_BE_MISSING]
    omitted = [name for name in attributes if name in form.omitted - _record.NOT_EXTRAS]
    checks += [f"{source.name(name)} in d" for name in omitted]
    # Their order is that of the line.
    if len(extras) == 2 and attributes[-1] == extras[-1]:
        checks.append(f"next(d.__reversed__()) == {names[-1]}")
    elif len(extras) > 1:
        checks.append(f"[*d] == {source.name(attributes)}")
    late = []
    longest, longest_ascii = longest_of_light(len(types))
    for position, kind in enumerate(types):
        v = f"v{position}"
        checks.append(f"type({v}) is {source.name(kind)}")
        if kind is int:
            checks.append(f"{LEAST_ORDINARY} < {v} < {MOST_ORDINARY}")
        elif kind is str:
            checks.append(
                f"(len({v}) <= {longest} or len({v}) <= {longest_ascii} and {v}.isascii())"
            )
        elif kind not in _IMMUTABLE:
            written = _keyvalue.text_of if position >= count else _argument
            late.append(f"{v} = {source.name(written)}({v})")
            late.append(f"if len({v}) > {longest}: return None")
    source.statements.append(f"if not ({' and '.join(checks)}): return None")
    source.statements += late
    source.statements.append(f"return ({number}, d['created'], {_variables(len(types))})")
    return source.function("d")


def _argument(value: object) -> str:
    return _keyvalue.exact(str(value))


def _variables(number: int, first: int = 0) -> str:
    return "".join([f"v{position}, " for position in range(first, first + number)])
