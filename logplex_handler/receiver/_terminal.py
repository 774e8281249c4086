"""What arrives, as `heroku logs --tail` shows it, with every violation explained below its line."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from logplex_handler.receiver._feed import Arrived, Seen
from logplex_handler.receiver.style import Style, harmless
from logplex_handler.testing import Line, Request, Violation

# Explanations are for reading, so not wider than a page.
_WIDTH = 96

_ANSWERS = {
    0: "never answered",
    401: "not let in: the user is not `token`, or the token is unknown here or was rotated",
}


@dataclass(frozen=True)
class Filter:
    """Which lines are shown: patterns with `*` for streams and processes; all if not given.

    Attributes:
        streams, processes: Any of these.
        severity: Of this severity or a worse one, 0 (emergency) to 7 (debug).
        text: What the text holds, whatever the case.
    """

    streams: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    severity: int = 7
    text: str = ""

    def passes(self, seen: Seen) -> bool:
        """Whether a line is shown."""
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
    """A line as `heroku logs` shows it, in the colour of its process and harmless to terminals."""
    packet = line.packet
    if not line.shown:
        return style.paint(f"(shown to nobody) {harmless(packet.text)}", "dim")
    name = harmless(f"{packet.timestamp} {packet.appname}[{packet.procid}]:")
    return f"{style.of_process(name, packet.procid)} {harmless(packet.text)}"


class Terminal:
    """Prints what arrives to stdout; a viewer."""

    def __init__(self, style: Style, chosen: Filter, *, quiet: bool = False) -> None:
        """`quiet`: no lines, only what is wrong."""
        self._style = style
        self._chosen = chosen
        self._quiet = quiet
        self.lines = self.requests = self.violations = 0
        # Set when there is nobody to print for any more.
        self.is_gone = threading.Event()

    def __call__(self, arrived: Arrived) -> None:
        """Print a request's lines and what is wrong with them."""
        self.requests += 1
        self.lines += len(arrived.lines)
        shown = "".join(f"{line}\n" for line in self._shown(arrived))
        if not shown or self.is_gone.is_set():
            return
        try:
            sys.stdout.write(shown)
            sys.stdout.flush()
        except (OSError, ValueError):
            self.is_gone.set()

    def _shown(self, arrived: Arrived) -> Iterator[str]:
        if (told := _of_answer(arrived.request)) is not None:
            yield self._style.paint(told, "dim")
        for violation in arrived.violations:
            yield from self._explained(violation)
        for seen in arrived.lines:
            if not self._quiet and self._chosen.passes(seen):
                yield shown_line(seen.line, self._style)
            for violation in seen.violations:
                if self._quiet:
                    yield shown_line(seen.line, self._style)
                yield from self._explained(violation)

    def _explained(self, violation: Violation) -> Iterator[str]:
        self.violations += 1
        yield self._style.paint(f"  ! {harmless(violation.finding)}", "yellow")
        for mark, text in (("", violation.consequence), ("→ ", violation.cure)):
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent=f"    {mark}", subsequent_indent="    "
            )


def _of_answer(request: Request) -> str | None:
    """A word on an answer other than success; violations explain the others."""
    if request.on_purpose:
        answer = request.status or "no answer"
        return f"  - {answer} on purpose: a batch of {request.frames} lines was not taken"
    if request.status in _ANSWERS:
        return f"  - {request.status}: {_ANSWERS[request.status]}"
    if request.status >= 300:
        return f"  - {request.status}: {request.frames} lines were not taken"
    return None
