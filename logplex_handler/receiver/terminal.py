"""Prints lines as `heroku logs --tail` does, and explains each violation below its line.

Text is printed with colours if the output supports them, and without control characters.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from logplex_handler.receiver._explained import Explanations, wrapped
from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.receiver.printer import Printer
from logplex_handler.receiver.query import Query
from logplex_handler.receiver.style import Style, harmless
from logplex_handler.testing import Line, Request
from logplex_handler.testing.wire_parser import Packet

# The handler's own `level` precedes any text that could hold another; Heroku's router says `at`.
_LEVEL = re.compile(r"(?<![^ ])(?:level|at)=(\w+)")
_LEVEL_COLOURS = {
    **dict.fromkeys(("error", "err", "critical", "crit", "fatal", "alert", "emergency"), "red"),
    **dict.fromkeys(("warning", "warn"), "yellow"),
    **dict.fromkeys(("debug", "trace"), "dim"),
}
# The widest column of streams' names; a longer name stands out.
_MAX_COLUMN = 24
# The most streams that are named at the end if a filter let no line pass.
_MAX_NAMED = 10
# The most processes whose head is kept ready, and the most streams whose colour is; and the most
# characters of the process and its app, of which a malformed packet may have thousands.
_MAX_HEADS = 10_000
_MAX_PROCESS = 200
# The most violations of a request's lines that are explained.
_MAX_EXPLAINED = 1_000
# The bytes of a body in which the first packet's header is looked for, and its hostname there.
_HOSTNAME_WITHIN = 4_096
_HOSTNAME = re.compile(rb"<[0-9]{1,3}>[0-9] [^ ]{1,64} ([^ ]{1,255}) ")


def as_customers_see(line: Line) -> str:
    """Return a line's packets as `heroku logs` shows them, each with a newline, harmless."""
    return "".join(f"{harmless(str(one))}\n" for one in line.parts or (line,) if one.shown)


@dataclass(frozen=True)
class Filter:
    """Selects the lines to show; the default shows all.

    Attributes:
        streams, processes: Patterns with `*`, of which one must match; empty for all.
        severity: The lowest severity to show, from 0 (emergency) to 7 (debug).
        query: What the line must match.
    """

    streams: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    severity: int = 7
    query: Query = field(default_factory=lambda: Query(""))

    def passes(self, seen: ReceivedLine) -> bool:
        packet = seen.line.packet
        return (
            packet.priority & 7 <= self.severity
            and self.passes_stream(seen.stream)
            and (not self.processes or _matches(packet.procid, self.processes))
            and self.query.matches(seen)
        )

    def passes_stream(self, name: str) -> bool:
        return not self.streams or _matches(name, self.streams)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def coloured(text: str, severity: int, style: Style) -> str:
    """Return the text with its level in the level's colour, or all of it if it names none."""
    if not style.is_on:
        return text
    of_packet = "red" if severity <= 3 else {4: "yellow", 7: "dim"}.get(severity, "")
    level = _LEVEL.search(text)
    if level is None:
        return style.paint(text, of_packet) if of_packet else text
    colour = _LEVEL_COLOURS.get(level[1].lower(), of_packet)
    if not colour:
        return text
    return text[: level.start()] + style.paint(level[0], colour) + text[level.end() :]


