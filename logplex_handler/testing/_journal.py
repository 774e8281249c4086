"""What a receiver keeps: the lines that were routed and the requests that were answered."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, NamedTuple

from logplex_handler._process import forks
from logplex_handler.testing._conventions import (
    line_violations,
    metrics,
    packet_violations,
    token_violations,
)
from logplex_handler.testing._pairs import Metric, parse_pairs
from logplex_handler.testing._parse import Packet
from logplex_handler.testing._rules import as_shown
from logplex_handler.testing._violations import Violation

Seen = Literal["new", "again", "other"]

# A retry comes soon after the first try; older ids are forgotten.
_MAX_FRAME_IDS = 100_000
# Violations of one line: a packet holds a thousand metrics, and each may be wrong.
_MAX_TOLD = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line that Logplex routed, with `app` already in place of the token.

    `number` is that of its frame in the request, from 1, and `frame` its packet as it was sent.
    """

    packet: Packet
    frame_id: str | None
    connection: int
    token: str = field(repr=False)
    number: int = 1
    frame: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """The message, without the newline that ends it."""
        return self.packet.text

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The key=value pairs of the text; raises Malformed, a ValueError, if it is no such."""
        return parse_pairs(self.packet.text)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the text that l2met can read, in their order."""
        return metrics(self.packet.text)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What is wrong with the packet, or misleads those who read its text; the first of many."""
        found = chain(
            packet_violations(self.frame, self.number),
            token_violations(self.frame, self.token, self.number),
            line_violations(self.packet, len(self.frame), self.number),
        )
        told = tuple(islice(found, _MAX_TOLD))
        if next(found, None) is None:
            return told
        more = Violation("and more in this line", "frame.more", frame=self.number)
        return (*told, more)

    @property
    def shown(self) -> bool:
        """Whether a customer sees the line: Logplex routes a malformed packet but shows nothing."""
        return bool(self.packet.structured_data)

    def __str__(self) -> str:
        """The line as `heroku logs` shows it, or nothing if it shows none."""
        packet = self.packet
        if not self.shown:
            return ""
        return f"{packet.timestamp} {packet.appname}[{packet.procid}]: {packet.text}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer; `frames` counts what is in the body, routed or not.

    `status` is 0 where there was no answer on purpose. `is_retry` says whether a batch of the same
    frame id and content came before. `on_purpose`: whether the answer was planned, or came of a
    `Misbehaviour`. `time` is when it was read, in seconds since the epoch. `token` is the one that
    was given, whether it was let in or not.
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


Arrival = Callable[[Request, "tuple[Line, ...]"], object]


class _Batch(NamedTuple):
    frames: list[bytes]
    frame_id: str | None
    connection: int
    token: str

    def read(self) -> Iterator[Line]:
        for number, frame in enumerate(self.frames, 1):
            packet = as_shown(frame, self.token)
            yield Line(packet, self.frame_id, self.connection, self.token, number, frame)


class Journal:
    """Takes what arrives from many threads and gives it back in the order it was routed."""

    def __init__(self, on_arrival: Arrival | None = None) -> None:
        """With `on_arrival` nothing is kept: all goes there, one request at a time."""
        self._on_arrival = on_arrival
        self.after_fork_in_child()
        forks.register(self)
        self._lines: list[Line] = []
        self._unread: list[_Batch] = []
        self._routed = 0
        self._requests: list[Request] = []
        self._checksums: dict[tuple[str, str], int] = {}

    def after_fork_in_child(self) -> None:
        """Another thread, which does not run in the child, may have held the locks."""
        # Guards everything here; held for a moment only.
        self._changed = threading.Condition()
        # Held while `on_arrival` runs, so that it sees one request after the other.
        self._in_order = threading.Lock()
        # Held while frames become lines, which takes long enough to keep senders out of it.
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"lines={self._routed} requests={len(self._requests)}"

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line so far."""
        with self._reading:
            with self._changed:
                unread, self._unread = self._unread, []
            self._lines += [line for batch in unread for line in batch.read()]
            return tuple(self._lines)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far."""
        with self._changed:
            return tuple(self._requests)

    def add(self, request: Request, frames: list[bytes], token: str) -> None:
        """Keep a request and the frames of it that were routed, or hand them on."""
        batch = _Batch(frames, request.frame_id, request.connection, token)
        if self._on_arrival is not None:
            lines = tuple(batch.read())
            with self._in_order:
                self._on_arrival(request, lines)
            return
        with self._changed:
            self._requests.append(request)
            if frames:
                self._unread.append(batch)
                self._routed += len(frames)
            self._changed.notify_all()

    def seen(self, token: str, frame_id: str, frames: list[bytes]) -> Seen:
        """Whether a batch of this frame id came before, with the same frames or with others."""
        checksum = zlib.crc32(b"".join(frames))
        with self._changed:
            before = self._checksums.get((token, frame_id))
            if before is None:
                self._checksums[token, frame_id] = checksum
                if len(self._checksums) > _MAX_FRAME_IDS:
                    del self._checksums[next(iter(self._checksums))]
                return "new"
            return "again" if before == checksum else "other"

    def wait_for(self, count: int, timeout: float) -> bool:
        """Whether `count` lines or more came within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._routed >= count, timeout)

    def clear(self) -> None:
        """Forget everything."""
        with self._reading, self._changed:
            self._lines.clear()
            self._unread.clear()
            self._requests.clear()
            self._checksums.clear()
            self._routed = 0
