"""The thread that writes to the spool what waits in memory, every `spool_interval` seconds."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable

from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._spool.chunk import StreamId
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.store import Spool
from logplex_handler.streams.stream import Stream

# Seconds after which it is looked whether another process has died and left something.
_BETWEEN_RECOVERIES = 15.0
# Seconds after an error, so as not to spin.
_AFTER_ERROR = 1.0


class SpoolWriter:
    """Sees to the spool of a handler.

    Args:
        interval: Seconds between two times that what waits is written.
        serves: What of the spool can be delivered here: the handler's own URL's, and its streams'.
        stream: The stream of an id.
        wake: Called with a stream that has something from another process.
    """

    def __init__(
        self,
        spool: Spool,
        interval: float,
        *,
        serves: tuple[bool, bool],
        stream: Callable[[StreamId], Stream | None],
        wake: Callable[[Stream], object],
        diagnostics: Diagnostics,
    ) -> None:
        self._spool = spool
        self._interval = interval
        self._serves_own, self._serves_streams = serves
        self._stream = stream
        self._wake = wake
        self._diagnostics = diagnostics
        # The streams in whose buffers something may wait; None to have the thread look whether it
        # is to stop. Of C, as its `put` may be interrupted by what logs and ends here again.
        self._news: queue.SimpleQueue[Stream | None] = queue.SimpleQueue()
        # Guards the start of the thread. Re-entrant for the same reason.
        self._starting = threading.RLock()
        # Guards recovery: what is found comes before all else. Re-entrant as a signal's handler may
        # flush.
        self._recovering = threading.RLock()
        self._thread: threading.Thread | None = None
        self._recover_at = float("-inf")
        self._stopped = False
        _spoolers.add(self)

    def note(self, stream: Stream) -> None:
        """There may be something in its accumulator. Starts the thread if there is none yet."""
        self._news.put(stream)
        if self._thread is None and not self._stopped:
            self._start()

    def recover(self) -> None:
        """Take over what dead processes have left, if that was not done just before."""
        if time.monotonic() < self._recover_at:
            return
        with self._recovering:
            if time.monotonic() < self._recover_at:
                return
            pause = _BETWEEN_RECOVERIES
            try:
                found = self._spool.recover(own_url=self._serves_own, streams=self._serves_streams)
            except SpoolError as error:
                found = {}
                pause = _AFTER_ERROR
                if not self._stopped:
                    self._diagnostics.warn(
                        "spool", f"spool: {error}; what waits is in memory alone"
                    )
            for stream_id, records in found.items():
                stream = self._stream(stream_id)
                if stream is not None:
                    stream.source.recover(records)
                    self._wake(stream)
            self._recover_at = time.monotonic() + pause

    def stop(self) -> None:
        """Write no more; what is being written is waited for where the spool is closed."""
        self._stopped = True
        self._news.put(None)

    def leave(self) -> None:
        """Close the spool. Another handler of this process need not wait for what is left there."""
        self.stop()
        self._spool.close()
        for other in list(_spoolers):
            if other is not self:
                other._recover_at = float("-inf")
                other._news.put(None)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stopped:
                return
            thread = threading.Thread(target=self._work, name="logplex_handler.spool", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is about to exit, or there is no thread to be had: what is left
                # is written where the handler is closed.
                self._thread = None

    def _work(self) -> None:
        pid = os.getpid()
        noted: set[Stream] = set()
        while not self._stopped and os.getpid() == pid:
            try:
                self.recover()
                self._wait(noted)
                # Those for which the disk has had no room are tried again.
                noted = {stream for stream in noted if self._spill(stream)}
            except Exception as error:
                self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
                time.sleep(_AFTER_ERROR)

    def _wait(self, noted: set[Stream]) -> None:
        """Note which streams have news, from the first one on for an interval.

        Or until one of them has little room left, unless the disk has no room for them either.
        """
        may_hurry = not noted
        with contextlib.suppress(queue.Empty):
            if not noted:
                self._note_in(noted, self._news.get(timeout=_BETWEEN_RECOVERIES))
            deadline = time.monotonic() + self._interval
            while not self._stopped and (left := deadline - time.monotonic()) > 0:
                if may_hurry and any(stream.accumulator.is_short_of_room for stream in noted):
                    return
                self._note_in(noted, self._news.get(timeout=left))

    @staticmethod
    def _note_in(noted: set[Stream], stream: Stream | None) -> None:
        if stream is not None:
            noted.add(stream)

    def _spill(self, stream: Stream) -> bool:
        """Write what waits for it; whether something could not be done."""
        while not self._stopped and stream.source.spill():
            pass
        return not stream.source.is_synced


# Those of this process.
_spoolers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()
