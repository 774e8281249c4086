"""Prints lines as `heroku logs --tail` does, and explains each violation below its line.

Text is printed with colours if the output supports them, and without control characters.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TextIO

from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.receiver.query import Query
from logplex_handler.testing import Request, Violation

_CONTROL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# The colours that `heroku logs` gives to processes: readable on dark and on light; none is red.
_PROCESS_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
# The handler's own `level` precedes any text that could hold another; Heroku's router says `at`.
_LEVEL = re.compile(r"(?<![^ ])(?:level|at)=(\w+)")
_LEVEL_COLOURS = {
    **dict.fromkeys(("error", "err", "critical", "crit", "fatal", "alert", "emergency"), "red"),
    **dict.fromkeys(("warning", "warn"), "yellow"),
    **dict.fromkeys(("debug", "trace"), "dim"),
    **dict.fromkeys(("info", "notice"), ""),
}
# The widest column of streams' names; a longer name stands out.
_MAX_COLUMN = 24
# The most processes whose head is kept ready.
_MAX_HEADS = 10_000

_ANSWERS = {
    0: "never answered",
    401: "not let in: the user is not `token`, or the token is unknown here or was rotated",
}


class Style:
    """Colours text if the output supports it."""

    def __init__(self, stream: TextIO) -> None:
        """Use colours if `stream` is a terminal; `NO_COLOR` and `FORCE_COLOR` override this."""
        self.is_terminal = _is_terminal(stream)
        wanted = bool(os.environ.get("FORCE_COLOR")) or self.is_terminal
        self.is_on = wanted and not os.environ.get("NO_COLOR")
        self.arrow = "→" if _can_show(stream, "→") else "->"

    @property
    def width(self) -> int:
        """The columns for explanations: those of the terminal, but few enough to read easily."""
        return min(96, shutil.get_terminal_size((96, 24)).columns)

    def paint(self, text: str, name: str) -> str:
        """Return the text in bold, dim, red, green, yellow or cyan."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self.is_on else text

    def of_process(self, text: str, process: str) -> str:
        """Return the text in the colour of a process, the same in every run."""
        if not self.is_on:
            return text
        code = _PROCESS_COLOURS[zlib.crc32(process.encode()) % len(_PROCESS_COLOURS)]
        return f"\x1b[{code}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """Return the text with control characters as escapes, so that none reaches the terminal."""
    # All of them are not printable, and so a text that is has none.
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _can_show(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


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
            packet.severity <= self.severity
            and (not self.streams or _matches(seen.stream, self.streams))
            and (not self.processes or _matches(packet.procid, self.processes))
            and self.query.matches(seen)
        )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _coloured(text: str, severity: int, style: Style) -> str:
    """Return the text with its level in the level's colour, or all of it if it names none."""
    if not style.is_on:
        return text
    of_packet = "red" if severity <= 3 else {4: "yellow", 7: "dim"}.get(severity, "")
    level = _LEVEL.search(text)
    if level is None:
        return style.paint(text, of_packet) if of_packet else text
    colour = _LEVEL_COLOURS.get(level[1].lower(), of_packet) or of_packet
    if not colour:
        return text
    return text[: level.start()] + style.paint(level[0], colour) + text[level.end() :]


