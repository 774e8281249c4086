"""The compiled functions of one call site."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from logplex_handler._formatting.extract import extract_source
from logplex_handler._formatting.layout import layout_of
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.render import Render, render_source
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.packet import PacketForm

Extract = Callable[[logging.LogRecord], Entry | None]


@dataclass(frozen=True)
class CallSite:
    """The functions for the records of one logging call.

    Attributes:
        extract: Returns the light entry of a record: the call site's number, the time, the values.
            Returns None, or raises, if the record is not like the others, or not light.
        render: Makes the frames of entries.
        line: Makes the line of one entry step by step, whatever its values are.
        level: The level of the records.
    """

    extract: Extract
    render: Render
    line: Callable[[Entry], str]
    level: int


def specialize(
    number: int, record: logging.LogRecord, form: LineForm, packet: PacketForm
) -> CallSite | None:
    """Compile a call site; None if its records have to be formatted one by one.

    Args:
        number: The number by which entries will name it.
        record: A typical record.
        form: The form of its line.
        packet: The form of its packet. The header's hostname and appname are those of each stream.
    """
    layout = layout_of(number, record, form)
    if layout is None:
        return None
    render = render_source(layout, packet)
    if render is None:
        return None
    extract = extract_source(layout)
    return CallSite(extract.function(), render.function(), layout.line, layout.level)
