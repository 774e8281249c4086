"""What arrives becomes what is looked at: lines with their stream and violations, worked out once.

Every viewer (terminal, page, record) gets the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logplex_handler.testing import Line, Request, Violation
from logplex_handler.testing._conventions import Units

# Streams that are told apart. More are no streams, but a sender that makes up hostnames.
_MOST_NAMES = 100_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One line as it is looked at."""

    line: Line
    stream: str
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request, the lines of it that were routed, and what is wrong with it as a whole.

    `stream` is that of its first line, and empty where none was routed.
    """

    request: Request
    stream: str
    lines: tuple[Seen, ...]
    violations: tuple[Violation, ...]


Viewer = Callable[[Arrived], object]


class Feed:
    """Takes what a receiver is given, and hands it to every viewer, one request at a time."""

    def __init__(self, viewers: Sequence[Viewer]) -> None:
        self._viewers = viewers
        self._units = Units()
        # By token, which is never shown, and hostname: the names of streams.
        self._names: dict[tuple[str, str], str] = {}
        # How many streams have a hostname.
        self._numbers: Counter[str] = Counter()

    def __call__(self, request: Request, lines: tuple[Line, ...]) -> None:
        """For `LogplexReceiver(on_arrival=…)`, which calls it for one request after the other."""
        seen = tuple(
            Seen(
                line,
                self._name(request.token, line.packet.hostname),
                (*line.violations, *self._units.violations(line.text)),
            )
            for line in lines
        )
        # What is wrong with a routed packet is told at its line.
        own = tuple(
            violation
            for violation in request.violations
            if not (lines and violation.rule.startswith(("packet.", "frame.more")))
        )
        arrived = Arrived(request, seen[0].stream if seen else "", seen, own)
        for viewer in self._viewers:
            viewer(arrived)

    def _name(self, token: str, hostname: str) -> str:
        """The stream's name: the hostname, numbered where streams of several tokens share one."""
        name = self._names.get((token, hostname))
        if name is None:
            if len(self._names) >= _MOST_NAMES:
                return hostname
            self._numbers[hostname] += 1
            number = self._numbers[hostname]
            name = hostname if number == 1 else f"{hostname}#{number}"
            self._names[token, hostname] = name
        return name
