"""A receiver's journal: routed lines, and requests with their answers."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from logplex_handler._process import forks
from logplex_handler.testing._line import Line, PartJoiner, line_of
from logplex_handler.testing._verdict import as_shown
from logplex_handler.testing.conventions import Violation, has_many_digits
from logplex_handler.testing.wire_parser import Packet

FrameIdUse = Literal["first", "retry", "reused"]

# The most frame ids that are remembered. A retry comes soon after the first try, so older ids can
# be forgotten.
_MAX_FRAME_IDS = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer.

    `status` is 0 if the receiver deliberately sent no answer. `frames` counts the frames of the
    body, routed or not. `is_retry` is true if a batch with the same frame id and content came
    before. `on_purpose` is true if the answer was planned with `fail_next` or came from a
    `Misbehaviour`. `time` is when the request was read, in seconds since the epoch. `token` is the
    token in the request, accepted or not. `path` is without a query.
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
    method: str = ""
    path: str = ""


OnArrival = Callable[[Request, "tuple[Line, ...]"], object]


class _Batch(NamedTuple):
    frames: list[bytes]
    frame_id: str | None
    connection: int
    token: str

    def lines(self, packets: Mapping[int, Packet]) -> Iterator[Line]:
        """Return the lines; `packets` are the well-formed ones, as far as they are known."""
        frame_id, connection, token = self[1:]
        secret = token.encode("latin-1")
        # Seldom has a request any frame that needs a closer look.
        body = b"".join(self.frames)
        has_secret, has_digits = secret in body, has_many_digits(body)
        for number, frame in enumerate(self.frames, 1):
            packet = packets.get(number)
            if packet is None or (has_secret and secret in frame):
                packet, is_plain = as_shown(frame, token), False
            else:
                is_plain = not (has_digits and has_many_digits(frame))
            yield line_of(
                packet, frame_id, connection, token, number, frame, is_well_formed=is_plain
            )


class Journal:
    """Requests and lines from many threads, in the order in which they were routed."""

    def __init__(self, on_arrival: OnArrival | None = None) -> None:
        """Store requests, or instead pass each to `on_arrival`, one at a time."""
        self._on_arrival = on_arrival
        self.after_fork_in_child()
        forks.register(self)
        # Parsed lines, without the parts that the joiner holds.
        self._lines: list[Line] = []
        self._joiner = PartJoiner()
        self._unparsed: list[_Batch] = []
        # The number of routed packets, and whether one of them may be a part of a line.
        self._routed = 0
        self._has_parts = False
        self._requests: list[Request] = []
        # By the hash of the token and the frame id, which may have kilobytes.
        self._checksums: dict[int, int] = {}

    def after_fork_in_child(self) -> None:
        # Guards `_unparsed`, `_routed`, `_has_parts`, `_requests` and `_checksums`; held for a
        # moment only. Notified for each request.
        self._changed = threading.Condition()
        # Guards `on_arrival`, which gets one request at a time.
        self._callback_lock = threading.Lock()
        # Guards `_lines` and `_joiner` while frames are parsed. Parsing is slow, and senders must
        # not wait for it.
        self._parse_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"lines={self._routed} requests={len(self._requests)}"

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, and then the parts of those that are not whole yet."""
        with self._parse_lock:
            return (*self._parsed(), *self._joiner.waiting)

    @property
    def whole_lines(self) -> tuple[Line, ...]:
        """All lines, without the parts of those that are not whole yet."""
        with self._parse_lock:
            return tuple(self._parsed())

    def _parsed(self) -> list[Line]:
        with self._changed:
            unparsed, self._unparsed = self._unparsed, []
        for batch in unparsed:
            for line in batch.lines({}):
                self._lines += self._joiner.add(line)
        return self._lines

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._changed:
            return tuple(self._requests)

    def add(
        self, request: Request, frames: list[bytes], token: str, packets: Mapping[int, Packet]
    ) -> None:
        """Store a request and those of its frames that were routed, or call `on_arrival`."""
        batch = _Batch(frames, request.frame_id, request.connection, token)
        if self._on_arrival is not None:
            lines = tuple(batch.lines(packets))
            with self._callback_lock:
                self._on_arrival(request, lines)
            return
        with self._changed:
            self._requests.append(request)
            if frames:
                self._unparsed.append(batch)
                self._routed += len(frames)
                self._has_parts = self._has_parts or any(b" part=" in frame for frame in frames)
            self._changed.notify_all()

    def frame_id_use(self, token: str, frame_id: str, frames: list[bytes]) -> FrameIdUse:
        """Return whether this frame id is used first, for a retry, or again for other frames."""
        batch, checksum = hash((token, frame_id)), zlib.crc32(b"".join(frames))
        with self._changed:
            known = self._checksums.get(batch)
            if known is None:
                self._checksums[batch] = checksum
                if len(self._checksums) > _MAX_FRAME_IDS:
                    del self._checksums[next(iter(self._checksums))]
                return "first"
            return "retry" if known == checksum else "reused"

    def wait_for(self, count: int, timeout: float) -> bool:
        """Wait for `count` lines; return False if they do not come within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        least = count
        while self._wait_for_packets(least, deadline - time.monotonic()):
            # Parsing takes time, and without parts each packet is a line.
            with self._changed:
                routed, has_parts = self._routed, self._has_parts
            if not has_parts or len(self.whole_lines) >= count:
                return True
            least = routed + 1
        return False

    def _wait_for_packets(self, count: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._routed >= count, timeout)

    def clear(self) -> None:
        with self._parse_lock, self._changed:
            self._lines.clear()
            self._has_parts = False
            self._joiner = PartJoiner()
            self._unparsed.clear()
            self._requests.clear()
            self._checksums.clear()
            self._routed = 0
