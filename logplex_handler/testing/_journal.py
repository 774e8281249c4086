"""The record that a receiver keeps: routed lines, and requests with their answers."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, NamedTuple

from logplex_handler._process import forks
from logplex_handler.testing._text_parser import Metric, parse_pairs
from logplex_handler.testing._verdict import as_shown
from logplex_handler.testing.conventions import (
    Violation,
    line_violations,
    metrics_of,
    packet_violations,
    token_violations,
)
from logplex_handler.testing.wire_parser import Packet

FrameIdUse = Literal["first", "retry", "reused"]

# A retry comes soon after the first try, so older ids can be forgotten.
_MAX_FRAME_IDS = 100_000
# Violations reported for one line. A packet can hold a thousand metrics, all of them malformed.
_MAX_VIOLATIONS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line that Logplex routed, with `app` already in place of the token.

    `number` is the number of its frame in the request, from 1. `frame` is the packet as sent.
    """

    packet: Packet
    frame_id: str | None
    connection: int
    token: str = field(repr=False)
    number: int = 1
    frame: bytes = field(default=b"", repr=False)

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
        violations = chain(
            packet_violations(self.frame, self.number),
            token_violations(self.frame, self.token, self.number),
            line_violations(self.packet, len(self.frame), self.number),
        )
        first = tuple(islice(violations, _MAX_VIOLATIONS))
        if next(violations, None) is None:
            return first
        more = Violation("and more in this line", "frame.more", frame=self.number)
        return (*first, more)

    @property
    def shown(self) -> bool:
        """Whether customers see the line; Logplex routes some malformed packets, but hides them."""
        return bool(self.packet.structured_data)

    def __str__(self) -> str:
        """The line as `heroku logs` shows it; empty if it is not shown."""
        packet = self.packet
        if not self.shown:
            return ""
        return f"{packet.timestamp} {packet.appname}[{packet.procid}]: {packet.text}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer.

    `status` is 0 if the receiver deliberately sent no answer. `frames` counts the frames of the
    body, routed or not. `is_retry` is true if a batch with the same frame id and content came
    before. `on_purpose` is true if the answer was planned with `fail_next` or came from a
    `Misbehaviour`. `time` is when the request was read, in seconds since the epoch. `token` is the
    one in the request, accepted or not.
    """

    status: int
    frame_id: str | None
    headers: Mapping[str, str]
    body_bytes: bytes = field(repr=False)
    msg_count: int | None
    frames: int
    connection: int
    violations: tuple[Violation, ...]
    is_retry: bool = False
    on_purpose: bool = False
    time: float = 0.0
    token: str = field(default="", repr=False)


OnArrival = Callable[[Request, "tuple[Line, ...]"], object]


class _Batch(NamedTuple):
    frames: list[bytes]
    frame_id: str | None
    connection: int
    token: str

    def lines(self) -> Iterator[Line]:
        for number, frame in enumerate(self.frames, 1):
            packet = as_shown(frame, self.token)
            yield Line(packet, self.frame_id, self.connection, self.token, number, frame)


class Journal:
    """Stores requests and lines from many threads, in the order they were routed."""

    def __init__(self, on_arrival: OnArrival | None = None) -> None:
        """With `on_arrival`, nothing is stored; the callable gets each request, one at a time."""
        self._on_arrival = on_arrival
        self.after_fork_in_child()
        forks.register(self)
        self._lines: list[Line] = []
        self._unparsed: list[_Batch] = []
        self._routed = 0
        self._requests: list[Request] = []
        self._checksums: dict[tuple[str, str], int] = {}

    def after_fork_in_child(self) -> None:
        # Guards all fields; held for a moment only. Notified for each request.
        self._changed = threading.Condition()
        # Held while `on_arrival` runs, so that it gets one request after the other.
        self._callback_lock = threading.Lock()
        # Guards `_lines` while frames are parsed. Parsing is slow, and senders must not wait for
        # it.
        self._parse_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"lines={self._routed} requests={len(self._requests)}"

    @property
    def lines(self) -> tuple[Line, ...]:
        with self._parse_lock:
            with self._changed:
                unparsed, self._unparsed = self._unparsed, []
            self._lines += [line for batch in unparsed for line in batch.lines()]
            return tuple(self._lines)

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._changed:
            return tuple(self._requests)

    def add(self, request: Request, frames: list[bytes], token: str) -> None:
        """Store a request and those of its frames that were routed, or call `on_arrival`."""
        batch = _Batch(frames, request.frame_id, request.connection, token)
        if self._on_arrival is not None:
            lines = tuple(batch.lines())
            with self._callback_lock:
                self._on_arrival(request, lines)
            return
        with self._changed:
            self._requests.append(request)
            if frames:
                self._unparsed.append(batch)
                self._routed += len(frames)
            self._changed.notify_all()

    def frame_id_use(self, token: str, frame_id: str, frames: list[bytes]) -> FrameIdUse:
        """Whether this frame id is used first, for a retry, or again for other frames."""
        checksum = zlib.crc32(b"".join(frames))
        with self._changed:
            known = self._checksums.get((token, frame_id))
            if known is None:
                self._checksums[token, frame_id] = checksum
                if len(self._checksums) > _MAX_FRAME_IDS:
                    del self._checksums[next(iter(self._checksums))]
                return "first"
            return "retry" if known == checksum else "reused"

    def wait_for(self, count: int, timeout: float) -> bool:
        """Wait for `count` lines; False if they do not come within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._routed >= count, timeout)

    def clear(self) -> None:
        with self._parse_lock, self._changed:
            self._lines.clear()
            self._unparsed.clear()
            self._requests.clear()
            self._checksums.clear()
            self._routed = 0
