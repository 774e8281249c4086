"""Prepares each received request for display: its lines with their stream and their violations.

Every viewer (terminal, page, recorder) gets the same objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logplex_handler.testing import Line, Request, Violation
from logplex_handler.testing.conventions import MetricUnits

# Characters of a token that are shown where only the token tells two streams apart.
_SHOWN_CHARACTERS = 4
# Streams that get a name. More than these come from a sender that makes up hostnames.
_MAX_STREAMS = 100_000


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """One line, with the name of its stream and its violations."""

    line: Line
    stream: str
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request, its routed lines, and the violations of the request as a whole.

    `stream` is the stream of its first line, and empty if no line was routed.
    """

    request: Request
    stream: str
    lines: tuple[ReceivedLine, ...]
    violations: tuple[Violation, ...]


Viewer = Callable[[ReceivedRequest], object]


class Feed:
    """Passes each request from a receiver to every viewer, one request at a time."""

    def __init__(self, viewers: Sequence[Viewer]) -> None:
        self._viewers = viewers
        self._units = MetricUnits()
        # Stream names by token (which is never shown as a whole) and hostname.
        self._names: dict[tuple[str, str], str] = {}
        # The number of streams for each hostname.
        self._streams_of_host: Counter[str] = Counter()
        self._taken: set[str] = set()

    def __call__(self, request: Request, lines: tuple[Line, ...]) -> None:
        """The callable for `LogplexReceiver(on_arrival=…)`, which never calls it concurrently."""
        received = tuple(
            ReceivedLine(
                line,
                self._name(request.token, line.packet.hostname),
                (*line.violations, *self._units.violations(line.text)),
            )
            for line in lines
        )
        # Violations of a routed packet are shown with its line instead.
        of_request = tuple(
            violation
            for violation in request.violations
            if not (lines and violation.rule.startswith(("packet.", "frame.more")))
        )
        stream = received[0].stream if received else ""
        prepared = ReceivedRequest(request, stream, received, of_request)
        for viewer in self._viewers:
            viewer(prepared)

    def _name(self, token: str, hostname: str) -> str:
        """The stream's name: its hostname, with the token's end if another token came first."""
        name = self._names.get((token, hostname))
        if name is None:
            if len(self._names) >= _MAX_STREAMS:
                return hostname
            self._streams_of_host[hostname] += 1
            number = self._streams_of_host[hostname]
            name = hostname if number == 1 else f"{hostname}…{_end_of(token) or number}"
            if name in self._taken:
                name = f"{name}#{number}"
            self._taken.add(name)
            self._names[token, hostname] = name
        return name


def _end_of(token: str) -> str:
    """The last characters of a token, if most of it then stays a secret."""
    return token[-_SHOWN_CHARACTERS:] if len(token) >= 4 * _SHOWN_CHARACTERS else ""
