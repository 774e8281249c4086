"""The way of a record through this room: a record becomes an entry, and an entry becomes frames.

Between the two, the entry waits in an accumulator. `Codec.entry` runs in the caller's thread and
`Codec.render` in a worker.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from logging import LogRecord
from operator import itemgetter
from time import monotonic

from logplex_handler._formatting import fitting
from logplex_handler._formatting.call_sites import CallSites, CompiledCallSites
from logplex_handler._formatting.formatter import (
    KeyValueFormatter,
    line_form,
    own_line,
    watchers,
)
from logplex_handler._formatting.line import LineForm
from logplex_handler._formatting.long_lines import parts
from logplex_handler._formatting.nesting import nested
from logplex_handler._formatting.render import NO_MILLISECOND
from logplex_handler._process.diagnostics import drops_in_words
from logplex_handler._wire import packet
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.entry import HEAVY, LIGHT, Entry, weight
from logplex_handler._wire.frames import Rendered, Run
from logplex_handler._wire.packet import Cut, Fragments, PacketForm, one_line, readdressed
from logplex_handler.metrics import metric_pairs

# The bytes of heavy entries that are rendered together, although the batch may have no room for the
# last of them.
_RENDERED_AT_ONCE = 65_536
# The length of the entry of a text of key=value lines.
_OF_LINES = 4


class DoesNotFit(Exception):
    """The record is too long for the handler's memory."""


