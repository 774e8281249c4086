"""Which shape a record has, and which shapes are worth having."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from logging import Formatter, LogRecord
from operator import itemgetter
from typing import Any

from logplex_handler._formatting.extract import NOT_STAYING, SHARED, Take
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.specialize import CallSite, shape
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.packet import PacketForm

Kind = tuple[Any, ...]

_kind_without_arguments: Callable[[Any], Kind] = itemgetter(*SHARED)
_kind_with_arguments: Callable[[Any], Kind] = itemgetter(*SHARED, "msg")

# Compiling a shape costs about as much as it saves on so many records.
_TIMES_WORTH_A_SHAPE = 50
# A program has as many as it has calls to loggers, or a few times that.
_MAX_SHAPES = 4096
_MAX_SHAPES_OF_A_KIND = 8
# Kinds that are counted at a time, and characters of a template: one that is longer was made at run
# time, and does not come again.
_MAX_COUNTED = 1024
_MAX_TEMPLATE = 1000


class CompiledCallSites:
    """The shapes that entries know by number, of all formatters that a handler had.

    Attributes:
        by_number: Every shape.
    """

    def __init__(self, packet: PacketForm) -> None:
        self.by_number: dict[int, CallSite] = {}
        self._packet = packet
        self._numbers = itertools.count(1)

    def learn(self, record: LogRecord, form: LineForm) -> CallSite | None:
        """A new shape, if there can be one."""
        if len(self.by_number) >= _MAX_SHAPES or not isinstance(record.levelno, int):
            return None
        number = next(self._numbers)
        try:
            new = shape(number, record, form, self._packet)
        except Exception:
            # A type may be as odd as can be.
            return None
        if new is not None:
            self.by_number[number] = new
        return new


class CallSites:
    """The shapes of the records of one formatter. May be asked from any thread.

    Args:
        known: Where new ones are put.
        formatter: Whose records they are; None for the handler's own.
        form: The form of its lines; None if its records have no shapes.
    """

    def __init__(
        self, known: CompiledCallSites, formatter: Formatter | None, form: LineForm | None
    ) -> None:
        self.formatter = formatter
        self._known = known
        self._form = form
        self._of_kind: dict[Kind, tuple[CallSite, ...]] = {}
        # The functions of those that came last, by template or logger.
        self._last: dict[Any, Take] = {}
        self._times: dict[Kind, float] = {}

    def light_entry(self, record: LogRecord, formatter: Formatter | None) -> Entry | None:
        """The light entry of a record that is like the last one of its template or logger."""
        arguments = record.args
        message = record.msg
        if (
            type(arguments) is not tuple
            or type(message) is not str
            or type(record) is not LogRecord
            or formatter is not self.formatter
        ):
            return None
        try:
            return self._last[message if arguments else (record.name, record.levelno)](record)
        except Exception:
            # There was none. Or an attribute is gone or cannot be compared, or there are more
            # arguments than before.
            return None

    def entry(self, record: LogRecord) -> Entry | None:
        """The light entry of a record that has a shape."""
        arguments = record.args
        attributes = record.__dict__
        if (
            self._form is None
            or type(arguments) is not tuple
            or type(record.msg) is not str
            or type(record) is not LogRecord
        ):
            return None
        try:
            kind = (_kind_with_arguments if arguments else _kind_without_arguments)(attributes)
            shapes = self._of_kind.get(kind, ())
            stays = all(attributes[name] is None for name in NOT_STAYING)
        except Exception:
            return None
        for of_kind in shapes:
            entry = _entry(of_kind, record)
            if entry is not None:
                self._last[record.msg if arguments else kind[:2]] = of_kind.entry
                return entry
        if stays and self._is_worth_a_shape(kind, record, len(shapes)):
            new = self._known.learn(record, self._form)
            self._times[kind] = -math.inf if new is None else 0
            if new is not None:
                self._of_kind[kind] = (*shapes, new)
        return None

    def _is_worth_a_shape(self, kind: Kind, record: LogRecord, shapes: int) -> bool:
        if shapes >= _MAX_SHAPES_OF_A_KIND or (record.args and len(record.msg) > _MAX_TEMPLATE):
            return False
        if len(self._times) >= _MAX_COUNTED and kind not in self._times:
            self._times.clear()
        times = self._times[kind] = self._times.get(kind, 0) + 1
        return times >= _TIMES_WORTH_A_SHAPE


def _entry(of: CallSite, record: LogRecord) -> Entry | None:
    try:
        return of.entry(record)
    except Exception:
        # It has other extras, or another number of arguments.
        return None
