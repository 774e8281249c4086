"""What a receiver keeps: the lines that were routed and the requests that were answered."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from logplex_handler.testing._parse import Packet, parse_pairs
from logplex_handler.testing._rules import as_shown


@dataclass(frozen=True, slots=True)
class Line:
    """One line that Logplex routed, with `app` already in place of the token."""

    packet: Packet
    frame_id: str | None
    connection: int
    token: str = field(repr=False)

    @property
    def text(self) -> str:
        """The message, without the newline that ends it."""
        return self.packet.text

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The key=value pairs of the text; raises Malformed, a ValueError, if it is no such."""
        return parse_pairs(self.packet.text)

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
    """One request and its answer; `frames` counts what is in the body, routed or not."""

    status: int
    frame_id: str | None
    headers: Mapping[str, str]
    body_bytes: bytes = field(repr=False)
    msg_count: int | None
    frames: int
    connection: int
    violations: tuple[str, ...]


class _Batch(NamedTuple):
    frames: list[bytes]
    frame_id: str | None
    connection: int
    token: str


class Journal:
    """Takes what arrives from many threads and gives it back in the order it was routed."""

    def __init__(self) -> None:
        self.renew_locks()
        self._lines: list[Line] = []
        self._unread: list[_Batch] = []
        self._routed = 0
        self._requests: list[Request] = []
        self._checksums: dict[tuple[str, str], int] = {}

    def renew_locks(self) -> None:
        """For a forked child: another thread, which is not in it, may have held them."""
        # Guards everything here; held for a moment only.
        self._changed = threading.Condition()
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
            self._lines += [
                Line(as_shown(frame, batch.token), batch.frame_id, batch.connection, batch.token)
                for batch in unread
                for frame in batch.frames
            ]
            return tuple(self._lines)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far."""
        with self._changed:
            return tuple(self._requests)

    def add(self, request: Request, frames: list[bytes], token: str) -> None:
        """Keep a request and the frames of it that were routed."""
        with self._changed:
            self._requests.append(request)
            if frames:
                self._unread.append(_Batch(frames, request.frame_id, request.connection, token))
                self._routed += len(frames)
            self._changed.notify_all()

    def is_reused(self, token: str, frame_id: str, frames: list[bytes]) -> bool:
        """Whether an earlier batch, of other frames, had this frame id."""
        checksum = zlib.crc32(b"".join(frames))
        with self._changed:
            return self._checksums.setdefault((token, frame_id), checksum) != checksum

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
