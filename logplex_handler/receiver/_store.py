"""What the page can ask for: the last lines and requests, numbered in the order they came."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from logplex_handler.receiver._feed import Arrived, Seen
from logplex_handler.testing import Violation
from logplex_handler.testing._parse import Malformed

# Items of one piece that is sent to the page.
_PIECE = 5_000
# Bytes of packets, which are kept as they came and as text.
_MAX_BYTES = 128 * 1024 * 1024
# Characters of a frame id that are told; a real one is a UUID.
_MAX_ID = 100


# What a violation holds besides, roughly.
_VIOLATION = 500


def _size(item: object) -> int:
    if not isinstance(item, Seen):
        return 0
    return len(item.line.frame) + _VIOLATION * len(item.violations)


class Store:
    """A bounded list of lines and requests; a viewer, read by as many pages as there are."""

    def __init__(self, keep: int, *, max_bytes: int = _MAX_BYTES) -> None:
        """`keep`: how many items at least are kept, and at most twice as many; fewer if their
        packets have more than `max_bytes`.
        """
        # By which a page knows that it is looking at another run.
        self.run = uuid.uuid4().hex[:12]
        self._keep = keep
        self._max_bytes = max_bytes
        # Guards all below.
        self._lock = threading.Lock()
        # Of a request, what the page is told; its body is not kept.
        self._items: list[Seen | dict[str, Any]] = []
        self._first = 0
        self._bytes = 0

    def add(self, arrived: Arrived) -> None:
        """Keep a request and its lines."""
        request = _request(arrived)
        with self._lock:
            self._items += [*arrived.lines, request]
            self._bytes += sum(map(_size, arrived.lines))
            surplus = len(self._items) - self._keep
            if surplus > self._keep:
                self._forget(surplus)
            while self._bytes > self._max_bytes:
                self._forget(len(self._items) // 8 + 1)

    def _forget(self, number: int) -> None:
        self._bytes -= sum(map(_size, self._items[:number]))
        del self._items[:number]
        self._first += number

    def since(self, number: int) -> tuple[int, list[dict[str, Any]]]:
        """The number of the first item of a piece from there on, and the piece, for JSON."""
        with self._lock:
            first = max(number, self._first)
            piece = self._items[first - self._first : first - self._first + _PIECE]
        return first, [
            _line(first + index, item)
            if isinstance(item, Seen)
            else {"n": first + index, "q": item}
            for index, item in enumerate(piece)
        ]

    def details(self, number: int) -> dict[str, Any] | None:
        """All that is known of a line, or None if it is not kept (any more)."""
        with self._lock:
            index = number - self._first
            item = self._items[index] if 0 <= index < len(self._items) else None
        return _details(item) if isinstance(item, Seen) else None


def _line(number: int, seen: Seen) -> dict[str, Any]:
    packet = seen.line.packet
    item: dict[str, Any] = {
        "n": number,
        "t": packet.timestamp,
        "s": seen.stream,
        "p": packet.procid,
        "v": packet.severity,
        "x": packet.text,
    }
    # The rare ones are left out where there is nothing to say.
    if seen.violations:
        item["w"] = len(seen.violations)
    if not seen.line.shown:
        item["h"] = 1
    if metrics := seen.line.metrics:
        item["m"] = [[m.kind, m.name, float(m.value), m.unit, m.source] for m in metrics]
    return item


def _request(arrived: Arrived) -> dict[str, Any]:
    request = arrived.request
    return {
        "time": request.time,
        "status": request.status,
        "frames": request.frames,
        "bytes": len(request.body_bytes),
        "stream": arrived.stream,
        "frame_id": request.frame_id and request.frame_id[:_MAX_ID],
        "retry": request.is_retry,
        "on_purpose": request.on_purpose,
        "violations": [_violation(violation) for violation in arrived.violations],
    }


def _details(seen: Seen) -> dict[str, Any]:
    line = seen.line
    try:
        pairs = [list(pair) for pair in line.pairs]
    except Malformed:
        pairs = []
    packet = line.packet
    return {
        "stream": seen.stream,
        "pairs": pairs,
        "violations": [_violation(violation) for violation in seen.violations],
        "packet": {
            "priority": packet.priority,
            "time": packet.timestamp,
            "hostname": packet.hostname,
            "appname": packet.appname,
            "procid": packet.procid,
            "bytes": len(line.frame),
            "frame": line.number,
            "frame id": line.frame_id,
        },
        "text": packet.text,
        "shown": line.shown,
    }


def _violation(violation: Violation) -> dict[str, str]:
    return {
        "rule": violation.rule,
        "finding": violation.finding,
        "consequence": violation.consequence,
        "cure": violation.cure,
    }
