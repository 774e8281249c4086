"""Prepares each received request for display: its lines with their stream and their violations.

Every viewer (terminal, page, recorder) gets the same objects. The parts of a long line are joined.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

from logplex_handler.testing import Line, Metric, PartJoiner, Request, Violation
from logplex_handler.testing.conventions import MetricUnits, first_few

# The number of a token's characters that are shown where only the token distinguishes two streams.
_SHOWN_CHARACTERS = 4
# Seconds without a part after which the parts of an incomplete line are shown.
_PATIENCE = 5.0
# The most streams that get a name, and the most characters of one. A sender with more makes up
# hostnames.
_MAX_STREAMS = 100_000
_MAX_NAME = 255


class ReceivedLine(NamedTuple):
    """One line, with the name of its stream, its violations and its metrics."""

    line: Line
    stream: str
    violations: tuple[Violation, ...]
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request, its routed lines, and the violations of the request as a whole.

    A long line, whose parts are several packets, belongs to the request of its last part. If that
    part does not come, the parts are lines without a request. `stream` is the stream of the first
    line, and empty if no line was routed.
    """

    request: Request | None
    stream: str
    lines: tuple[ReceivedLine, ...]
    violations: tuple[Violation, ...]


# A line from a tuple of its attributes, in half the time of a call of `ReceivedLine`.
_new_line = partial(tuple.__new__, ReceivedLine)

Viewer = Callable[[ReceivedRequest], object]


class Feed:
    """Passes each request from a receiver to every viewer, one request at a time."""

    def __init__(
        self,
        viewers: Sequence[Viewer],
        *,
        join: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join the packets of a long line, or without `join` show each, as customers see it."""
        self._viewers = viewers
        self._join = join
        self._clock = clock
        self._units = MetricUnits()
        # Stream names by hostname and the hash of the token, which may have kilobytes.
        self._names: dict[tuple[int, str], str] = {}
        # The number of streams for each hostname.
        self._streams_of_host: Counter[str] = Counter()
        self._taken: set[str] = set()
        # Guards all attributes, and the viewers, which get one request at a time.
        self._lock = threading.Lock()
        self._joiner = PartJoiner()
        self._last_part_at = 0.0

    def __call__(self, request: Request, lines: tuple[Line, ...]) -> None:
        """Show a request. Pass the feed to a receiver as `LogplexReceiver(on_arrival=…)`."""
        # Violations of a routed packet are shown with its line instead.
        violations = tuple(
            violation
            for violation in request.violations
            if not (lines and violation.rule.startswith(("packet.", "frame.more")))
        )
        with self._lock:
            self._show(request, self._joined(lines) if self._join else lines, violations)

    def give_up_parts(self, after: float = _PATIENCE) -> None:
        """Show the parts of lines that are not whole, if no part came for `after` seconds."""
        with self._lock:
            if self._joiner.waiting and self._clock() - self._last_part_at >= after:
                parts, self._joiner = self._joiner.waiting, PartJoiner()
                self._show(None, parts, ())

    def _joined(self, lines: Iterable[Line]) -> list[Line]:
        """Return the lines that are whole now."""
        whole: list[Line] = []
        for line in lines:
            # Few lines can be a part of another.
            if "part=" not in line.packet.text or (more := self._joiner.add(line)) == [line]:
                whole.append(line)
            else:
                self._last_part_at = self._clock()
                whole += more
        return whole

    def _show(
        self, request: Request | None, lines: Iterable[Line], violations: tuple[Violation, ...]
    ) -> None:
        received = tuple([self._received(line) for line in lines])
        stream = received[0].stream if received else ""
        prepared = ReceivedRequest(request, stream, received, violations)
        for viewer in self._viewers:
            viewer(prepared)

    def _received(self, line: Line) -> ReceivedLine:
        violations, metrics = line.checked()
        stream = self._name(line.token, line.packet.hostname)
        if metrics:
            found = chain(violations, self._units.violations(metrics))
            violations = first_few(found, line.number)
        return _new_line((line, stream, violations, tuple(metrics)))

    def _name(self, token: str, hostname: str) -> str:
        """Return the stream's name: its hostname, with the token's end if it is not the first."""
        hostname = hostname[:_MAX_NAME]
        stream = hash(token), hostname
        name = self._names.get(stream)
        if name is None:
            if len(self._names) >= _MAX_STREAMS:
                return hostname
            self._streams_of_host[hostname] += 1
            number = self._streams_of_host[hostname]
            name = hostname if number == 1 else f"{hostname}…{_end_of(token) or number}"
            if name in self._taken:
                name = f"{name}#{number}"
            self._taken.add(name)
            self._names[stream] = name
        return name


def _end_of(token: str) -> str:
    """Return the last characters of a token, if most of it then stays secret."""
    return token[-_SHOWN_CHARACTERS:] if len(token) >= 4 * _SHOWN_CHARACTERS else ""
