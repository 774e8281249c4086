"""Which call site a record comes from, and which call sites are worth compiling.

Most records come from logging calls that are made again and again, and differ only in the values of
their arguments and extras. Such a call site gets two compiled functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import Formatter, LogRecord
from operator import itemgetter

from logplex_handler._formatting.extract import extract_source
from logplex_handler._formatting.layout import layout_of
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.render import Render, render_source
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.packet import PacketForm

# What the records of one call site share: the logger's name, the level and its name, and the
# template if there are arguments. Several call sites may share it, as their values may differ in
# type.
Signature = tuple[object, ...]
_ReadSignature = Callable[[Mapping[str, object]], Signature]
Extract = Callable[[LogRecord], Entry | None]

_signature_without_arguments: _ReadSignature = itemgetter("name", "levelno", "levelname")
_signature_with_arguments: _ReadSignature = itemgetter("name", "levelno", "levelname", "msg")
# What a traceback shows may change.
_CHANGING = ("exc_info", "exc_text", "stack_info")

# Compiling a call site costs about as much as it saves on this many records.
_RECORDS_BEFORE_COMPILING = 50
# A program has as many as it has logging calls, or a few times that.
_MAX_CALL_SITES = 4096
_MAX_CALL_SITES_OF_A_SIGNATURE = 8
# Signatures that are counted at a time.
_MAX_COUNTED = 1024
# Characters. A longer template was made at run time, and does not come again.
_MAX_TEMPLATE = 1000


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


class CompiledCallSites:
    """The call sites that entries know by number, of all formatters that a handler has had."""

    def __init__(self, packet: PacketForm) -> None:
        self.by_number: dict[int, CallSite] = {}
        self._packet = packet
        self._numbers = itertools.count(1)

    def compile(self, record: LogRecord, form: LineForm) -> CallSite | None:
        """Compile the call site of a typical record; None if that is not possible."""
        if len(self.by_number) >= _MAX_CALL_SITES or not isinstance(record.levelno, int):
            return None
        number = next(self._numbers)
        try:
            layout = layout_of(number, record, form)
            render = None if layout is None else render_source(layout, self._packet)
            if layout is None or render is None:
                return None
            extract = extract_source(layout)
            call_site = CallSite(extract.function(), render.function(), layout.line, layout.level)
        except Exception:
            # The types of its values may behave in any way.
            return None
        self.by_number[number] = call_site
        return call_site


class CallSites:
    """The call sites of the records of one formatter. Any thread may call any method.

    The formatter is None for the handler's own, and `form` if nothing can be compiled for it.
    """

    def __init__(
        self, compiled: CompiledCallSites, formatter: Formatter | None, form: LineForm | None
    ) -> None:
        self.formatter = formatter
        self._compiled = compiled
        self._form = form
        self._by_signature: dict[Signature, tuple[CallSite, ...]] = {}
        # The functions that took the last record, by the record's template; or by its logger's
        # name and its level, if it had no arguments.
        self._latest: dict[object, Extract] = {}
        # Records that came without a call site.
        self._counts: dict[Signature, float] = {}

    def light_entry(self, record: LogRecord, formatter: Formatter | None) -> Entry | None:
        """The light entry of a record that is like the latest one of its template or logger."""
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
            return self._latest[message if arguments else (record.name, record.levelno)](record)
        except Exception:
            # There is no such call site; or the record lacks an attribute, has one that cannot be
            # compared, or has another number of arguments.
            return None

    def entry(self, record: LogRecord) -> Entry | None:
        """The light entry of a record whose call site is compiled; else the record is counted."""
        arguments = record.args
        attributes = record.__dict__
        if (
            self._form is None
            or type(arguments) is not tuple
            or type(record.msg) is not str
            or type(record) is not LogRecord
        ):
            return None
        read_signature = _signature_with_arguments if arguments else _signature_without_arguments
        try:
            signature = read_signature(attributes)
            call_sites = self._by_signature.get(signature, ())
            is_lasting = all(attributes[name] is None for name in _CHANGING)
        except Exception:
            return None
        for call_site in call_sites:
            entry = _extracted(call_site, record)
            if entry is not None:
                self._latest[record.msg if arguments else signature[:2]] = call_site.extract
                return entry
        if is_lasting and self._is_hot(signature, record, len(call_sites)):
            compiled = self._compiled.compile(record, self._form)
            self._counts[signature] = -math.inf if compiled is None else 0
            if compiled is not None:
                self._by_signature[signature] = (*call_sites, compiled)
        return None

    def _is_hot(self, signature: Signature, record: LogRecord, call_sites: int) -> bool:
        """Count a record; True if it came often enough for a call site to be compiled."""
        is_made_at_run_time = record.args and len(record.msg) > _MAX_TEMPLATE
        if call_sites >= _MAX_CALL_SITES_OF_A_SIGNATURE or is_made_at_run_time:
            return False
        if len(self._counts) >= _MAX_COUNTED and signature not in self._counts:
            self._counts.clear()
        count = self._counts[signature] = self._counts.get(signature, 0) + 1
        return count >= _RECORDS_BEFORE_COMPILING


def _extracted(call_site: CallSite, record: LogRecord) -> Entry | None:
    try:
        return call_site.extract(record)
    except Exception:
        # The record has other extras, or another number of arguments.
        return None
