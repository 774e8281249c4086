"""A line that Logplex routed, and the parts of one that was too long for a packet."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple, cast

from logplex_handler.testing._text_parser import PAIR, Metric, are_pairs, parse_pairs
from logplex_handler.testing.conventions import (
    Violation,
    first_few,
    line_violations,
    metrics_of,
    packet_violations,
    plain_metrics,
    token_violations,
)
from logplex_handler.testing.wire_parser import Packet

# The most parts that wait for others of their line, and their bytes in memory, which are enough for
# six lines of 10 MB. If there are more, the line that has waited longest for a part is given up.
_MAX_WAITING = 10_000
_MAX_WAITING_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line that Logplex routed, with `app` already in place of the token.

    A line that was too long for one packet was sent as several, with `part=1/3` and so on. `parts`
    are then these packets, in order; everything else is that of the whole line, without `part` and
    with all cut values joined. For any other line, `parts` is empty.

    `number` is the number of the line's frame in the request, from 1. `frame` is the packet as
    sent, or all packets.
    """

    packet: Packet
    frame_id: str | None
    connection: int
    token: str = field(repr=False)
    number: int = 1
    frame: bytes = field(default=b"", repr=False)
    parts: tuple[Line, ...] = field(default=(), repr=False)
    # Set if the packet is known to break no rule of the wire format, and to have neither the token
    # nor 13 digits in a row in it.
    _is_well_formed: bool = field(default=False, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The message without its final newline."""
        return self.packet.text

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The key=value pairs of the text; raises Malformed, a ValueError, for any other text."""
        return parse_pairs(self.packet.text)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the text that l2met can read, in order."""
        return metrics_of(self.packet.text)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What is wrong with the packet, or misleads its readers; at most the first 20."""
        return self.checked()[0]

    def checked(self) -> tuple[tuple[Violation, ...], list[Metric]]:
        """Return `violations` and `metrics` in less time than one after the other."""
        if not self.parts:
            if self._is_well_formed:
                plain = plain_metrics(self.packet, self.frame)
                if plain is not None:
                    return (), plain
        elif all(part._plain_metrics() is not None for part in self.parts):
            return (), metrics_of(self.packet.text)
        return self._all_violations(), metrics_of(self.packet.text)

    def _plain_metrics(self) -> list[Metric] | None:
        return plain_metrics(self.packet, self.frame) if self._is_well_formed else None

    def _all_violations(self) -> tuple[Violation, ...]:
        violations = chain.from_iterable(
            chain(
                packet_violations(sent.frame, sent.number),
                token_violations(sent.frame, sent.token, sent.number),
                line_violations(sent.packet, len(sent.frame), sent.number),
            )
            for sent in self.parts or (self,)
        )
        return first_few(violations, self.number)

    @property
    def shown(self) -> bool:
        """Whether customers see the line; Logplex routes some malformed packets, but hides them."""
        return bool(self.packet.structured_data)

    def __str__(self) -> str:
        """Return the line as `heroku logs` shows it, each part on its own line; empty if hidden."""
        if self.parts:
            return "\n".join(map(str, self.parts))
        packet = self.packet
        if not self.shown:
            return ""
        return f"{packet.timestamp} {packet.appname}[{packet.procid}]: {packet.text}"


class _NotYetFrozen(Line):
    __slots__ = ()
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


def line_of(
    packet: Packet,
    frame_id: str | None,
    connection: int,
    token: str,
    number: int,
    frame: bytes,
    *,
    is_well_formed: bool,
) -> Line:
    """Return the line of one packet, in a third of the time that a call of `Line` takes.

    Most of that is what a frozen class needs to set its attributes.
    """
    line: Any = object.__new__(_NotYetFrozen)
    line.packet = packet
    line.frame_id = frame_id
    line.connection = connection
    line.token = token
    line.number = number
    line.frame = frame
    line.parts = ()
    line._is_well_formed = is_well_formed
    line.__class__ = Line
    return cast("Line", line)


_PLACE = re.compile("([0-9]{1,6})/([0-9]{1,6})")


class _Place(NamedTuple):
    """What a part's text says about its line."""

    head: str
    number: int
    total: int
    rest: str


class PartJoiner:
    """Joins the parts of long lines, in the order in which they arrive.

        joiner = PartJoiner()
        for line in lines_of_a_request:
            for whole in joiner.add(line):
                print(whole.pairs, len(whole.parts))

    The parts of a line have one header, one time and one head, and follow one another in their
    stream. Other lines may come between them.
    """

    def __init__(self) -> None:
        # Parts and their bytes, by the hash of what they have in common, which may be kilobytes.
        self._waiting: dict[int, tuple[list[Line], int]] = {}
        self._number_waiting = self._bytes_waiting = 0

    def add(self, line: Line) -> list[Line]:
        """Return the lines that are whole now.

        They are the line itself, unless it is a part, or the joined line, with its `parts`, if it
        is the last part. Parts whose line cannot become whole any more, because others were lost or
        came twice, are returned as they are. So are those that have waited longest, if all that
        wait take more than 128 MiB.
        """
        place = _place(line)
        if place is None:
            return [line]
        # All that the parts of a line have in common.
        packet = line.packet
        sender = (line.token, packet.hostname, packet.appname, packet.procid)
        of_line = hash((*sender, packet.priority, packet.timestamp, place.head, place.total))
        parts, size = self._pop(of_line)
        if len(parts) != place.number - 1:
            # A retry begins with the first part again.
            given_up, parts, size = parts, [], 0
            if place.number > 1:
                return [*given_up, line]
        else:
            given_up = []
        parts.append(line)
        if place.number == place.total:
            return [*given_up, _joined(parts)]
        size += _bytes_of(line)
        self._waiting[of_line] = parts, size
        self._number_waiting += len(parts)
        self._bytes_waiting += size
        while self._number_waiting > _MAX_WAITING or self._bytes_waiting > _MAX_WAITING_BYTES:
            given_up += self._pop(next(iter(self._waiting)))[0]
        return given_up

    def _pop(self, of_line: int) -> tuple[list[Line], int]:
        parts, size = self._waiting.pop(of_line, ([], 0))
        self._number_waiting -= len(parts)
        self._bytes_waiting -= size
        return parts, size

    @property
    def waiting(self) -> list[Line]:
        """The parts whose lines are not whole yet."""
        return [part for parts, _ in self._waiting.values() for part in parts]


def _bytes_of(line: Line) -> int:
    """Return the bytes of a part in memory: four for each character if one is beyond U+FFFF."""
    return len(line.frame) + sum(map(sys.getsizeof, (line.token, line.frame_id, *line.packet)))


def _place(line: Line) -> _Place | None:
    """Return the place of a part in its line, or None for any other line."""
    text = line.text
    if "part=" not in text:
        return None
    position = 0
    while (match := PAIR.match(text, position)) is not None and match[1] != "part":
        position = match.end() + 1
    place = None if match is None else _PLACE.fullmatch(match[3] or "")
    if match is None or place is None:
        return None
    number, total, rest = int(place[1]), int(place[2]), text[match.end() + 1 :]
    is_part = 0 < number <= total > 1 and rest and are_pairs(rest)
    return _Place(text[:position], number, total, rest) if is_part else None


def _joined(parts: list[Line]) -> Line:
    before, *others = [place for place in map(_place, parts) if place is not None]
    pieces = [before.head, before.rest]
    for place in others:
        start = f'{parse_pairs(before.rest)[-1][0]}="'
        # These are pieces of a value, or two pairs with one key, which look the same.
        if pieces[-1].endswith('"') and place.rest.startswith(start):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(place.rest[len(start) :])
        else:
            pieces.append(f" {place.rest}")
        before = place
    first = parts[0]
    return replace(
        first,
        packet=first.packet._replace(text="".join(pieces)),
        frame=b"".join([part.frame for part in parts]),
        parts=tuple(parts),
        _is_well_formed=False,
    )