class Codec:
    """Makes entries from records, and frames from entries, for one handler.

    There are two forms of entries, both tuples of immutable built-ins, which cost the garbage
    collector nothing, however many wait. The time of both is a float, whatever the record had.

    - `(number, time, value, ...)`: the number of a compiled call site, which is above zero, and the
      values that its lines are rendered from. If the number is `HEAVY` or more, the entry is heavy,
      and its last two values are its packets and its weight.
    - `(-packets, time, level, text)`: a formatted text of key=value lines, and the number of its
      packets, or an estimate. A None before the text means that it is of another kind.

    Args:
        default_formatter: For records whose handler has no formatter, and for the handler's own
            lines where the handler's formatter is not a KeyValueFormatter.
        may_compile: Returns whether records may be formatted in another thread.
        own_formatter: Returns the formatter that the handler has now.
        max_bytes: The most memory of an entry. A record that cannot fit is not formatted.
    """

    def __init__(
        self,
        packet: PacketForm,
        default_formatter: KeyValueFormatter,
        *,
        may_compile: Callable[[], bool] = lambda: True,
        token_as_appname: bool = False,
        own_formatter: Callable[[], logging.Formatter | None] = lambda: None,
        max_bytes: float = math.inf,
    ) -> None:
        self._max_bytes = max_bytes
        self._packet = packet
        self._token_as_appname = token_as_appname
        self.default_formatter = default_formatter
        self._own_formatter = own_formatter
        self._may_compile = may_compile
        self._compiled = CompiledCallSites(packet)
        # The call sites of the formatter used last. For nearly every record,
        # `call_sites.latest_entry(record, formatter)` returns what `entry` would.
        self.call_sites = self._call_sites_of(None)
        watchers.add(self)

    def _call_sites_of(self, formatter: logging.Formatter | None) -> CallSites:
        given = formatter or self.default_formatter

        def form() -> LineForm | None:
            return line_form(given) if self._may_compile() else None

        return CallSites(self._compiled, formatter, form)

    def look_again(self) -> None:
        """Forget the compiled call sites, because a method may have been replaced."""
        self.call_sites.retire()
        self.call_sites = self._call_sites_of(self.call_sites.formatter)

    def entry(
        self,
        record: logging.LogRecord,
        formatter: logging.Formatter | None,
        own_format: Callable[[logging.LogRecord], str] | None = None,
    ) -> tuple[Entry, bool]:
        """Return the entry of any record, and whether it is light.

        Args:
            own_format: Formats the record in place of the formatter, and returns the same kind of
                text.

        Raises:
            DoesNotFit: The entry would take more than `max_bytes`.
            NestedTooDeeply: Other records are being formatted, one of which has logged this one.
            TypeError, ValueError: The text, time or level cannot be sent.
            Exception: Any error of the formatter.
        """
        if own_format is None:
            call_sites = self.call_sites
            if call_sites.formatter is not formatter:
                call_sites.retire()
                call_sites = self.call_sites = self._call_sites_of(formatter)
            compiled = call_sites.entry(record)
            if compiled is not None:
                return compiled
            form = call_sites.form
            if form is not None and not fitting.fits(record, form.omitted, self._max_bytes):
                raise DoesNotFit
        entry = self._formatted(record, formatter, own_format)
        size, packets = self.weigh(entry)
        return entry, size <= LIGHT and packets == 1

    def _formatted(
        self,
        record: logging.LogRecord,
        formatter: logging.Formatter | None,
        own_format: Callable[[logging.LogRecord], str] | None,
    ) -> Entry:
        given = formatter or self.default_formatter
        text = nested(own_format or given.format, record)
        if type(text) is not str:
            if not isinstance(text, str):
                raise TypeError(f"the formatter returned {type(text).__name__}, not a string")
            # A subclass could return a different text each time it is read.
            text = str.__str__(text)
        if len(text) > self._max_bytes:
            raise DoesNotFit
        is_foreign = not isinstance(formatter, KeyValueFormatter | None)
        if is_foreign:
            # A newline ends a line only in the text of a KeyValueFormatter.
            text = one_line(text)
        elif own_format is not None or line_form(given) is None:
            text = "\n".join(map(one_line, packet.lines(text)))
        # The time may be of any type that can be compared with a float, Decimal for example.
        created = float(packet.in_calendar(record.created))
        if math.isnan(created):
            raise ValueError("the record's time is no number")
        if not isinstance(record.levelno, int):
            raise TypeError("the record's level is no number")
        packets = self._packet.count(text)
        # A subclass could run code of the application in a worker.
        level = int.__index__(record.levelno)
        if is_foreign:
            return (-packets, created, level, None, text)
        return (-packets, created, level, text)

    @staticmethod
    def created(entry: Entry) -> float:
        """Return the time of an entry's record, in seconds since the epoch."""
        created: float = entry[1]
        return created

    def weigh(self, entry: Entry) -> tuple[int, int]:
        """Return the bytes of memory of an entry, and its packets or an estimate: see `Weigh`."""
        number = entry[0]
        if number < 0:
            return weight(entry), -number
        if number >= HEAVY:
            return entry[-1], entry[-2]
        return weight(entry), 1

    def render(self, entries: Iterable[Entry], destination: Destination) -> Iterator[Rendered]:
        # Heavy entries are rendered only when the iterator reaches them, or a few entries earlier:
        # the batch may have no room for them.
        form = self._packet_for(destination)
        after_time = form.after_time
        frames: list[bytes] = []
        append = frames.append
        split: list[tuple[int, int]] = []
        rendered: list[Rendered] = []

        def end_run() -> None:
            if frames:
                rendered.append(Run(frames, split))
                frames.clear()
                split.clear()

        def take() -> list[Rendered]:
            end_run()
            taken = [*rendered]
            rendered.clear()
            return taken

        cut: Cut | None = None

        def append_long(packet: Sequence[bytes], header: int) -> None:
            nonlocal cut
            cut = cut or self._cut()
            of_record = form.frames_of_packet(packet, header, cut)
            if len(of_record) > 1:
                split.append((len(frames), len(of_record)))
            frames.extend(of_record)

        def render_slowly(entry: Entry) -> None:
            end_run()
            rendered.append(self._rendered_slowly(form, entry))

        time = NO_MILLISECOND
        now = monotonic()
        size = 0
        for number, group in groupby(entries, itemgetter(0)):
            site = self._compiled.by_number.get(number)
            if site is None:
                for entry in group:
                    # Most texts are one packet, even beside the destination's hostname.
                    text = entry[-1]
                    is_one = number == -1 and len(entry) == _OF_LINES and len(text) <= form.room
                    if is_one and text.isascii():
                        append(form.frame(*entry[1:]))
                        size += len(text)
                        if size < _RENDERED_AT_ONCE:
                            continue
                    else:
                        render_slowly(entry)
                    yield from take()
                    size = 0
                continue
            if site.is_light:
                time = site.render(group, append, append_long, render_slowly, after_time, time)
            else:
                for some in _portions(group):
                    time = site.render(some, append, append_long, render_slowly, after_time, time)
                    yield from take()
            site.used_at = now
        yield from take()

    def _rendered_slowly(self, form: PacketForm, entry: Entry) -> list[bytes]:
        """Return the frames of one entry of either form, whatever its values are."""
        try:
            if entry[0] > 0:
                layout = self._compiled.by_number[entry[0]].layout
                return form.frames(
                    entry[1], layout.level, layout.line(entry), self._cut_one, is_clean=True
                )
            _, created, level, *is_foreign, text = entry
            return form.frames(
                created, level, text, None if is_foreign else self._cut_one, is_clean=True
            )
        except Exception:
            return []

    def _cut_one(self, line: Sequence[bytes], room: int) -> list[Fragments]:
        # Most lines fit, and need no such function.
        return self._cut()(line, room)

    def _cut(self) -> Cut:
        """Return what cuts lines that are too long for a packet."""
        form = line_form(self._own_formatter() or self.default_formatter)
        return partial(parts, live=[pair.key.encode() for pair in form.live] if form else ())

    def readdress(self, frame: bytes, old: Destination, new: Destination) -> bytes:
        return readdressed(frame, self._packet_for(old), self._packet_for(new))

    def _packet_for(self, destination: Destination) -> PacketForm:
        form = self._packet
        if destination.hostname is not None:
            form = replace(form, hostname=destination.hostname)
        if self._token_as_appname:
            form = replace(form, appname=destination.token)
        return form

    def drop_notice(self, dropped: Counter[str], destination: Destination) -> list[bytes]:
        """Return the frames of the line that reports dropped records in their stream, by cause."""
        count = metric_pairs.count("logplex_handler.dropped", dropped.total())
        return self._own_line(logging.WARNING, drops_in_words(dropped), count, destination)

    def health_lines(self, pairs: Mapping[str, str], destination: Destination) -> list[bytes]:
        return self._own_line(logging.INFO, "", pairs, destination)

    def _own_line(
        self, level: int, message: str, pairs: Mapping[str, str], destination: Destination
    ) -> list[bytes]:
        # Not the class that a program may have put in its place since, which may expect a request.
        record = LogRecord("logplex_handler", level, __file__, 0, "%s", (message,), None)
        record.__dict__.update(pairs)
        # The application's KeyValueFormatter may have a source.
        formatter = self._own_formatter()
        if type(formatter) is not KeyValueFormatter:
            formatter = self.default_formatter
        text = own_line(formatter, record)
        return self._packet_for(destination).frames(record.created, level, text, parts)


def _portions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield heavy entries of one call site in the lists in which they are rendered together."""
    portion, size = [], 0
    for entry in entries:
        portion.append(entry)
        size += entry[-1]
        if size >= _RENDERED_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
