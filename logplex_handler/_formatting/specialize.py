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
from typing import Any

from logplex_handler._formatting import grammar, record_parts
from logplex_handler._formatting.extract import Take, taking
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.render import Write, Writing
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.packet import PacketForm
from logplex_handler.metrics.metric_pairs import MetricValue

# A shape with more would not be light.
_MAX_VALUES = 32


@dataclass(frozen=True)
class CallSite:
    """The functions for records of one shape.

    Attributes:
        entry: Makes a light entry of a record: the shape's number, the time, the values. None if
            the record is not of this shape, or not light.
        write: Makes the frames of entries.
        line: Makes the line alone of an entry, step by step, whatever its values are.
        level: The record's level.
    """

    entry: Take
    write: Write
    line: Callable[[Entry], str]
    level: int


def shape(
    number: int, record: logging.LogRecord, form: LineForm, packet: PacketForm
) -> CallSite | None:
    """The shape of a record; None if such records are to be formatted one by one.

    Args:
        number: What its entries know it by.
        record: One that is typical.
        form: The form of its line.
        packet: The form of its packet; the header's fields are those of each stream.
    """
    template: Any = record.msg
    arguments: Any = record.args or ()
    asked = [pair.ask() for pair in form.live]
    extras = record_parts.extras(record, form.omitted)
    values = [*(arguments or (template,)), *asked, *[value for _, value in extras]]
    same = _same_numbers(values)
    names = [name for name, _ in extras]
    types = [type(value) for value in values]
    texts = [template, record.name, record.levelname, *names]
    if record_parts.source(record):
        # The others have the formatter's.
        return None
    if set(map(type, texts)) != {str} or len(types) > _MAX_VALUES or MetricValue in types:
        return None
    # Where the values of extras begin, and before these those that were asked for.
    at = len(types) - len(names)
    live_at = at - len(form.live)
    has_arguments = bool(arguments)
    # What follows lasts, and must not keep this record's values.
    del arguments, asked, extras, values, texts
    start = form.start(record.levelname, record.name)
    writing = Writing(types, same)
    writing.text(f"{start} ")
    for position, pair in enumerate(form.live, live_at):
        if types[position] is not type(None):
            writing.text(f"{pair.key}=")
            writing.value(position)
            writing.text(" ")
    if has_arguments:
        if not writing.filled(template, form, live_at):
            return None
    else:
        writing.made_by(lambda text: form.message(text, ()), "v0")
    for position, name in enumerate(names, at):
        writing.text(f" {grammar.key(name)}=")
        writing.value(position)

    def line(entry: Entry) -> str:
        values = entry[2:]
        if has_arguments:
            message = form.message(template, values[:live_at])
        else:
            message = form.message(values[0], ())
        live = zip(form.live, values[live_at:at], strict=True)
        before = [grammar.pair(pair.key, value) for pair, value in live if value is not None]
        pairs = [grammar.pair(*pair) for pair in zip(names, values[at:], strict=True)]
        return " ".join([start, *before, message, *pairs])

    entry = taking(number, record, form, names, types)
    write = writing.compiled(packet.priority(record.levelno), packet.max_packet_bytes)
    return CallSite(entry, write, line, record.levelno)


def _same_numbers(values: list[Any]) -> dict[int, int]:
    """The integers that are one object with another before them, with the first such: what is an
    argument is often an extra too."""
    first: dict[int, int] = {}
    same = {}
    for position, value in enumerate(values):
        if type(value) is int and first.setdefault(id(value), position) < position:
            same[position] = first[id(value)]
    return same
