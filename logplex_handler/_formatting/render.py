"""The function that renders entries of one call site to frames, in a worker.

A frame is rendered in one expression. Entries that make it fail are handed to a function that works
step by step. Heavy entries, whose texts may be long, are rendered in bytes from the start, because
each copy of a long text takes time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring

from logplex_handler._formatting import grammar, message_template, value_kinds
from logplex_handler._formatting.codegen import Source, fill
from logplex_handler._formatting.kept_value import Value, tuple_of
from logplex_handler._formatting.layout import Layout
from logplex_handler._formatting.value_kinds import METRIC
from logplex_handler._wire import packet
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import octet_counts
from logplex_handler._wire.packet import PacketForm
from logplex_handler.metrics.metric_pairs import MAX_LINE_BYTES

# A millisecond as `packet.millisecond` returns it; a priority, and the start of its packets.
Millisecond = tuple[float, float, str, str, str]
# A millisecond that contains no time.
NO_MILLISECOND: Millisecond = (0.0, 2.0**62, "", "", "")

# `render(entries, append, append_long, render_slowly, fields, time)` calls `append` with the frame
# of each entry, `append_long` with a packet that is too long and the length of its header, or
# `render_slowly` with the entry. `fields` follows the time in the header of the packet. `time` is
# the millisecond of the previous entry; that of the last one is returned.
Render = Callable[
    [
        Iterable[Entry],
        Callable[[bytes], None],
        Callable[[bytes, int], None],
        Callable[[Entry], None],
        str,
        Millisecond,
    ],
    Millisecond,
]

# The tables are parameters because locals are read faster. The time is computed with floats alone,
# because mixing floats and integers takes twice as long.
_TEMPLATE = """\
def render(
    entries, append, append_long, render_slowly, fields, time,
    lengths=lengths, lengths_in_bytes=lengths_in_bytes, small=small, three_digits=three_digits,
):
    second, first_microsecond, date, latest_priority, head = time
    if latest_priority != priority:
        head = f"{priority}{date}"
    latest_fields, tail = latest_tail[0]
    if latest_fields is not fields:
        tail = f"{fields}{start}"
        latest_tail[0] = fields, tail
    $limit
    for entry in entries:
        try:
            _, created, $values = entry
            $message
            $first_check
            microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
            if not 0 <= microsecond < 1000:
                created = in_calendar(created)
                second, first_microsecond, date = millisecond(created)
                microsecond = floor((created - second) * 1e6 + 0.5 - first_microsecond)
                head = f"{priority}{date}"
            $frame
        except Exception:
            render_slowly(entry)
    return second, first_microsecond, date, priority, head
"""

# What `$frame` stands for.
_LIGHT_FRAME = """\
packet = (
    f"{head}{three_digits[microsecond]}{tail}"
    $pieces
)
if packet.isascii():
    $check
    append(f"{lengths[len(packet)]}{packet}".encode())
else:
    packet = packet.encode()
    $check
    append(lengths_in_bytes[len(packet)] + packet)
