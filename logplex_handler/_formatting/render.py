"""The function that renders entries of one call site to frames, in a worker.

A frame is rendered in one expression if it fits in one packet and is ASCII. All other entries, and
those that make the expression fail, are handed to a function that works step by step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from logplex_handler._formatting import grammar, message_template, value_kinds
from logplex_handler._formatting.codegen import Source, fill
from logplex_handler._formatting.layout import Layout, Value, tuple_of
from logplex_handler._wire import packet
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.packet import PacketForm
from logplex_handler.metrics.metric_pairs import MAX_LINE_BYTES

# A millisecond as `packet.millisecond` returns it.
Millisecond = tuple[float, float, str]
# A millisecond that contains no time.
NO_MILLISECOND: Millisecond = (0.0, 2.0**62, "")

# `render(entries, append, render_slowly, fields, time)` calls `append` with the frame of each
# entry, or `render_slowly` with the entry. `fields` follows the time in the header of the packet.
# `time` is the millisecond of the previous entry; that of the last one is returned.
Render = Callable[
    [Iterable[Entry], Callable[[bytes], None], Callable[[Entry], None], str, Millisecond],
    Millisecond,
]

# The tables are parameters because locals are read faster. The time is computed with floats alone,
# because mixing floats and integers takes twice as long.
_TEMPLATE = """\
def render(
    entries, append, render_slowly, fields, time,
    lengths=lengths, lengths_in_bytes=lengths_in_bytes, small=small, three_digits=three_digits,
):
    second, first_microsecond, date = time
    head = f"{priority}{date}"
    tail = f"{fields}{start}"
    $limit
    for entry in entries:
        try:
            _, created, $values = entry
            $first_check
            microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
            if not 0 <= microsecond < 1000:
                created = in_calendar(created)
                second, first_microsecond, date = millisecond(created)
                microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
                head = f"{priority}{date}"
            packet = (
                f"{head}{three_digits[microsecond]}{tail}"
                $pieces
            )
            if packet.isascii():
                $check
                append($frame)
            else:
                packet = packet.encode()
                $check
                append($frame_in_bytes)
        except Exception:
            render_slowly(entry)
    return second, first_microsecond, date
