"""What waits of a record, and the frames that it becomes: either side of the buffer."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from logplex_handler._formatting.call_sites import CallSites, CompiledCallSites
from logplex_handler._formatting.formatter import KeyValueFormatter, line_form
from logplex_handler._formatting.render import NO_MILLISECOND
from logplex_handler._process.diagnostics import in_words
from logplex_handler._wire import packet
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.entry import LIGHT, Entry, weight
from logplex_handler._wire.frames import Run
from logplex_handler._wire.packet import PacketForm, one_line, readdressed
from logplex_handler.metrics import metric_pairs


class Codec:
    """Makes entries of records, and frames of entries, in one sender's form.

    An entry is the number of a shape, the record's time, and the values that a line of this shape
    is made of. Without a shape it is how many packets it will make, or an estimate of that, below
    zero; the record's time and level; and the text of its line. These are tuples of immutable
    built-ins, which give a garbage collection no work, however many wait.
    """

    def __init__(
        self,
        packet: PacketForm,
        default_formatter: KeyValueFormatter,
        *,
        compile_call_sites: bool = True,
        token_as_appname: bool = False,
    ) -> None:
        self._packet = packet
        self._token_as_appname = token_as_appname
        self._default_formatter = default_formatter
        self._compile_call_sites = compile_call_sites
        self._compiled = CompiledCallSites(packet)
        # Of the formatter that was used last. `call_sites.light_entry(record, formatter)` is what
        # has to wait of a record, if that is soon said and light, else None.
        self.call_sites = self._call_sites_of(None)

    def _call_sites_of(self, formatter: logging.Formatter | None) -> CallSites:
        form = line_form(formatter or self._default_formatter) if self._compile_call_sites else None
        return CallSites(self._compiled, formatter, form)

    def entry(
        self, record: logging.LogRecord, formatter: logging.Formatter | None
    ) -> tuple[Entry, bool]:
        """What has to wait of any record, and whether it is light.

        Raises:
            Exception: what the formatter raises, or says wrong, and what no packet can be made of.
        """
        call_sites = self.call_sites
        if call_sites.formatter is not formatter:
            call_sites = self.call_sites = self._call_sites_of(formatter)
        entry = call_sites.entry(record)
        if entry is not None:
            return entry, True
        entry = self._formatted(record, formatter)
        size, packets = self.weigh(entry)
        return entry, size <= LIGHT and packets == 1

    def _formatted(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Entry:
        if formatter is None:
            text = self._default_formatter.format(record)
        else:
            text = formatter.format(record)
            if not isinstance(text, str):
                raise TypeError(f"the formatter returned {type(text).__name__}, not a string")
            if type(text) is not str:
                # A class of its own could say another thing each time.
                text = str.__str__(text)
            if not isinstance(formatter, KeyValueFormatter):
                # A line break in it is no end of a line, as it is in the text of ours.
                text = one_line(text)
        created = packet.in_calendar(record.created)
        if math.isnan(created):
            raise ValueError("the record's time is no number")
        if not isinstance(record.levelno, int):
            raise TypeError("the record's level is no number")
        return (-self._packet.count(text), created, record.levelno, text)

    def weigh(self, entry: Entry) -> tuple[int, int]:
        """Bytes that an entry holds, and packets that it will make, or an estimate of them."""
        return weight(entry), max(1, -entry[0])

    def render(
        self, entries: Iterable[Entry], destination: Destination
    ) -> Iterator[Run | list[bytes]]:
        """The frames of each entry, none if that fails; and runs of those that are one in ASCII.

        What was formatted becomes frames when its turn comes, as it may be long, and there may be
        no room for it.
        """
        packet = self._packet_for(destination)
        rendered: list[bytes | list[bytes]] = []
        # Whether there are others in it than frames.
        is_mixed = False

        def render_slowly(entry: Entry) -> list[bytes]:
            nonlocal is_mixed
            is_mixed = True
            return self._rendered_slowly(packet, entry)

        time = NO_MILLISECOND
        for number, alike in groupby(entries, itemgetter(0)):
            if number < 0:
                yield from _with_runs(rendered, is_mixed=is_mixed)
                yield from map(render_slowly, alike)
                rendered, is_mixed = [], False
            else:
                call_site = self._compiled.by_number[number]
                time = call_site.render(
                    alike, rendered.append, render_slowly, packet.after_time, time
                )
        yield from _with_runs(rendered, is_mixed=is_mixed)

    def readdress(self, frame: bytes, old: Destination, new: Destination) -> bytes:
        """A frame for one destination as it is for another."""
        return readdressed(frame, self._packet_for(old), self._packet_for(new))

    def _packet_for(self, destination: Destination) -> PacketForm:
        packet = self._packet
        if destination.hostname is not None:
            packet = replace(packet, hostname=destination.hostname)
        if self._token_as_appname:
            packet = replace(packet, appname=destination.token)
        return packet

    def _rendered_slowly(self, packet: PacketForm, entry: Entry) -> list[bytes]:
        """The frames of an entry that was formatted, or has arguments that do not fit, or texts
        that are not ASCII or long."""
        try:
            if entry[0] < 0:
                return packet.frames(*entry[1:])
            call_site = self._compiled.by_number[entry[0]]
            return packet.frames(entry[1], call_site.level, call_site.line(entry))
        except Exception:
            return []

    def drop_notice(
        self, dropped: Counter[str], formatter: logging.Formatter | None, destination: Destination
    ) -> list[bytes]:
        """The frames that tell a stream of the records dropped, by cause.

        In the application's own form if that is key=value, so with its source.
        """
        count = metric_pairs.count("logplex_handler.dropped", dropped.total())
        return self._own_line(logging.WARNING, in_words(dropped), count, formatter, destination)

    def health_lines(
        self,
        pairs: Mapping[str, str],
        formatter: logging.Formatter | None,
        destination: Destination,
    ) -> list[bytes]:
        """The frames of metrics on the handler itself, in the same form."""
        return self._own_line(logging.INFO, "", pairs, formatter, destination)

    def _own_line(
        self,
        level: int,
        message: str,
        pairs: Mapping[str, str],
        formatter: logging.Formatter | None,
        destination: Destination,
    ) -> list[bytes]:
        record = logging.LogRecord("logplex_handler", level, __file__, 0, "%s", (message,), None)
        record.__dict__.update(pairs)
        if type(formatter) is not KeyValueFormatter:
            formatter = self._default_formatter
        packet = self._packet_for(destination)
        return packet.frames(record.created, record.levelno, formatter.format(record))


def _with_runs(rendered: Sequence[Any], *, is_mixed: bool) -> list[Run | list[bytes]]:
    if not is_mixed:
        # As nearly always: they need not be asked one by one.
        return [Run(rendered)] if rendered else []
    runs: list[Run | list[bytes]] = []
    for kind, alike in groupby(rendered, type):
        some: Iterable[Any] = alike
        runs += [Run(some)] if kind is bytes else some
    return runs
