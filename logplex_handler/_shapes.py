"""Which shape a record has, and which shapes are worth having."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from logging import Formatter, LogRecord
from operator import itemgetter
from typing import Any

from logplex_handler._line import LineForm
from logplex_handler._shape import NOT_STAYING, SHARED, Entry, Shape, shape

Attributes = dict[str, Any]
Kind = tuple[Any, ...]
Writer = Callable[[str, str, Entry], str]

_kind_without_arguments: Callable[[Attributes], Kind] = itemgetter(*SHARED)
_kind_with_arguments: Callable[[Attributes], Kind] = itemgetter(*SHARED, "msg")

# Compiling a shape costs about as much as it saves on so many records.
_TIMES_WORTH_A_SHAPE = 50
# A program has as many as it has calls to loggers, or a few times that.
_MAX_SHAPES = 4096
_MAX_SHAPES_OF_A_KIND = 8
# Kinds that are counted at a time, and characters of a template: one that is longer was made at run
# time, and does not come again.
_MAX_COUNTED = 4096
_MAX_TEMPLATE = 1000


class Shapes:
    """The shapes of one handler's records. May be asked from any thread.

    Args:
        head_of: What a packet of a level has before its date, and between that and its line.
    """

    def __init__(self, head_of: Callable[[int], tuple[str, str]]) -> None:
        self._head_of = head_of
        # Of all formatters there were: what waits may be older than the present one.
        self.by_number: dict[int, Shape] = {}
        # The function that writes a packet, None where entries have no shape.
        self.writer_by_number: dict[int, Writer | None] = {}
        self._numbers = itertools.count(1)
        self.use(None, None)

    def use(self, formatter: Formatter | None, form: LineForm | None) -> None:
        """From now on lines are of this formatter's form; without one, no record has a shape."""
        self._formatter = formatter
        self._form = form
        self._of_kind: dict[Kind, tuple[Shape, ...]] = {}
        # The functions of those that came last, by template or logger.
        self._last: dict[Any, Callable[[Attributes], Entry | None]] = {}
        self._times: dict[Kind, float] = {}

    def light_entry(self, record: LogRecord, formatter: Formatter | None) -> Entry | None:
        """The light entry of a record that is like the last one of its template or logger."""
        arguments = record.args
        if (
            type(arguments) is not tuple
            or type(record) is not LogRecord
            or formatter is not self._formatter
        ):
            return None
        try:
            entry = self._last.get(record.msg if arguments else (record.name, record.levelno))
            return None if entry is None else entry(record.__dict__)
        except Exception:
            # An attribute is gone or cannot be compared, or there are more arguments than before.
            return None

    def entry(self, record: LogRecord) -> tuple[Entry, bool] | None:
        """The entry of a record that has a shape, and whether it is light."""
        arguments = record.args
        if (
            self._form is None
            or type(arguments) is not tuple
            or type(record) is not LogRecord
            or any(record.__dict__.get(name) is not None for name in NOT_STAYING)
        ):
            return None
        try:
            kind = (_kind_with_arguments if arguments else _kind_without_arguments)(record.__dict__)
            shapes = self._of_kind.get(kind, ())
        except Exception:
            return None
        for of_kind in shapes:
            for limits in ((), _NO_LIMITS):
                entry = _entry(of_kind, record.__dict__, limits)
                if entry is not None:
                    self._last[kind[-1] if arguments else kind[:2]] = of_kind.entry
                    return entry, not limits
        self._count(kind, shapes, record)
        return None

    def _count(self, kind: Kind, shapes: tuple[Shape, ...], record: LogRecord) -> None:
        """Have a shape for such records when it is worth it."""
        if len(self._times) >= _MAX_COUNTED:
            self._times.clear()
        times = self._times[kind] = self._times.get(kind, 0) + 1
        if times < _TIMES_WORTH_A_SHAPE or self._form is None:
            return
        new = None
        if len(shapes) < _MAX_SHAPES_OF_A_KIND and len(self.by_number) < _MAX_SHAPES:
            number = next(self._numbers)
            new = shape(number, record, self._form, self._head_of(record.levelno))
        if new is None:
            self._times[kind] = -math.inf
            return
        self._times[kind] = 0
        self.by_number[number] = new
        self.writer_by_number[number] = new.packet
        self._of_kind[kind] = (*shapes, new)


# For `longest`, `least` and `most`.
_NO_LIMITS = (math.inf, -math.inf, math.inf)


def _entry(of: Shape, attributes: Attributes, limits: tuple[float, ...]) -> Entry | None:
    try:
        return of.entry(attributes, *limits)
    except Exception:
        # It has other extras, or another number of arguments.
        return None
