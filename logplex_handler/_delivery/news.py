"""Streams with news, on which the workers sleep."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator

from logplex_handler.streams.stream import Stream


class News:
    """A queue that holds each stream at most once. Any thread may use it."""

    def __init__(self) -> None:
        # Of C rather than a condition: its `put` may be interrupted by a garbage collection or a
        # signal whose own logging comes back here. None wakes a worker, and is nothing else.
        self._queue: queue.SimpleQueue[Stream | None] = queue.SimpleQueue()
        # The streams in the queue. Adding and removing are single operations on a set.
        self._queued: set[Stream] = set()

    def put(self, stream: Stream) -> None:
        """There is news of a stream. Once is enough until a worker looks: it sees everything."""
        if stream not in self._queued:
            self._queued.add(stream)
            self._queue.put(stream)

    def wake(self) -> None:
        """Have one worker wake up, though there is no news."""
        self._queue.put(None)

    def wait(self, seconds: float | None) -> Stream | None:
        """Sleep until there is news, or `wake` is called; None in that case, or if time is over."""
        with contextlib.suppress(queue.Empty):
            return self._got(self._queue.get(timeout=seconds))
        return None

    def drain(self) -> Iterator[Stream]:
        """All news, without waiting."""
        with contextlib.suppress(queue.Empty):
            while True:
                stream = self._got(self._queue.get_nowait())
                if stream is not None:
                    yield stream

    def _got(self, stream: Stream | None) -> Stream | None:
        # Before anybody looks at the stream: what comes later is news again.
        if stream is not None:
            self._queued.discard(stream)
        return stream
