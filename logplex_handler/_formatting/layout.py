"""What the records of one call site have in common, and the values in which they differ."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._formatting import grammar, record_parts
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.value_kinds import ValueKind, kind_of
from logplex_handler._wire.entry import Entry
from logplex_handler.metrics.metric_pairs import MetricValue

# An entry with more values would not be light.
_MAX_VALUES = 32


class Value(NamedTuple):
    """One of the values that an entry holds: a variable of the compiled functions."""

    variable: str
    type: type
    kind: ValueKind


def as_tuple(values: Sequence[Value]) -> str:
    """The source of a tuple of the values."""
    variables = ", ".join([value.variable for value in values])
    return f"({variables},)" if len(values) == 1 else f"({variables})"


@dataclass(frozen=True)
class Layout:
    """How the records of one call site become entries, and the entries lines.

    It keeps no value of the record that it was made from.

    Attributes:
        number: The number by which entries name their call site.
        template: The message with its conversions; None for records without arguments, whose
            message is a value of the entry.
        attributes: The names of a record's attributes, in their order.
        message: The values of the arguments; or the message alone.
        extras: By name and in the order of the line.
    """

    number: int
    form: LineForm
    logger_name: str
    level: int
    level_name: str
    template: str | None
    attributes: list[str]
    message: list[Value]
    live: list[Value]
    extras: dict[str, Value]

    @property
    def values(self) -> list[Value]:
        """All values of an entry, in their order there."""
        return [*self.message, *self.live, *self.extras.values()]

    @property
    def variables(self) -> str:
        return ", ".join([value.variable for value in self.values])

    @property
    def start(self) -> str:
        return self.form.start(self.level_name, self.logger_name)

    def line(self, entry: Entry) -> str:
        """The line of an entry, made step by step, whatever its values are."""
        values = iter(entry[2:])
        message = tuple([next(values) for _ in self.message])
        live = [next(values) for _ in self.live]
        if self.template is None:
            text = self.form.message(message[0], ())
        else:
            text = self.form.message(self.template, message)
        extras = [grammar.pair(name, next(values)) for name in self.extras]
        return " ".join([self.start, *self.form.live_pairs(live), text, *extras])


def layout_of(number: int, record: logging.LogRecord, form: LineForm) -> Layout | None:
    """The layout of a typical record, whose message is a text and whose arguments are a tuple; None
    if records like it have to be formatted one by one."""
    extras = dict(record_parts.extras(record, form.omitted))
    message: tuple[object, ...] = tuple(record.args) if record.args else (record.msg,)
    live = [pair.ask() for pair in form.live]
    types = [type(value) for value in (*message, *live, *extras.values())]
    texts = [record.msg, record.name, record.levelname, *extras]
    # A source of the record's own takes the place of the formatter's.
    if record_parts.has_source(record) or len(types) > _MAX_VALUES or MetricValue in types:
        return None
    if not all(type(text) is str for text in texts):
        return None
    values = iter([Value(f"v{i}", type_, kind_of(type_)) for i, type_ in enumerate(types)])
    return Layout(
        number=number,
        form=form,
        logger_name=record.name,
        level=record.levelno,
        level_name=record.levelname,
        template=record.msg if record.args else None,
        attributes=[*record.__dict__],
        message=[next(values) for _ in message],
        live=[next(values) for _ in live],
        extras={name: next(values) for name in extras},
    )
