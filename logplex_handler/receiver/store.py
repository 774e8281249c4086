"""Stores the latest lines and requests for the page, numbered in the order they came."""

from __future__ import annotations

import threading
import uuid
from typing import TypeAlias

from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.testing import Request, Violation
from logplex_handler.testing.wire_parser import Malformed

JsonObject: TypeAlias = dict[str, object]

# The most items in one event for the page.
_MAX_ITEMS_PER_EVENT = 5_000
# The most bytes of packets. Memory use is about twice as much, because each packet is kept as bytes
# and as text.
_MAX_BYTES = 128 * 1024 * 1024
# The most characters of a frame id that are shown; a real frame id is a UUID.
_MAX_FRAME_ID = 100
# Approximate memory of one violation, in bytes.
_VIOLATION_BYTES = 500


def _size(item: ReceivedLine | JsonObject) -> int:
    if not isinstance(item, ReceivedLine):
        return 0
    # A line with parts holds its packets twice.
    copies = 2 if item.line.parts else 1
    return copies * len(item.line.frame) + _VIOLATION_BYTES * len(item.violations)


class Store:
    """A bounded list of lines and requests for any number of pages; `add` is a viewer."""

    def __init__(self, keep: int, *, max_bytes: int = _MAX_BYTES) -> None:
        """Keep at least `keep` items, at most twice as many, and at most `max_bytes` of packets."""
        # Shows a reconnecting page whether the receiver was restarted.
        self.run = uuid.uuid4().hex[:12]
        self._keep = keep
        self._max_bytes = max_bytes
        # Guards `_items`, `_first` and `_bytes`.
        self._lock = threading.Lock()
        # A request is stored as the page shows it, without its body.
        self._items: list[ReceivedLine | JsonObject] = []
        self._first = 0
        self._bytes = 0

    def add(self, received: ReceivedRequest) -> None:
        items: list[ReceivedLine | JsonObject] = [*received.lines]
        if received.request is not None:
            items.append(_request(received, received.request))
        with self._lock:
            self._items += items
            self._bytes += sum(map(_size, received.lines))
            surplus = len(self._items) - self._keep
            if surplus > self._keep:
                self._discard(surplus)
            while self._bytes > self._max_bytes:
                self._discard(len(self._items) // 8 + 1)

    def _discard(self, count: int) -> None:
        self._bytes -= sum(map(_size, self._items[:count]))
        del self._items[:count]
        self._first += count

    def since(self, number: int) -> tuple[int, list[JsonObject]]:
        """Return the number of the first item from `number` on, and these items as JSON objects."""
        with self._lock:
            first = max(number, self._first)
            start = first - self._first
            items = self._items[start : start + _MAX_ITEMS_PER_EVENT]
        return first, [
            _line(first + index, item)
            if isinstance(item, ReceivedLine)
            else {"n": first + index, "q": item}
            for index, item in enumerate(items)
        ]

    def details(self, number: int) -> JsonObject | None:
        """Return everything known about a line, or None if it is not stored (any more)."""
        with self._lock:
            index = number - self._first
            item = self._items[index] if 0 <= index < len(self._items) else None
        return _details(item) if isinstance(item, ReceivedLine) else None


def _line(number: int, received: ReceivedLine) -> JsonObject:
    packet = received.line.packet
    item: JsonObject = {
        "n": number,
        "t": packet.timestamp,
        "s": received.stream,
        "p": packet.procid,
        "v": packet.severity,
        "x": packet.text,
    }
    # The fields below are rare, so most items leave them out.
    if received.violations:
        item["w"] = len(received.violations)
    if not received.line.shown:
        item["h"] = 1
    if received.line.parts:
        item["k"] = len(received.line.parts)
    if metrics := received.line.metrics:
        item["m"] = [[m.kind, m.name, float(m.value), m.unit, m.source] for m in metrics]
    return item


def _request(received: ReceivedRequest, request: Request) -> JsonObject:
    return {
        "time": request.time,
        "status": request.status,
        "frames": request.frames,
        "bytes": len(request.body_bytes),
        "stream": received.stream,
        "frame_id": request.frame_id and request.frame_id[:_MAX_FRAME_ID],
        "retry": request.is_retry,
        "on_purpose": request.on_purpose,
        "violations": [_violation(violation) for violation in received.violations],
    }


def _details(received: ReceivedLine) -> JsonObject:
    line = received.line
    try:
        pairs = [list(pair) for pair in line.pairs]
    except Malformed:
        pairs = []
    packet = line.packet
    return {
        "stream": received.stream,
        "pairs": pairs,
        "violations": [_violation(violation) for violation in received.violations],
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
        "parts": [part.text for part in line.parts],
        "shown": line.shown,
    }


def _violation(violation: Violation) -> dict[str, str]:
    fields = ("rule", "finding", "consequence", "cure")
    return {field: getattr(violation, field) for field in fields}
