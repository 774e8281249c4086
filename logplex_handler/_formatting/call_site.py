"""One compiled call site."""

from __future__ import annotations

from collections.abc import Callable
from logging import LogRecord

from logplex_handler._formatting.layout import Layout
from logplex_handler._formatting.render import Render
from logplex_handler._wire.entry import HEAVY, Entry

Extract = Callable[[LogRecord], Entry]

# Stands for an entry where a call site does not take a record. It has a number, as all entries do,
# which none has, so that whoever compares the numbers need not ask first whether there is one.
NO_ENTRY: Entry = (HEAVY,)

# What the records of one call site have in common: the logger, the level, the names of the extras,
# and the template, the number of attributes or the keys of a mapping as message. Several call sites
# may have one signature, because their values may differ in type.
Signature = tuple[object, ...]

# Extras follow the attributes that all records have.
_ALWAYS = len(LogRecord("", 0, "", 0, "", (), None).__dict__)
# Bytes that a call site holds, apart from its values and its texts, and for each value.
_CALL_SITE_BYTES = 13_000
_VALUE_BYTES = 1_000


class CallSite:
    """The functions for the records of one logging call.

    Attributes:
        extract: Returns the entry of a record: the call site's number, the time, the values.
            Returns `NO_ENTRY`, or raises an error, if the record is not like the others.
        is_light: Whether these entries are light.
        render: Makes the frames of entries.
        layout: Makes the line of one entry step by step, whatever its values are.
        size: About how many bytes of memory it holds.
        used_at: When entries of it were last rendered, on the monotonic clock.
        holders: What `_holders` returns while no entry waits and none is being made.
    """

    __slots__ = ("extract", "holders", "is_light", "layout", "render", "size", "used_at")

    def __init__(self, layout: Layout, extract: Extract, render: Render, used_at: float) -> None:
        self.extract = extract
        self.is_light = layout.fit.is_light
        self.layout = layout
        self.render = render
        self.size = _CALL_SITE_BYTES + _VALUE_BYTES * len(layout.values)
        names = [layout.logger_name, layout.level_name, *layout.attributes, *(layout.keys or ())]
        self.size += 8 * sum(map(len, [layout.template or "", *names]))
        self.used_at = used_at
        self.holders = 0


def signature_of(record: LogRecord, key: object) -> Signature:
    extras = [*record.__dict__][_ALWAYS:]
    return (record.name, record.levelno, record.levelname, *extras, key)
