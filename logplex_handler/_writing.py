"""Code that writes the entries of one shape as frames, in the sender's thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from operator import itemgetter

from logplex_handler import _keyvalue, _packet, _template
from logplex_handler._line import LineForm
from logplex_handler._queue import Entry
from logplex_handler._source import Source, variables

# A millisecond as `_packet.millisecond` gives it.
Millisecond = tuple[int, int, str]
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
NO_MILLISECOND: Millisecond = (0, 2**62, "")

# What a packet's microseconds end with: writing a number takes five times as long.
_DIGITS = [f"{digits:03d}" for digits in range(1000)]

# Built-ins that cannot change, so that it does not matter when they are written. A value of any
# other type is turned into text at once.
IMMUTABLE = frozenset({int, float, str, bool, type(None)})
# Those that never need quotes, and the conversions of them that do not either.
_NUMBERS = frozenset({int, float})
_NUMERIC = frozenset("diouxXeEfFgG")


@cache
def _lengths(longest: int) -> list[str]:
    """What a frame begins with, by the length of its packet. None is longer."""
    return [f"{length} " for length in range(longest + 1)]


class Writing(Source):
    """Writes the values `v0`, `v1` and so on into a packet."""

    def __init__(self, types: list[type]) -> None:
        super().__init__()
        self._types = types
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
        elif kind is type(None):
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
            if kind not in IMMUTABLE and conversion != "%s":
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
            filled = f"{self.name(template)} % ({variables(arguments)})"
            self.made_by(form.free_text, filled)
        return True

    def _pairs(self, pairs: tuple[_template.Value, ...]) -> None:
        used = 0
        for number, pair in enumerate(pairs):
            self.text(f"{' ' if number else ''}{pair.key}=")
            if pair.template == "%s":
                self.value(used)
            else:
                arguments = variables(pair.arguments, used)
                self.made_by(_keyvalue.quote, f"{self.name(pair.template)} % ({arguments})")
            used += pair.arguments

    def _quoted(self, form: LineForm, texts: list[str], conversions: list[str]) -> None:
        """Free text that needs quotes, whatever its arguments are."""
        self.text(f'{form.message_key}="{_keyvalue.escape(texts[0])}')
        for position, (conversion, text) in enumerate(zip(conversions, texts[1:], strict=True)):
            kind, v = self._types[position], f"v{position}"
            is_plain = conversion == "%s" or (conversion == "%d" and kind is int)
            if not is_plain:
                self.statements.append(f"{v} = {self.name(conversion)} % ({v},)")
            is_safe = kind in IMMUTABLE - {str} and (is_plain or conversion[-1] in _NUMERIC)
            if not is_safe:
                self.statements.append(f"if not {v}.isalnum(): {v} = {self._escape}({v})")
            self.expression(v)
            self.text(_keyvalue.escape(text))
        self.text('"')

    def compiled(self, priority: str, longest: int) -> Write:
        """The function that writes."""
        before: list[tuple[bool, str]] = [
            (True, priority), (False, "date"), (False, "digits[micros]"), (False, "fields")
        ]  # fmt: skip
        joined = ""
        for are_texts, parts in groupby([*before, *self._parts, (True, "\n")], itemgetter(0)):
            written = [part for _, part in parts]
            if are_texts:
                written = [self.name("".join(written))]
            joined += "".join([f"{{{expression}}}" for expression in written])
        micros = f"micros = {self.name(math.floor)}((created - second) * 1e6 + 0.5) - first"
        each = [
            f"_, created, {variables(len(self._types))} = entry",
            micros,
            "if not 0 <= micros < 1000:",
            f"    created = {self.name(_packet.in_calendar)}(created)",
            f"    second, first, date = {self.name(_packet.millisecond)}(created)",
            f"    {micros}",
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
            # Locals, which are read faster.
            f"lengths, digits = {self.name(_lengths(longest))}, {self.name(_DIGITS)}",
            "for entry in entries:",
            "    try:",
            *[f"        {statement}" for statement in each],
            "    except Exception:",
            "        append(with_care(entry))",
            "return second, first, date",
        ]
        return self.function("entries, append, with_care, fields, time")