"""
_HEAVY_FRAME = """\
packet = b"".join(((
    f"{head}{three_digits[microsecond]}{tail}"
    $pieces
).encode(),))
$check
append(b"%d " % len(packet) + packet)
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
    lengths, lengths_in_bytes = octet_counts(min(longest, _LONGEST_PACKET))
    names = {
        **value_kinds.NAMES,
        **line.names,
        "floor": math.floor,
        "in_calendar": packet.in_calendar,
        "latest_tail": [("", "")],
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
        if expression in line.in_bytes:
            pieces.append(f").encode(), {expression}, (")
            piece = ""
        if text:
            names[f"text_{position}"] = text
            piece += f"{{text_{position}}}"
        pieces.append(f'f"{piece}"')
    parts = {
        "values": layout.variables,
        "pieces": pieces,
        "message": line.statements,
        **_size_checks(layout, longest, len(priority)),
    }
    frame = fill(_LIGHT_FRAME if layout.fit.is_light else _HEAVY_FRAME, parts)
    return Source("render", fill(_TEMPLATE, {**parts, "frame": frame.splitlines()}), names)


def _size_checks(layout: Layout, longest: int, priority: int) -> dict[str, str | list[str]]:
    """Return the parts of the template that depend on how long its packets may be."""
    too_long = ["    raise OverflowError"]
    first_check = []
    # Light packets that are too long are not in the tables.
    if not layout.fit.is_light:
        if layout.metrics:
            # A text that is already too long need not be escaped.
            each = [f"len({value.variable}) > most" for value in layout.values if value.is_text]
            first_check = [f"if {' or '.join(each)}:", *too_long]
        else:
            too_long = ["    append_long(packet, len(head) + 3 + len(fields))", "    continue"]
    limit = str(longest)
    if layout.metrics:
        # Metrics that make a line too long move to separate lines.
        header = priority + len(packet.timestamp(0)) - len("+00:00")
        limit = f"min({longest}, {header + MAX_LINE_BYTES} + len(fields))"
    is_limited = bool(layout.metrics) or not layout.fit.is_light
    return {
        "limit": [f"most = {limit}"] if is_limited else [],
        "first_check": first_check,
        "check": ["if len(packet) > most:", *too_long] if is_limited else [],
    }


class _Line:
    """A line as constant texts with expressions between them, one text more than expressions."""

    def __init__(self, layout: Layout) -> None:
        self.texts = [""]
        self.expressions: list[str] = []
        # What is done before the expressions.
        self.statements: list[str] = []
        # The expressions that make bytes. Only heavy entries have any.
        self.in_bytes: set[str] = set()
        # The objects that the expressions name.
        self.names: dict[str, object] = {
            f"keys_{value.variable}": value.keys for value in layout.whole_values if value.keys
        }
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
                self._message_alone()
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

    def _message_alone(self) -> None:
        """Add a message without arguments. Most are literals: the same object each time."""
        if not self._layout.fit.is_light:
            self._expression("message(v0, ())")
            return
        self.names["latest"] = [(None, "")]
        self.statements = [
            "same, text = latest[0]",
            "if same is not v0:",
            "    text = message(v0, ())",
            "    latest[0] = v0, text",
        ]
        self._expression("text")

    def _value(self, value: Value) -> None:
        """Add a value that is the whole value of a pair."""
        if value.keys is None:
            self._either(value, value.kind.as_value, "quote_in_bytes($v)")
            return
        # JSON in quotes, in which its own quotes have escapes.
        separator = '"{'
        for key, item in zip(value.keys, value.items, strict=True):
            quotes = '\\"' if item.type is str else ""
            self._text(f"{separator}{grammar.escape(encode_basestring(key))}:{quotes}")
            source = value_kinds.IN_JSON.get(item.type, item.kind.as_value)
            self._expression(value_kinds.expression(source, item.variable))
            self._text(quotes)
            separator = ","
        self._text('}"')

    def _either(self, value: Value, source: str, in_bytes: str) -> None:
        """Add a value in one of two ways: in bytes if its text may be long."""
        is_long = value.is_text and value.kind is not METRIC and not self._layout.fit.is_light
        expression = value_kinds.expression(in_bytes if is_long else source, value.source)
        self._expression(expression)
        if is_long:
            self.in_bytes.add(expression)

    def _formatted(self, template: str, values: Sequence[Value]) -> str:
        """Return the expression that fills a %-template."""
        name = f"template_{len(self.expressions)}"
        self.names[name] = template
        expressions = []
        for value in values:
            expressions.append(value.source)
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
                self._either(value, value.kind.in_quotes, "escape_in_bytes($v)")
            elif conversion[-1] in _NUMERIC:
                self._expression(self._formatted(conversion, [value]))
            else:
                self._expression(f"escape({self._formatted(conversion, [value])})")
            self._text(grammar.escape(text))
        self._text('"')
