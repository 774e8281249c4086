"""Stores the latest lines and requests for the page, numbered in the order they came.

They are kept in batches, each with its JSON text, which is made once for all pages.
"""

from __future__ import annotations

import threading
import time
import uuid
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from sys import getsizeof
from typing import NamedTuple

from logplex_handler.receiver import _items as items
from logplex_handler.receiver._items import JsonObject
from logplex_handler.receiver.feed import ReceivedLine, ReceivedRequest
from logplex_handler.testing import Request

# The most lines of a batch, and the most items of one event, unless one batch has more.
_BATCH_LINES = 1_000
_EVENT_ITEMS = 5_000
# The most bytes of packets. Memory use is about three times as much, because each packet is kept as
# bytes, as text and as JSON.
_MAX_BYTES = 128 * 1024 * 1024
# The most bytes of bodies, which are kept to be dissected and sent again.
_MAX_BODY_BYTES = 32 * 1024 * 1024
# The most bytes of the last lines as JSON; a line more may come on top.
_LATEST_BYTES = 256 * 1024
# Approximate memory of one violation, metric or header, and of a request without its body and
# headers, in bytes.
_VIOLATION_BYTES = 500
_METRIC_BYTES = 100
_HEADER_BYTES = 300
_REQUEST_BYTES = 2_000


class Position(NamedTuple):
    """A place between two batches: the number of the next item, and what came before it."""

    number: int = 0
    lines: int = 0
    requests: int = 0


@dataclass
class Batch:
    """Lines that came together, and the request, if they are its last ones.

    `request` is the number of the lines' request, and None for parts that waited in vain.
    """

    start: Position
    lines: Sequence[ReceivedLine]
    request: int | None
    summary: JsonObject | None
    arrived: float

    @cached_property
    def end(self) -> Position:
        count, has_request = len(self.lines), self.summary is not None
        number, lines, requests = self.start
        return Position(number + count + has_request, lines + count, requests + has_request)

    @cached_property
    def size(self) -> int:
        # One emoji makes a text four times as large.
        size = sum([max(len(one.line.frame), getsizeof(one.line.text)) for one in self.lines])
        for one in self.lines:
            # A line with parts holds its packets twice.
            if one.violations or one.metrics or one.line.parts:
                size += _VIOLATION_BYTES * len(one.violations) + _METRIC_BYTES * len(one.metrics)
                size += sum(len(part.frame) for part in one.line.parts)
        for one in self.lines[:1]:
            # The lines of a request share them.
            size += len(one.line.token) + len(one.line.frame_id or "")
        return size

    @cached_property
    def text(self) -> str:
        """The items as JSON, separated by commas; it contains no line break."""
        arrived = int(self.arrived * 1000)
        found = [
            items.short_line(number, line, arrived)
            for number, line in enumerate(self.lines, self.start.number)
        ]
        if self.summary is not None:
            found.append(items.encode({"n": self.request, "q": self.summary}))
        return ",".join(found)


class News(NamedTuple):
    """What a page gets next: batches, where they begin and end, and how many items follow."""

    batches: list[Batch]
    start: Position
    end: Position
    behind: int


