"""Prints lines as `heroku logs --tail` does, and explains each violation below its line."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.receiver.style import Style, harmless
from logplex_handler.testing import Line, Request, Violation

# Columns; wider explanations are hard to read.
_WIDTH = 96

_ANSWERS = {
    0: "never answered",
    401: "not let in: the user is not `token`, or the token is unknown here or was rotated",
}


@dataclass(frozen=True)
class Filter:
    """Selects the lines to show; the default shows all.

    Attributes:
        streams, processes: Patterns with `*`, of which one must match; empty for all.
        severity: The lowest severity to show, from 0 (emergency) to 7 (debug).
        text: A text that the line contains, in any case.
    """

    streams: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    severity: int = 7
    text: str = ""

    def passes(self, seen: ReceivedLine) -> bool:
        packet = seen.line.packet
        return (
            packet.severity <= self.severity
            and _matches(seen.stream, self.streams)
            and _matches(packet.procid, self.processes)
            and self.text.lower() in packet.text.lower()
        )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def shown_line(line: Line, style: Style) -> str:
    """A line as `heroku logs` shows it, in the colour of its process, and safe to print."""
    packet = line.packet
    if not line.shown:
        return style.paint(f"(shown to nobody) {harmless(packet.text)}", "dim")
    name = harmless(f"{packet.timestamp} {packet.appname}[{packet.procid}]:")
    return f"{style.of_process(name, packet.procid)} {harmless(packet.text)}"


class Terminal:
    """Prints requests to stdout; a viewer."""

    def __init__(self, style: Style, line_filter: Filter, *, quiet: bool = False) -> None:
        """`quiet`: print only violations, and the lines that have some."""
        self._style = style
        self._filter = line_filter
        self._quiet = quiet
        self.lines = self.requests = self.violations = 0
        # Set when stdout is closed, for example because `head` has read enough.
        self.reader_is_gone = threading.Event()

    def __call__(self, received: ReceivedRequest) -> None:
        self.requests += 1
        self.lines += len(received.lines)
        shown = "".join(f"{line}\n" for line in self._shown(received))
        if not shown or self.reader_is_gone.is_set():
            return
        try:
            sys.stdout.write(shown)
            sys.stdout.flush()
        except (OSError, ValueError):
            self.reader_is_gone.set()

    def _shown(self, received: ReceivedRequest) -> Iterator[str]:
        if (note := _answer_note(received.request)) is not None:
            yield self._style.paint(note, "dim")
        for violation in received.violations:
            yield from self._explained(violation)
        for line in received.lines:
            if not self._quiet and self._filter.passes(line):
                yield shown_line(line.line, self._style)
            for violation in line.violations:
                if self._quiet:
                    yield shown_line(line.line, self._style)
                yield from self._explained(violation)

    def _explained(self, violation: Violation) -> Iterator[str]:
        self.violations += 1
        yield self._style.paint(f"  ! {harmless(violation.finding)}", "yellow")
        for mark, text in (("", violation.consequence), ("→ ", violation.cure)):
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent=f"    {mark}", subsequent_indent="    "
            )


def _answer_note(request: Request) -> str | None:
    """A note on an answer other than success, unless the violations explain it."""
    if request.on_purpose:
        answer = request.status or "no answer"
        return f"  - {answer} on purpose: a batch of {request.frames} lines was not taken"
    if request.status in _ANSWERS:
        return f"  - {request.status}: {_ANSWERS[request.status]}"
    if request.status >= 300:
        return f"  - {request.status}: {request.frames} lines were not taken"
    return None
