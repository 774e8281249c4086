"""Code that writes the entries of one shape as frames, in the sender's thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from operator import itemgetter

from logplex_handler._formatting import grammar, message_template
from logplex_handler._formatting.codegen import Source, variables
from logplex_handler._formatting.line import LineForm
from logplex_handler._wire import packet
from logplex_handler._wire.entry import Entry

# A millisecond as `packet.millisecond` gives it.
Millisecond = tuple[float, float, str]
# Adds the frame of each entry, all of them of one shape, by calling the second argument with it; or
# what the third one returns, for an entry that does not make one frame of ASCII. Then what stands
# behind the time in the packets' headers. Given and returned is the millisecond that the last entry
# was in.
Write = Callable[
    [
        Iterable[Entry],
        Callable[[bytes | list[bytes]], None],
        Callable[[Entry], list[bytes]],
        str,
        Millisecond,
    ],
    Millisecond,
]
# One that no time is in.
NO_MILLISECOND: Millisecond = (0.0, 2.0**62, "")

# What a packet's microseconds end with: writing a number takes five times as long.
_DIGITS = [f"{digits:03d}" for digits in range(1000)]
# Likewise the numbers that are most often logged: statuses, counts, milliseconds.
_SMALL = [str(number) for number in range(1000)]
# What a frame begins with, by the bytes of its packet. What waits of a record that has a shape
# hardly makes a longer one.
_LENGTHS = [f"{length} " for length in range(4097)]

# Built-ins that cannot change, so that it does not matter when they are written. A value of any
# other type is turned into text at once.
IMMUTABLE = frozenset({int, float, str, bool, type(None)})
# Conversions of numbers that never need quotes.
_NUMERIC = frozenset("diouxXeEfFgG")


class Writing(Source):
    """Writes the values `v0`, `v1` and so on into a packet.

    Args:
        types: The types of the values.
        same: Values that are likely to be the same number as one before them, and which one that
            is.
    """

    def __init__(self, types: list[type], same: Mapping[int, int]) -> None:
        super().__init__()
        self._types = types
        self._same = same
        # Those whose digits are written by a statement.
        self._written: set[int] = set()
        # What is joined in the end: constant texts (true), and expressions.
        self._parts: list[tuple[bool, str]] = []
        self._quote = self.name(grammar.quote)
        self._escape = self.name(grammar.escape)

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
        elif kind is type(None):
            self.text("null")
        elif kind is int:
            self._integer(position)
        else:
            if kind is not float:
                self.statements.append(f"if not {v}.isalnum(): {v} = {self._quote}({v})")
            self.expression(v)

    def _integer(self, position: int) -> None:
        """The digits of an integer. They are not made again where they can be had."""
        v, same = f"v{position}", self._same.get(position)
        others = v
        if position in self._same.values():
            # For the one that is likely to be the same.
            self.statements.append(f"n{position} = {v}")
            others = f'f"{{{v}}}"'
        digits = f"small[{v}] if 0 <= {v} < {len(_SMALL)} else {others}"
        if same in self._written:
            digits = f"v{same} if {v} is n{same} else {digits}"
        self.statements.append(f"{v} = {digits}")
        self._written.add(position)
        self.expression(v)

    def filled(self, template: str, form: LineForm, arguments: int) -> bool:
        """A template with its arguments; False if it cannot be written like this."""
        parts = message_template.parts(template)
        if parts is None or len(parts[1]) != arguments:
            return False
        texts, conversions = parts
        for kind, conversion in zip(self._types, conversions, strict=False):
            if kind not in IMMUTABLE and conversion != "%s":
                return False
        pairs = message_template.plan(template)
        if pairs is not None:
            # An escape in a value may be another conversion.
            if sum([pair.arguments for pair in pairs]) != arguments:
                return False
            self._pairs(pairs)
        elif any(character in text for text in texts for character in " ="):
            self._quoted(form, texts, conversions)
        else:
            filled = f"{self.name(template)} % ({variables(arguments)})"
            self.made_by(form.free_text, filled)
        return True

    def _pairs(self, pairs: tuple[message_template.Value, ...]) -> None:
        used = 0
        for number, pair in enumerate(pairs):
            self.text(f"{' ' if number else ''}{pair.key}=")
            if pair.template == "%s":
                self.value(used)
            else:
                arguments = variables(pair.arguments, used)
                self.made_by(grammar.quote, f"{self.name(pair.template)} % ({arguments})")
            used += pair.arguments

    def _quoted(self, form: LineForm, texts: list[str], conversions: list[str]) -> None:
        """Free text that needs quotes, whatever its arguments are."""
        self.text(f'{form.message_key}="{grammar.escape(texts[0])}')
        for position, (conversion, text) in enumerate(zip(conversions, texts[1:], strict=True)):
            kind, v = self._types[position], f"v{position}"
            is_plain = conversion == "%s" or (conversion == "%d" and kind is int)
            if not is_plain:
                self.statements.append(f"{v} = {self.name(conversion)} % ({v},)")
            is_safe = kind in IMMUTABLE - {str} and (is_plain or conversion[-1] in _NUMERIC)
            if not is_safe:
                self.statements.append(f"if not {v}.isalnum(): {v} = {self._escape}({v})")
            if kind is int and is_plain:
                self._integer(position)
            else:
                self.expression(v)
            self.text(grammar.escape(text))
        self.text('"')

    def compiled(self, priority: str, longest: int) -> Write:
        """The function that writes."""
        joined = "{head}{digits[micros]}{tail}"
        groups = groupby([*self._parts, (True, "\n")], itemgetter(0))
        pieces = [(is_text, [part for _, part in parts]) for is_text, parts in groups]
        # What follows the fields is the same for all.
        begin = "".join(pieces.pop(0)[1]) if pieces[0][0] else ""
        for is_text, parts in pieces:
            names = [self.name("".join(parts))] if is_text else parts
            joined += "".join([f"{{{name}}}" for name in names])
        head = f'head = f"{{{self.name(priority)}}}{{date}}"'
        # With floats alone, as mixed numbers take twice as long.
        micros = f"micros = {self.name(math.floor)}((created - second) * 1e6 + 0.5 - first)"
        each = [
            f"_, created, {variables(len(self._types))} = entry",
            micros,
            "if not 0 <= micros < 1000:",
            f"    created = {self.name(packet.in_calendar)}(created)",
            f"    second, first, date = {self.name(packet.millisecond)}(created)",
            f"    {micros}",
            f"    {head}",
            *self.statements,
            f'packet = f"{joined}"',
            # In ASCII a character is a byte. What is too long has no length there.
            "if packet.isascii():",
            '    append(f"{lengths[len(packet)]}{packet}".encode())',
            "else:",
            "    append(with_care(entry))",
        ]
        self.statements = [
            "second, first, date = time",
            head,
            f'tail = f"{{fields}}{{{self.name(begin)}}}"',
            # Locals, which are read faster.
            f"lengths, digits = {self.name(_LENGTHS[: longest + 1])}, {self.name(_DIGITS)}",
            f"small = {self.name(_SMALL)}",
            "for entry in entries:",
            "    try:",
            *[f"        {statement}" for statement in each],
            "    except Exception:",
            "        append(with_care(entry))",
            "return second, first, date",
        ]
        return self.function("entries, append, with_care, fields, time")
