"""The thread that uses the disk for callers, which must not wait for one that hangs.

It writes entries from memory to the spool every `spool_interval` seconds.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from logplex_handler._process.contexts import join_briefly, new_thread
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.mailbox import Mailbox
from logplex_handler._process.reentrancy import holding
from logplex_handler._spool.chunk import StreamId
from logplex_handler._spool.database import SpoolError
from logplex_handler._spool.spool import Served, Spool
from logplex_handler.streams.stream import Stream

# Seconds between two checks whether a process has died and left records on disk.
_BETWEEN_RECOVERIES = 15.0
# Seconds in which a thread that waits for the file returns after it has given up.
_TO_GIVE_UP = 1.0
# Seconds that the thread rests after an error, so that it does not spin.
_AFTER_ERROR = 1.0


class SpoolWriter:
    """A handler's writer to the spool, which also takes over the chunks of dead processes.

    Args:
        interval: Seconds between two writes.
        wake: Called with a stream that has records of a dead process.
        count_lost: Called with the number of records on disk whose stream is damaged.
    """

    def __init__(
        self,
        spool: Spool,
        interval: float,
        *,
        served: Served,
        stream: Callable[[StreamId], Stream | None],
        wake: Callable[[Stream], object],
        count_lost: Callable[[int], object],
        diagnostics: Diagnostics,
    ) -> None:
        self._spool = spool
        self._interval = interval
        self._served = served
        self._stream = stream
        self._wake = wake
        self._count_lost = count_lost
        self._diagnostics = diagnostics
        # Streams that may have entries in memory; None has the thread look whether it is to stop,
        # or to make the calls that callers leave to it.
        self._news: Mailbox[Stream | None] = Mailbox()
        self._calls: deque[Callable[[], object]] = deque()
        # Whether the last caller that waited for the thread gave up.
        self._hangs = False
        # Guards `_thread` while it is started. Re-entrant, because a garbage collection or a
        # signal may interrupt that, and log.
        self._starting = threading.RLock()
        # Guards `_recover_at`, and has callers wait for a recovery: its records are sent first.
        # Re-entrant, because a signal handler may flush.
        self._recovering = threading.RLock()
        self._thread: threading.Thread | None = None
        self._recover_at = float("-inf")
        self._stopped = False
        _spool_writers.add(self)

    def note(self, stream: Stream) -> None:
        """Record that the stream may have entries in memory; start the thread if there is none."""
        self._news.put(stream)
        if self._thread is None and not self._stopped:
            self._start()

    def recover(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        """Take over the chunks of dead processes, unless that was done just before.

        Waits at most `seconds` for other threads and processes. A worker waits no longer than for
        the file, because the disk may hang: these records are then sent after others.
        """
        if time.monotonic() >= self._recover_at:
            wait = min(seconds, self._spool.patience())
            holding(self._recovering, wait, self._recover, seconds)

    def recover_within(self, seconds: float) -> None:
        """Have the thread recover; the caller waits no longer than this, even if the disk hangs."""
        if time.monotonic() >= self._recover_at and not self._calls:
            self._start()
            seconds = min(seconds, self._spool.patience() + _TO_GIVE_UP)
            self.call(map(self.recover, [seconds]), seconds)

    def call(self, steps: Iterable[object], seconds: float | None = None) -> None:
        """Have the thread take steps that use the disk, which may hang for ever.

        Waits at most `seconds` for each of them. Default: as long as for the file, and a little
        more. Without the thread, the caller takes them.
        """
        thread = self._thread
        if thread is None or thread is threading.current_thread() or self._stopped:
            deque(steps, 0)
            return
        longest = self._spool.patience() + _TO_GIVE_UP if seconds is None else seconds
        taken: Mailbox[bool] = Mailbox()

        def take() -> None:
            try:
                for _ in steps:
                    taken.put(False)
                    if self._stopped:
                        break
            finally:
                taken.put(True)

        self._calls.append(take)
        self._news.put(None)
        try:
            while not taken.get(longest):
                pass
            self._hangs = False
        except queue.Empty:
            self._hangs = True
            # If it has just been stopped, it may not have seen the call.
            while self._calls and not thread.is_alive():
                self._calls.popleft()()

    def _recover(self, seconds: float) -> None:
        is_patient = seconds == threading.TIMEOUT_MAX
        with self._spool.until(time.monotonic() + seconds):
            self._take_over(is_patient=is_patient)

    def _take_over(self, *, is_patient: bool) -> None:
        if time.monotonic() >= self._recover_at:
            wait = _BETWEEN_RECOVERIES
            try:
                found, lost = self._spool.take_over(self._served)
            except SpoolError as error:
                found, lost, wait = {}, 0, _AFTER_ERROR
                # A flushing caller has little patience with other processes.
                if not self._stopped and (is_patient or "locked" not in str(error)):
                    self._diagnostics.warn(
                        "spool", f"spool: {error}; what waits is in memory alone"
                    )
            for stream_id, records in found.items():
                stream = self._stream(stream_id)
                if stream is None:
                    # It may be looked up again later.
                    with contextlib.suppress(SpoolError):
                        self._spool.give_back(stream_id)
                    continue
                stream.count_recovered(records)
                self._wake(stream)
            if lost:
                self._count_lost(lost)
            self._recover_at = time.monotonic() + wait

    def stop(self) -> None:
        """Begin no more writes. Closing the spool waits for a running one."""
        thread = self._thread
        self._stopped = True
        self._news.put(None)
        if thread is not None:
            join_briefly([thread])

    def leave(self) -> None:
        """Close the spool, and have other handlers of this process take over what is left there."""
        self.call(self._closing(), 0.0 if self._hangs else None)
        self.stop()
        for other in list(_spool_writers):
            if other is not self:
                other._recover_at = float("-inf")
                other._news.put(None)

    def _closing(self) -> Iterator[None]:
        # First, because the thread must not recover anything afterwards.
        self._stopped = True
        self._spool.close()
        yield

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stopped:
                return
            try:
                self._thread = new_thread(self._work, "logplex_handler.spool")
                self._thread.start()
            except BaseException as error:
                # The interpreter is about to exit or allows no daemon threads, or the system has no
                # thread left. Waiting entries are written when the handler is closed. Or a signal
                # handler has raised it.
                if self._thread is not None and self._thread.ident is None:
                    self._thread = None
                if not isinstance(error, RuntimeError):
                    raise

    def _work(self) -> None:
        pid = os.getpid()
        noted: set[Stream] = set()
        try:
            self._serve(pid, noted)
        finally:
            # Once it is stopped, callers wait for its end.
            if not self._stopped and os.getpid() == pid:
                # As with a worker: another thread has raised an exception here.
                self._thread = None
                for stream in noted:
                    self._news.put(stream)
                self._start()

    def _serve(self, pid: int, noted: set[Stream]) -> None:
        while (self._calls or not self._stopped) and os.getpid() == pid:
            try:
                if self._calls:
                    self._calls.popleft()()
                    continue
                self.recover()
                self._wait(noted)
                # Streams for which the disk has had no room are tried again.
                noted.intersection_update([stream for stream in noted if self._spill(stream)])
            except BaseException as error:
                self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")
                time.sleep(_AFTER_ERROR)

    def _wait(self, noted: set[Stream]) -> None:
        """Wait for a stream with entries, then for an interval, and add these streams to `noted`.

        The interval ends early when a stream has little room left, unless some streams were noted
        before: then the disk has no room for more.
        """
        may_cut_short = not noted
        with contextlib.suppress(queue.Empty):
            if not noted:
                self._add_next(noted, _BETWEEN_RECOVERIES)
            deadline = time.monotonic() + self._interval
            while not (self._stopped or self._calls) and (left := deadline - time.monotonic()) > 0:
                if may_cut_short and any(stream.accumulator.is_short_of_room for stream in noted):
                    return
                self._add_next(noted, left)

    def _add_next(self, noted: set[Stream], seconds: float) -> None:
        stream = self._news.get(seconds)
        if stream is not None:
            noted.add(stream)

    def _spill(self, stream: Stream) -> bool:
        """Write the stream's entries to disk; return whether that must be tried again."""
        while not self._stopped:
            if self._calls:
                return True
            if not stream.source.spill():
                break
        return not stream.source.is_synced


# All spool writers that are in use in this process.
_spool_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()