class Terminal:
    """A viewer that prints requests to stdout."""

    def __init__(
        self,
        style: Style,
        line_filter: Filter,
        *,
        quiet: bool = False,
        exact: bool = False,
        printer: Printer | None = None,
        errors: Printer | None = None,
    ) -> None:
        """With `quiet`, print only lines with violations; with `exact`, only customers' lines.

        These are printed exactly as `heroku logs` shows them, without what Logplex hides.
        """
        self._printer = printer or Printer(lambda: sys.stdout)
        self._errors = errors or Printer(lambda: sys.stderr)
        self._style = style
        self._filter = line_filter
        self._quiet = quiet
        self._exact = exact
        # The widest name, and whether there is a column of names.
        self._width = 0
        self._has_column = False
        # The first two senders of requests with a note or with violations.
        self._senders: set[str] = set()
        # The colours' numbers by stream, in the order in which the streams came.
        self._numbers: dict[str, int] = {}
        # What stands before and after the time, by stream, app name and process.
        self._heads: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._explanations = Explanations(style)
        # The first streams, whether their lines were shown or not, and the one shown first.
        self.streams: set[str] = set()
        self.first_shown: str | None = None
        # `hidden` counts the violations that a filter has kept from being explained.
        self.lines = self.requests = self.violations = self.hidden = 0

    def __call__(self, received: ReceivedRequest) -> None:
        self.requests += received.request is not None
        self.lines += len(received.lines)
        if received.stream and len(self.streams) < _MAX_NAMED:
            self.streams.add(received.stream)
        # It may have been resized.
        self._style.measure()
        printed = []
        for line in self._shown(received):
            printed.append(f"{line}\n")
            if self._explanations.given:
                self._explanations.move_up(line)
        if printed:
            self._printer.write("".join(printed))

    def _shown(self, received: ReceivedRequest) -> Iterator[str]:
        if self._exact:
            for line in filter(self._filter.passes, received.lines):
                for packet in line.line.parts or (line.line,):
                    if packet.shown:
                        yield self._shown_line(ReceivedLine(packet, line.stream, ()))
            return
        yield from self._about_request(received)
        found = 0
        for line in received.lines:
            if self._is_wanted(line):
                yield self._shown_line(line)
                if line.violations:
                    found += len(line.violations)
                    if found <= _MAX_EXPLAINED:
                        yield from self._explanations.of(line.violations)
        if found > _MAX_EXPLAINED:
            more = f"  ! {found:,} violations in these lines, of which the first are explained"
            yield self._style.paint(more, "yellow")

    def _is_wanted(self, line: ReceivedLine) -> bool:
        """Return whether to show a line, and count its violations."""
        if not line.violations:
            return not self._quiet and self._filter.passes(line)
        wanted = self._filter.passes(line)
        self._count(len(line.violations), shown=wanted)
        return wanted

    def _count(self, violations: int, *, shown: bool) -> None:
        self.violations += violations
        self.hidden += 0 if shown else violations

    def _about_request(self, received: ReceivedRequest) -> Iterator[str]:
        note = _answer_note(received.request)
        if note is None and not received.violations:
            return
        sender = harmless(received.stream or _hostname(received.request))
        wanted = not sender or self._filter.passes_stream(sender)
        self._count(len(received.violations), shown=wanted)
        if not wanted:
            return
        if sender and len(self._senders) < 2:
            self._senders.add(sender)
        # It is named from when there are others.
        has_others = self._has_column or {self.first_shown, *self._senders} - {None, sender}
        if note and sender and has_others:
            note += f" ({sender})"
        for line in wrapped(note, self._style.width, "  - ") if note else ():
            yield self._style.paint(line, "dim")
        yield from self._explanations.of(received.violations)

    def _shown_line(self, seen: ReceivedLine) -> str:
        """Return a line as its customer sees it, after the stream's name if there are several."""
        line, stream, _, _ = seen
        style = self._style
        packet = line.packet
        key = (stream, packet.appname, packet.procid)
        head = self._heads.get(key)
        note = ""
        if head is None:
            had_column = self._has_column
            head = self._new_head(*key)
            if self._has_column and not had_column:
                name = harmless(self.first_shown or "")
                note = style.paint(f"  - several streams: the lines so far are of {name}", "dim")
                note += "\n"
        before, after = head
        if not line.shown:
            column = before.partition(" | ")
            hidden = style.paint(f"(shown to nobody) {harmless(packet.text)}", "dim")
            return f"{note}{column[0]}{column[1]}{hidden}" if column[1] else hidden
        packets = style.paint(f" ({len(line.parts)} packets)", "dim") if line.parts else ""
        time, text = self._time(packet.timestamp), self._text(packet)
        return f"{note}{before}{time}{after} {text}{packets}"

    def _name(self, stream: str) -> str:
        return harmless(stream)

    def _time(self, timestamp: str) -> str:
        return harmless(timestamp)

    def _process(self, appname: str, procid: str) -> str:
        return f" {appname}[{procid}]:"

    def _text(self, packet: Packet) -> str:
        return coloured(harmless(packet.text), packet.severity, self._style)

    def _new_head(self, stream: str, appname: str, procid: str) -> tuple[str, str]:
        """Return what stands before and after the time, and remember it."""
        style, name = self._style, self._name(stream)
        if self.first_shown is None:
            self.first_shown = stream
        width = max(self._width, min(_MAX_COLUMN, len(name)))
        has_column = self._has_column or (stream != self.first_shown and not self._exact)
        if (width, has_column) != (self._width, self._has_column) or len(self._heads) >= _MAX_HEADS:
            self._width, self._has_column = width, has_column
            self._heads.clear()
        column = ""
        if has_column:
            number = self._numbers.get(stream, len(self._numbers))
            if number < _MAX_HEADS:
                self._numbers[stream] = number
            column = f"{style.of_number(name, number)}{' ' * (width - len(name))} | "
        # The time is between the colour's code and the process.
        process = harmless(self._process(appname, procid))
        before, _, after = style.of_process(f"\0{process}", procid).partition("\0")
        head = (column + before, after)
        if len(appname) + len(procid) <= _MAX_PROCESS:
            self._heads[stream, appname, procid] = head
        return head


def _hostname(request: Request | None) -> str:
    """Return the hostname of a request's first packet, or empty if there is none to be found."""
    if request is None:
        return ""
    body = request.body_bytes[:_HOSTNAME_WITHIN]
    # Whatever the headers say of gzip: the end of the compressed data is cut off.
    with suppress(zlib.error):
        body = zlib.decompressobj(31).decompress(body, _HOSTNAME_WITHIN)
    found = _HOSTNAME.search(body)
    name = found[1].decode("utf-8", "replace") if found else ""
    return "" if request.token and request.token in name else name


def _answer_note(request: Request | None) -> str | None:
    """Return a note on an answer other than success, unless the violations explain it."""
    if request is None:
        return None
    if request.on_purpose:
        answer = request.status or "no answer"
        return f"{answer} on purpose: a batch of {_lines(request.frames)} was not taken"
    if request.status == 401:
        return "401: not let in: the user is not `token`, or the token is unknown or was rotated"
    if request.status >= 300:
        if not request.frames:
            return f"{request.status}: nothing was taken"
        verb = "was" if request.frames == 1 else "were"
        return f"{request.status}: {_lines(request.frames)} {verb} not taken"
    return None


def _lines(number: int) -> str:
    return "1 line" if number == 1 else f"{number} lines"