class Terminal:
    """A viewer that prints requests to stdout."""

    def __init__(
        self, style: Style, line_filter: Filter, *, quiet: bool = False, exact: bool = False
    ) -> None:
        """With `quiet`, print only violations and their lines; with `exact`, only customers' lines.

        These are printed exactly as `heroku logs` shows them, without what Logplex hides.
        """
        self._style = style
        self._filter = line_filter
        self._quiet = quiet
        self._exact = exact
        # The stream that was shown first, the widest name, and whether there is a column of names.
        self._first_stream: str | None = None
        self._width = 0
        self._has_column = False
        # What stands before and after the time, by stream, app name and process.
        self._heads: dict[tuple[str, str, str], tuple[str, str]] = {}
        self.lines = self.requests = self.violations = 0
        # Set when stdout is closed, for example because `head` has read enough.
        self.reader_is_gone = threading.Event()

    def __call__(self, received: ReceivedRequest) -> None:
        self.requests += received.request is not None
        self.lines += len(received.lines)
        shown = "".join([f"{line}\n" for line in self._shown(received)])
        if not shown or self.reader_is_gone.is_set():
            return
        try:
            sys.stdout.write(shown)
            sys.stdout.flush()
        except (OSError, ValueError):
            self.reader_is_gone.set()

    def _shown(self, received: ReceivedRequest) -> Iterator[str]:
        passes = self._filter.passes
        if self._exact:
            for line in filter(passes, received.lines):
                for packet in line.line.parts or (line.line,):
                    if packet.shown:
                        yield self._shown_line(ReceivedLine(packet, line.stream, ()))
            return
        if (note := _answer_note(received.request)) is not None:
            yield self._style.paint(note, "dim")
        for violation in received.violations:
            yield from self._explained(violation)
        for line in received.lines:
            if not self._quiet and passes(line):
                yield self._shown_line(line)
            for violation in line.violations:
                if self._quiet:
                    yield self._shown_line(line)
                yield from self._explained(violation)

    def _shown_line(self, seen: ReceivedLine) -> str:
        """Return a line as its customer sees it, after the stream's name if there are several."""
        line, style = seen.line, self._style
        packet = line.packet
        key = (seen.stream, packet.appname, packet.procid)
        head = self._heads.get(key)
        if head is None:
            head = self._new_head(*key)
        before, after = head
        if not line.shown:
            column = before.partition(" | ")
            hidden = style.paint(f"(shown to nobody) {harmless(packet.text)}", "dim")
            return f"{column[0]}{column[1]}{hidden}" if column[1] else hidden
        text = _coloured(harmless(packet.text), packet.severity, style)
        packets = style.paint(f" ({len(line.parts)} packets)", "dim") if line.parts else ""
        return f"{before}{harmless(packet.timestamp)}{after} {text}{packets}"

    def _new_head(self, stream: str, appname: str, procid: str) -> tuple[str, str]:
        """Return what stands before and after the time, and remember it."""
        style, name = self._style, harmless(stream)
        if self._first_stream is None:
            self._first_stream = stream
        width = max(self._width, min(_MAX_COLUMN, len(name)))
        has_column = self._has_column or (stream != self._first_stream and not self._exact)
        if (width, has_column) != (self._width, self._has_column) or len(self._heads) >= _MAX_HEADS:
            self._width, self._has_column = width, has_column
            self._heads.clear()
        column = ""
        if has_column:
            column = f"{style.of_process(name, stream)}{' ' * (width - len(name))} | "
        # The time is between the colour's code and the process.
        before, _, after = style.of_process(
            f"\0{harmless(f' {appname}[{procid}]:')}", procid
        ).partition("\0")
        head = self._heads[stream, appname, procid] = (column + before, after)
        return head

    def _explained(self, violation: Violation) -> Iterator[str]:
        self.violations += 1
        texts = {
            "  ! ": harmless(violation.finding),
            "    ": violation.consequence,
            f"    {self._style.arrow} ": violation.cure,
        }
        for indent, text in texts.items():
            lines = textwrap.wrap(
                text, self._style.width, initial_indent=indent, subsequent_indent="    "
            )
            for line in lines:
                yield self._style.paint(line, "yellow") if indent == "  ! " else line


def _answer_note(request: Request | None) -> str | None:
    """Return a note on an answer other than success, unless the violations explain it."""
    if request is None:
        return None
    if request.on_purpose:
        answer = request.status or "no answer"
        return f"  - {answer} on purpose: a batch of {_lines(request.frames)} was not taken"
    if request.status in _ANSWERS:
        return f"  - {request.status}: {_ANSWERS[request.status]}"
    if request.status >= 300:
        verb = "was" if request.frames == 1 else "were"
        return f"  - {request.status}: {_lines(request.frames)} {verb} not taken"
    return None


def _lines(number: int) -> str:
    return "1 line" if number == 1 else f"{number} lines"
