"""The line of a call site as source: constant texts, and the expressions between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring

from logplex_handler._formatting import grammar, message_template, value_kinds
from logplex_handler._formatting.kept_value import Value, tuple_of
from logplex_handler._formatting.layout import Layout
from logplex_handler._formatting.value_kinds import METRIC

# The last letters of conversions that make numbers, which never need quotes or escapes.
_NUMERIC = frozenset("diouxXeEfFgG")


class LineSource:
    """A line as constant texts with expressions between them, one text more than expressions."""

    def __init__(self, layout: Layout) -> None:
        self.texts = [""]
        self.expressions: list[str] = []
        # What is done before the expressions.
        self.statements: list[str] = []
        # The variables whose escaped texts the statements make.
        self._escaped: set[str] = set()
        # The expressions that make bytes. Only heavy entries have any.
        self.in_bytes: set[str] = set()
        # The objects that the expressions name.
        self.names: dict[str, object] = {
            f"keys_{value.variable}": value.keys for value in layout.whole_values if value.keys
        }
        self._layout = layout
        self._add_twins()

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
                self.names["message"] = layout.message_alone
                self._message_alone()
            for key, value in layout.pairs:
                self._text(f" {key}=")
                self._value(value)
        for name, value in layout.metrics:
            self._text(f" {name}=" if self.texts != [""] else f"{name}=")
            self._value(value)
        self._text("\n")
        return True

    def _add_twins(self) -> None:
        """Escape once what a record has in several places, such as a query."""
        values = self._layout.values
        firsts = {value.twin for value in values if value.twin != value.variable} - {""}
        for value in values:
            if value.twin in firsts:
                name = value.variable
                source = f"{name} if {name}.isalnum() else escape({name})"
                if name != value.twin:
                    source = f"escaped_{value.twin} if {name} is {value.twin} else {source}"
                self.statements.append(f"escaped_{name} = {source}")
                self._escaped.add(name)

    def _text(self, text: str) -> None:
        self.texts[-1] += text

    def _source(self, source: str, value: Value) -> str:
        """Return the expression for a value, of its escaped text if the statements make one."""
        if value.variable in self._escaped:
            source = value_kinds.OF_ESCAPED[source]
        return value_kinds.expression(source, value.source)

    def _expression(self, source: str) -> None:
        self.expressions.append(source)
        self.texts.append("")

    def _message_alone(self) -> None:
        """Add a message without arguments. Most are literals: the same object each time."""
        if not self._layout.fit.is_light:
            self._expression("message(v0)")
            return
        self.names["latest"] = [(None, "")]
        self.statements += [
            "same, text = latest[0]",
            "if same is not v0:",
            "    text = message(v0)",
            "    latest[0] = v0, text",
        ]
        self._expression("text")

    def _value(self, value: Value) -> None:
        """Add a value that is the whole value of a pair."""
        if value.keys is None:
            source = value.kind.as_value
            if value.is_optional:
                source = f"null if $v is None else {source}"
            self._either(value, source, "quote_in_bytes($v)")
            return
        # JSON in quotes, in which its own quotes have escapes.
        separator = '"{'
        for key, item in zip(value.keys, value.items, strict=True):
            quotes = '\\"' if item.type is str else ""
            self._text(f"{separator}{grammar.escape(encode_basestring(key))}:{quotes}")
            source = value_kinds.IN_JSON.get(item.type, item.kind.as_value)
            self._expression(self._source(source, item))
            self._text(quotes)
            separator = ","
        self._text('}"')

    def _either(self, value: Value, source: str, in_bytes: str) -> None:
        """Add a value in one of two ways: in bytes if its text may be long."""
        is_long = value.is_text and value.kind is not METRIC and not self._layout.fit.is_light
        expression = self._source(in_bytes if is_long else source, value)
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
            if value.keys is not None and conversion not in ("%s", "%r"):
                # It makes an error, whose text says how the dict was given.
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
            is_int = value.kind.type is int and not value.is_optional
            if conversion == "%s" or (conversion == "%d" and is_int):
                source = value.kind.in_quotes
                if value.is_optional:
                    source = f"$v if $v is None else {source}"
                self._either(value, source, "escape_in_bytes($v)")
            elif conversion[-1] in _NUMERIC:
                self._expression(self._formatted(conversion, [value]))
            else:
                self._expression(f"escape({self._formatted(conversion, [value])})")
            self._text(grammar.escape(text))
        self._text('"')
