"""Which call site a record comes from, and which call sites are worth compiling.

Most records come from logging calls that are made again and again, and differ only in the values of
their arguments and extras. Such a call site gets two compiled functions.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Collection, Sequence
from logging import Formatter, LogRecord
from time import monotonic

from logplex_handler._formatting.call_site import (
    NO_ENTRY,
    CallSite,
    Extract,
    Signature,
    signature_of,
)
from logplex_handler._formatting.extract import extract_source
from logplex_handler._formatting.fitting import is_made_at_run_time
from logplex_handler._formatting.kept_value import FITS
from logplex_handler._formatting.layout import Layout, layout_of
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.render import render_source
from logplex_handler._wire.entry import HEAVY, LIGHT, Entry, weight
from logplex_handler._wire.packet import PacketForm

# Compiling costs as much as it saves on so many records, or a third if others have the same shape.
_RECORDS_BEFORE_COMPILING = 25
_MAX_CALL_SITES_OF_A_SIGNATURE = 8
# The most signatures that are counted at a time.
_MAX_COUNTED = 1024
# The most bytes of memory that compiled call sites may hold: about a thousand call sites. A program
# has as many as it has logging calls, or a few times that.
_MAX_BYTES = 24 * 1024 * 1024


class CompiledCallSites:
    """The call sites that entries refer to by number, for all formatters that a handler has had."""

    def __init__(self, packet: PacketForm) -> None:
        self.by_number: dict[int, CallSite] = {}
        # The call sites in `by_number` that take no more records, and stay while their entries
        # wait.
        self._retired: set[CallSite] = set()
        self._packet = packet
        # The numbers start above the small integers, of which Python keeps one object each: up to
        # 256, and from Python 3.15 on up to 1,024.
        # The first one is the code's, which all share.
        self._numbers = itertools.count(10_000)
        next(self._numbers)

    def compile(
        self, record: LogRecord, form: LineForm, others: Sequence[CallSite]
    ) -> tuple[CallSite, CallSite | None] | None:
        """Compile the call site of a typical record, or return None if that is not possible.

        Also returns one of the others that it replaces: it takes the records of both.
        """
        try:
            found = self._compiled(next(self._numbers), record, form, others)
        except Exception:
            # The record's values may be of types that behave in any way.
            return None
        if found is not None:
            self.by_number[found[0].layout.number] = found[0]
            found[0].holders = _holders(found[0])
        return found

    def _compiled(
        self, number: int, record: LogRecord, form: LineForm, others: Sequence[CallSite]
    ) -> tuple[CallSite, CallSite | None] | None:
        # Another dict may have other keys: the second call site makes a text of any.
        for fit in FITS[1:] if others else FITS:
            layout = layout_of(number, record, form, fit)
            if layout is None:
                return None
            for other in others:
                both = layout.with_optional(other.layout)
                site = both and self._call_site(both, record)
                if site:
                    return site, other
            site = self._call_site(layout, record)
            if site:
                return site, None
        return None

    def _call_site(self, layout: Layout, record: LogRecord) -> CallSite | None:
        """Return the call site of a layout, or None if it does not take the record."""
        render = render_source(layout, self._packet)
        if render is None:
            return None
        extract = extract_source(layout, self._packet.room).function()
        entry = extract(record)
        if entry is NO_ENTRY or (layout.fit.is_light and weight(entry) > LIGHT):
            return None
        return CallSite(layout, extract, render.function(), monotonic())

    def excess(self) -> set[CallSite]:
        """Retire the least recently used call sites if there are too many, and return them."""
        active = {*self.by_number.values()} - self._retired
        left = sum([site.size for site in active])
        retired: set[CallSite] = set()
        if left > _MAX_BYTES:
            # Retire many at a time, because finding them takes long.
            for site in sorted(active, key=lambda site: site.used_at):
                if left > _MAX_BYTES * 3 // 4:
                    left -= site.size
                    retired.add(site)
            self.retire(retired)
        return retired

    def retire(self, call_sites: Collection[CallSite]) -> None:
        """Give these call sites no more records, and forget them once no entry waits for them.

        They are forgotten at the next call or later.
        """
        for site in [*self._retired]:
            if _holders(site) <= site.holders:
                self._retired.discard(site)
                self.by_number.pop(site.layout.number, None)
        self._retired.update(call_sites)


def _holders(call_site: CallSite) -> int:
    """Return the number of references to a call site's number and to its `extract`.

    Every entry adds one to the number. While an entry is being made, which may take long because
    the text of a value is asked for, the call adds one to `extract`; so does `CallSites._latest`.
    """
    return sys.getrefcount(call_site.layout.number) + sys.getrefcount(call_site.extract)


class CallSites:
    """The call sites of the records of one formatter. Any thread may call any method.

    The formatter is None for the default one.

    Args:
        form: Returns the form of its lines, or None if nothing can be compiled for it. Asked before
            each compilation.
    """

    def __init__(
        self,
        compiled: CompiledCallSites,
        formatter: Formatter | None,
        form: Callable[[], LineForm | None],
    ) -> None:
        self.formatter = formatter
        self._compiled = compiled
        self._form = form
        self.form = form()
        self._by_signature: dict[Signature, tuple[CallSite, ...]] = {}
        # The functions to ask first, by what `_key` returns.
        self._latest: dict[object, Extract] = {}
        # The number of records without a call site.
        self._counts: dict[Signature, float] = {}

    def latest_entry(self, record: LogRecord, formatter: Formatter | None) -> Entry:
        """Return the entry of a record like the latest one of its template, or `NO_ENTRY`."""
        if type(record) is not LogRecord or formatter is not self.formatter:
            return NO_ENTRY
        try:
            arguments = record.args
            message = record.msg
            if type(message) is str:
                if arguments:
                    return self._latest[message](record)
                if type(arguments) is not tuple:
                    return self._latest[_key(record)](record)
                return self._latest[record.name, record.levelno, len(record.__dict__)](record)
            if type(message) is dict and not arguments:
                key = (record.name, record.levelno, *message)
                return self._latest[key](record)
            return self._latest[_key(record)](record)
        except Exception:
            # There is no such call site, or the record is not like the others.
            return NO_ENTRY

    def other_entry(self, record: LogRecord, formatter: Formatter | None) -> Entry:
        """Return the entry of a record that is not like the latest one, or `NO_ENTRY`."""
        if type(record) is not LogRecord or formatter is not self.formatter:
            return NO_ENTRY
        return self._found(record, is_latest_asked=True)

    def _found(self, record: LogRecord, *, is_latest_asked: bool) -> Entry:
        """Ask the call sites of a record's signature; the one that takes it is the latest then."""
        try:
            if record.exc_info:
                # No call site takes it.
                return NO_ENTRY
            key = _key(record)
            call_sites = self._by_signature[signature_of(record, key)]
        except Exception:
            return NO_ENTRY
        asked = self._latest.get(key) if is_latest_asked else None
        for call_site in call_sites:
            if call_site.extract is asked:
                continue
            try:
                entry = call_site.extract(record)
            except Exception:
                # The record has other extras, or another number of arguments.
                entry = NO_ENTRY
            # Another thread may have forgotten the call site before `extract` was called.
            if entry is not NO_ENTRY and entry[0] in self._compiled.by_number:
                # A call site of long texts takes short ones, too, which cost more there.
                if call_site.is_light or key not in self._latest:
                    self._latest[key] = call_site.extract
                return entry
        return NO_ENTRY

    def entry(self, record: LogRecord) -> tuple[Entry, bool] | None:
        """Return the entry of a record, and whether it is light, or None if no call site takes it.

        The records that no call site takes are counted, so that their call site may be compiled.
        """
        if self.form is None or type(record) is not LogRecord:
            return None
        entry = self._found(record, is_latest_asked=False)
        if entry is not NO_ENTRY:
            return entry, entry[0] < HEAVY
        try:
            # What a traceback shows may change, so such a record is formatted at once.
            if record.exc_info or record.exc_text is not None or record.stack_info is not None:
                return None
            key = _key(record)
            signature = signature_of(record, key)
            if key is not None and self._is_hot(signature, record):
                self.form = self._form()
                if self.form is not None:
                    self._compile(signature, record, self.form)
        except Exception:
            # Another thread may be changing the record. It is formatted all the same.
            return None
        return None

    def _compile(self, signature: Signature, record: LogRecord, form: LineForm) -> None:
        # Set first: the text of a value may log the same again, which must not compile it, too.
        self._counts[signature] = -math.inf
        others = self._by_signature.get(signature, ())
        found = self._compiled.compile(record, form, others)
        if found is None:
            return
        compiled, replaced = found
        self._counts[signature] = 0
        others = self._by_signature.get(signature, ())
        kept = [site for site in others if site is not replaced]
        self._by_signature[signature] = (*kept, compiled)
        if replaced is not None:
            self._latest.pop(signature[-1], None)
            self._compiled.retire([replaced])
        if excess := self._compiled.excess():
            # Other threads add call sites meanwhile: copies are searched.
            for signature, call_sites in self._by_signature.copy().items():
                left = tuple([site for site in call_sites if site not in excess])
                if not left:
                    self._by_signature.pop(signature, None)
                elif left != call_sites:
                    self._by_signature[signature] = left
            self._latest.clear()

    def retire(self) -> None:
        """Take no more records, because the handler has another formatter."""
        self._latest.clear()
        by_signature, self._by_signature = self._by_signature, {}
        self._compiled.retire([*itertools.chain(*by_signature.copy().values())])

    def _is_hot(self, signature: Signature, record: LogRecord) -> bool:
        """Count a record; return whether its kind came often enough to compile a call site."""
        if len(self._by_signature.get(signature, ())) >= _MAX_CALL_SITES_OF_A_SIGNATURE:
            return False
        count = self._counts.get(signature, 0) + 1
        is_hot = count >= _RECORDS_BEFORE_COMPILING
        # Asked before a signature is kept, which may be long, and for the record to compile.
        if (count == 1 or is_hot) and is_made_at_run_time(record):
            return False
        if len(self._counts) >= _MAX_COUNTED and signature not in self._counts:
            self._counts.clear()
        self._counts[signature] = count
        return is_hot


def _key(record: LogRecord) -> object:
    """Return the template, or what stands for it; None if no call site takes such a record."""
    message, arguments = record.msg, record.args
    if arguments:
        return message if type(message) is str else None
    if type(message) is str and type(arguments) is tuple:
        return record.name, record.levelno, len(record.__dict__)
    if type(message) is dict:
        return record.name, record.levelno, *message
    # A text with merged arguments, or an object.
    return record.name, record.levelno, len(record.__dict__), type(message), type(arguments)