"""

# The last digits of a packet's time. Looking them up saves 2,000 instructions a packet.
_THREE_DIGITS = [f"{digits:03d}" for digits in range(1000)]
# The longest packet, in bytes, whose length is in the tables. Few light entries make a longer one.
_LONGEST_PACKET = 4096

# The last letters of conversions that make numbers, which never need quotes or escapes.
_NUMERIC = frozenset("diouxXeEfFgG")


def render_source(layout: Layout, packet_form: PacketForm) -> Source | None:
    """Return the function for a call site, or None if its messages must be formatted one by one."""
    line = _Line(layout)
    if not line.complete():
        return None
    start, *texts = line.texts
    if start.startswith("\ufeff"):
        # A packet must not begin with a byte order mark.
        return None
    priority = packet_form.priority(layout.level)
    # With the longest priority, a packet has at most `max_packet_bytes`.
    longest = packet_form.max_packet_bytes + len(priority) - len("<191>1 ")
    lengths, lengths_in_bytes = _lengths(min(longest, _LONGEST_PACKET))
    names = {
        **value_kinds.NAMES,
        **line.names,
        "floor": math.floor,
        "in_calendar": packet.in_calendar,
        "lengths": lengths,
        "lengths_in_bytes": lengths_in_bytes,
        "millisecond": packet.millisecond,
        "priority": priority,
        "start": start,
        "three_digits": _THREE_DIGITS,
    }
    pieces = []
    for position, (expression, text) in enumerate(zip(line.expressions, texts, strict=True)):
        piece = f"{{{expression}}}"
        if text:
            names[f"text_{position}"] = text
            piece += f"{{text_{position}}}"
        pieces.append(f'f"{piece}"')
    parts = {
        "values": layout.variables,
        "pieces": pieces,
        **_size_checks(layout, longest, len(priority)),
    }
    return Source("render", fill(_TEMPLATE, parts), names)


def _size_checks(layout: Layout, longest: int, priority: int) -> dict[str, str | list[str]]:
    """Return the parts of the template that depend on how long its packets may be."""
    too_long = "    raise OverflowError"
    first_check = []
    if layout.fit.is_light:
        # Packets that are too long are not in the tables.
        frame = 'f"{lengths[len(packet)]}{packet}".encode()'
        frame_in_bytes = "lengths_in_bytes[len(packet)] + packet"
    else:
        frame = 'f"{len(packet)} {packet}".encode()'
        frame_in_bytes = 'b"%d %b" % (len(packet), packet)'
        for value in layout.values:
            if value.is_text:
                # A text that is already too long need not be escaped.
                first_check += [f"if len({value.variable}) > most:", too_long]
    limit = str(longest)
    if layout.metrics:
        # Metrics that make a line too long move to separate lines.
        header = priority + len(packet.timestamp(0)) - len("+00:00")
        limit = f"min({longest}, {header + MAX_LINE_BYTES} + len(fields))"
    is_limited = bool(layout.metrics) or not layout.fit.is_light
    return {
        "limit": [f"most = {limit}"] if is_limited else [],
        "first_check": first_check,
        "check": ["if len(packet) > most:", too_long] if is_limited else [],
        "frame": frame,
        "frame_in_bytes": frame_in_bytes,
    }


@lru_cache(maxsize=8)
def _lengths(longest: int) -> tuple[list[str], list[bytes]]:
    """Return the lengths of packets as their frames have them: as text, and in bytes.

    Looking them up saves 700 instructions a packet, and fails for a packet that is too long.
    """
    return (
        [f"{length} " for length in range(longest + 1)],
        [b"%d " % length for length in range(longest + 1)],
    )


class _Line:
    """A line as constant texts with expressions between them, one text more than expressions."""

    def __init__(self, layout: Layout) -> None:
        self.texts = [""]
        self.expressions: list[str] = []
        # The objects that the expressions name.
        self.names: dict[str, object] = {}
        self._layout = layout

    def complete(self) -> bool:
        """Add everything, or return False if the message must be formatted record by record."""
        layout = self._layout
        if layout.is_metrics_alone:
            self._text(layout.form.source)
        else:
            self._text(layout.start)
            for pair, value in zip(layout.form.live, layout.live, strict=True):
                # A callable that returned None makes no pair.
                if value.type is not type(None):
                    self._text(f" {pair.key}=")
                    self._value(value)
            if layout.template is not None:
                self._text(" ")
                if not self._filled(layout.template):
                    return False
            elif layout.keys is None and layout.silence is None:
                self._text(" ")
                self.names["message"] = layout.form.message
                self._expression("message(v0, ())")
            for key, value in layout.pairs:
                self._text(f" {key}=")
                self._value(value)
        for name, value in layout.metrics:
            self._text(f" {name}=" if self.texts != [""] else f"{name}=")
            self._value(value)
        self._text("\n")
        return True

    def _text(self, text: str) -> None:
        self.texts[-1] += text

    def _expression(self, source: str) -> None:
        self.expressions.append(source)
        self.texts.append("")

    def _value(self, value: Value) -> None:
        self._expression(value_kinds.expression(value.kind.as_value, value.variable))

    def _formatted(self, template: str, values: Sequence[Value]) -> str:
        """Return the expression that fills a %-template."""
        name = f"template_{len(self.expressions)}"
        self.names[name] = template
        expressions = []
        for value in values:
            expressions.append(value.variable)
            if value.kind.restored is not None:
                self.names[f"restored_{value.variable}"] = value.kind.restored
                expressions[-1] = f"restored_{value.variable}({value.variable})"
        return f"{name} % {tuple_of(expressions)}"

    def _filled(self, template: str) -> bool:
        """Add the message of a template, or return False if that is not possible."""
        values = self._layout.message
        parts = message_template.parts(template)
        if parts is None or len(parts[1]) != len(values):
            return False
        texts, conversions = parts
        for value, conversion in zip(values, conversions, strict=True):
            # A converted value is kept as a text, which only `%s` takes.
            if value.kind.conversion and conversion != "%s":
                return False
            if value.type is Decimal and conversion[-1] in "diu":
                # It may have a million digits.
                return False
        pairs = message_template.plan(template, self._layout.form.beside_message)
        if pairs is not None:
            # An escape in a value may make another conversion.
            if sum([pair.arguments for pair in pairs]) != len(values):
                return False
            self._pairs(pairs)
        elif any(character in text for text in texts for character in " ="):
            self._quoted_message(texts, conversions)
        else:
            self.names["free_text"] = self._layout.form.free_text
            self._expression(f"free_text({self._formatted(template, values)})")
        return True

    def _pairs(self, pairs: Iterable[message_template.Value]) -> None:
        """Add a message that is key=value by itself."""
        left = self._layout.message
        separator = ""
        for pair in pairs:
            values, left = left[: pair.arguments], left[pair.arguments :]
            self._text(f"{separator}{pair.key}=")
            separator = " "
            if pair.template == "%s":
                self._value(values[0])
            else:
                self._expression(f"quote({self._formatted(pair.template, values)})")

    def _quoted_message(self, texts: list[str], conversions: list[str]) -> None:
        """Add free text that needs quotes, whatever its arguments are."""
        self._text(f'{self._layout.form.message_key}="{grammar.escape(texts[0])}')
        for value, conversion, text in zip(
            self._layout.message, conversions, texts[1:], strict=True
        ):
            if conversion == "%s" or (conversion == "%d" and value.kind.type is int):
                self._expression(value_kinds.expression(value.kind.in_quotes, value.variable))
            elif conversion[-1] in _NUMERIC:
                self._expression(self._formatted(conversion, [value]))
            else:
                self._expression(f"escape({self._formatted(conversion, [value])})")
            self._text(grammar.escape(text))
        self._text('"')