class Store:
    """A bounded list of lines and requests for any number of pages; `add` is a viewer."""

    def __init__(
        self, keep: int, *, max_bytes: int = _MAX_BYTES, max_body_bytes: int = _MAX_BODY_BYTES
    ) -> None:
        """Keep at least `keep` items, at most twice as many, and so many bytes of packets."""
        # Shows a reconnecting page whether the receiver was restarted.
        self.run = uuid.uuid4().hex[:12]
        self.started = time.time()
        self.keep = keep
        self._max_bytes = max_bytes
        self._max_body_bytes = max_body_bytes
        # Guards all that follows.
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._end = Position()
        self._bytes = 0
        # The last requests with their bodies, by number, and the size of these.
        self._requests: OrderedDict[int, Request] = OrderedDict()
        self._body_bytes = 0
        # Where pages begin, and where they began before the last clearing.
        self._mark = Position()
        self._mark_before: Position | None = None

    def add(self, received: ReceivedRequest) -> None:
        request, lines = received.request, received.lines
        arrived = time.time() if request is None else request.time
        with self._lock:
            number = None if request is None else self._end.number + len(lines)
            for first in range(0, max(1, len(lines)), _BATCH_LINES):
                is_last = first + _BATCH_LINES >= len(lines)
                summary = items.summary(received, request) if request and is_last else None
                some = lines[first : first + _BATCH_LINES]
                batch = Batch(self._end, some, number, summary, arrived)
                self._batches.append(batch)
                self._end = batch.end
                self._bytes += batch.size
            if request is not None and number is not None:
                self._requests[number] = request
                self._body_bytes += _body_size(request)
            self._discard()

    def _discard(self) -> None:
        """Forget the oldest items and bodies, many at a time."""
        first = self._batches[0].start.number
        is_full = self._end.number - first > 2 * self.keep or self._bytes > self._max_bytes
        if not is_full and self._body_bytes <= self._max_body_bytes:
            return
        if self._end.number - first > 2 * self.keep:
            first = self._end.number - self.keep
        count = bisect_right(self._batches, first, key=lambda batch: batch.end.number)
        left = self._bytes - sum(batch.size for batch in self._batches[:count])
        while left > self._max_bytes:
            more = len(self._batches) // 8 + 1
            left -= sum(batch.size for batch in self._batches[count : count + more])
            count += more
        self._bytes = left
        del self._batches[:count]
        first = self._first.number
        while self._requests and (
            self._body_bytes > self._max_body_bytes or next(iter(self._requests)) < first
        ):
            self._body_bytes -= _body_size(self._requests.popitem(last=False)[1])

    @property
    def _first(self) -> Position:
        return self._batches[0].start if self._batches else self._end

    @property
    def mark(self) -> tuple[Position, bool]:
        """Where pages begin, and whether a clearing can be undone."""
        with self._lock:
            return self._mark, self._mark_before is not None

    def clear(self) -> None:
        """Show no page what came so far."""
        with self._lock:
            if self._mark != self._end:
                self._mark, self._mark_before = self._end, self._mark

    def undo_clear(self) -> None:
        """Show again what the last clearing hid; idempotent."""
        with self._lock:
            if self._mark_before is not None:
                self._mark, self._mark_before = self._mark_before, None

    @property
    def dropped(self) -> Position:
        """How many items, lines and requests are no longer kept."""
        with self._lock:
            return self._first

    @property
    def end(self) -> Position:
        with self._lock:
            return self._end

    def since(self, position: Position, most: int = _EVENT_ITEMS) -> News:
        """Return the batches from a position, or from the oldest one that is kept."""
        with self._lock:
            start = min(max(position, self._first), self._end)
            index = bisect_right(self._batches, start.number, key=lambda batch: batch.start.number)
            index = max(0, index - 1)
            count = bisect_right(
                self._batches, start.number + most, lo=index, key=lambda batch: batch.end.number
            )
            batches = self._batches[index : max(count, index + 1)] if start < self._end else []
            end = batches[-1].end if batches else start
            return News(batches, start, end, self._end.number - end.number)

    def latest(self, most: int) -> str:
        """Return the last lines that pages may show, as JSON with commas between."""
        found: list[str] = []
        size = 0
        newest = (
            (batch.start.number + index, batch.lines[index], int(batch.arrived * 1000))
            for batch in reversed(self.kept())
            for index in reversed(range(len(batch.lines)))
        )
        for number, line, arrived in islice(newest, most):
            found.append(items.short_line(number, line, arrived))
            size += len(found[-1])
            if size > _LATEST_BYTES:
                break
        return ",".join(reversed(found))

    def kept(self, after: int = -1) -> list[Batch]:
        """Return the batches that pages may show, from the first with a number above `after`."""
        with self._lock:
            after = max(after, self._mark.number - 1)
            return self._batches[
                bisect_right(self._batches, after + 1, key=lambda batch: batch.end.number) :
            ]

    def details(self, number: int) -> JsonObject | None:
        """Return everything known about a line, or None if it is not stored (any more)."""
        batch = self._batch_of(number)
        if batch is None or number - batch.start.number >= len(batch.lines):
            return None
        line = batch.lines[number - batch.start.number]
        return items.details(line, batch.request, batch.arrived)

    def request(self, number: int) -> tuple[JsonObject, Request | None, list[Batch]] | None:
        """Return a request's summary, itself if its body is kept, and the batches of its lines."""
        batch = self._batch_of(number)
        if batch is None or batch.summary is None or batch.request != number:
            return None
        with self._lock:
            index = bisect_right(self._batches, number, key=lambda one: one.start.number)
            before = reversed(self._batches[:index])
            batches = [one for one in islice(before, 400) if one.request == number]
            return batch.summary, self._requests.get(number), batches

    def _batch_of(self, number: int) -> Batch | None:
        with self._lock:
            index = bisect_right(self._batches, number, key=lambda batch: batch.start.number) - 1
            if index < 0 or number >= self._end.number:
                return None
            return self._batches[index]


def numbered(batches: list[Batch], after: int) -> Iterator[tuple[int, ReceivedLine, Batch]]:
    """Yield the lines of batches whose number is above `after`."""
    for batch in batches:
        for number, line in enumerate(batch.lines, batch.start.number):
            if number > after:
                yield number, line, batch


def _body_size(request: Request) -> int:
    headers = sum([len(k) + len(v) + _HEADER_BYTES for k, v in request.headers.items()])
    return len(request.body_bytes) + headers + _REQUEST_BYTES


def difference(before: Position, after: Position) -> JsonObject:
    """Return how many lines and requests are between two positions."""
    return {
        "lines": max(0, after.lines - before.lines),
        "requests": max(0, after.requests - before.requests),
    }
