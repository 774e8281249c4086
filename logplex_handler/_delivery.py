"""The worker: who delivers, and when. The only place with threads."""

from __future__ import annotations

import contextlib
import queue
import threading
import time

from logplex_handler._buffer import Buffer
from logplex_handler._outlet import Outlet
from logplex_handler._stderr import Stderr
from logplex_handler._transport import Transport

# Seconds after which one who waits for a delivery sees whether anybody is at it.
_LOOK = 0.1
# Seconds that the thread rests after an error of this package's own, so as not to spin.
_AFTER_ERROR = 1.0


class Delivery:
    """Has one stream's outlet deliver: in a thread of its own, or in one that flushes or closes."""

    def __init__(
        self, buffer: Buffer, outlet: Outlet, transport: Transport, stderr: Stderr
    ) -> None:
        self._buffer = buffer
        self._outlet = outlet
        self._transport = transport
        self._stderr = stderr

        # A queue of C rather than an event: its `put` may be interrupted by a garbage collection or
        # a signal whose own logging ends here again.
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Guards `_thread`: who starts it. Re-entrant for the same reason.
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        # Held by whoever delivers: guards the outlet, the transport and `_deliverer`.
        self._turn = threading.RLock()
        self._deliverer: int | None = None
        # Written by those who flush and close, and only ever raised.
        self._flush_mark = 0
        self._closing = False
        self._stopped = False

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that delivers: it must not wait for itself."""
        return self._deliverer == threading.get_ident()

    def wake(self) -> None:
        """There is news in the buffer; starts the thread if there is none yet."""
        self._wakeups.put(None)
        if self._thread is None and not self._closing:
            self._start()

    def flush(self, seconds: float) -> bool:
        """Whether all that is queued now is delivered, or dropped and told, within the seconds.

        A receiver that has asked for a longer wait is not disturbed: then it is False at once.
        """
        if self.is_here:
            return False
        deadline = time.monotonic() + seconds
        queued, dropped = self._buffer.marks()
        self._flush_mark = max(self._flush_mark, queued)
        self._outlet.hurry(last_chance=False)
        self._wakeups.put(None)
        while True:
            left = deadline - time.monotonic()
            if self._thread is None:
                self._deliver_here(deadline, only_if_idle=True)
            removed = self._buffer.wait_until_removed(queued, max(0.0, min(_LOOK, left)))
            if removed and self._outlet.told >= dropped:
                return True
            if left <= 0 or self._outlet.asked_to_wait_until > deadline:
                return False
            if removed:
                time.sleep(_LOOK / 10)
            # The thread may be kept from its work by a lock that this very caller holds.
            self._deliver_here(deadline, only_if_idle=True)

    def close(self, seconds: float) -> int:
        """Deliver what is left, then stop; how many records were left when the time was over."""
        deadline = time.monotonic() + seconds
        self._closing = True
        self._outlet.hurry(last_chance=True)
        self._wakeups.put(None)
        if not self.is_here:
            self._deliver_here(deadline)
        left = self._buffer.abandon("shutdown")
        self._stopped = True
        self._wakeups.put(None)
        # Without the turn if need be: who has it is waiting for an answer then.
        self._outlet.tell(at_last=True)
        if self._turn.acquire(blocking=False):
            try:
                self._transport.close()
            finally:
                self._turn.release()
        return left

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = self._thread = threading.Thread(
                target=self._work, name="logplex_handler", daemon=True
            )
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is about to exit, or there is no thread left to be had. What waits is
            # delivered by whoever flushes or closes.
            self._thread = None

    def _work(self) -> None:
        while not self._stopped:
            try:
                pause = self._pause()
                if pause == 0:
                    self._transport.settle_library_loggers()
                    self._deliver(float("inf"))
                else:
                    self._sleep(pause)
            except Exception as error:
                self._stderr.say("internal", f"internal error: {type(error).__name__}")
                self._sleep(_AFTER_ERROR)

    def _deliver_here(self, deadline: float, *, only_if_idle: bool = False) -> None:
        """Deliver in the calling thread until nothing is left or the time is over."""
        while (left := deadline - time.monotonic()) > 0:
            if not self._turn.acquire(timeout=0 if only_if_idle else left):
                return
            try:
                pause = self._pause()
                if pause == 0:
                    self._deliver(left)
            finally:
                self._turn.release()
            if pause is None:
                break
            if pause > 0:
                if only_if_idle:
                    break
                self._sleep(min(pause, max(0.0, deadline - time.monotonic())))
        # The thread's own wake-up may have been taken here.
        self._wakeups.put(None)

    def _deliver(self, seconds: float) -> None:
        with self._turn:
            self._deliverer = threading.get_ident()
            try:
                # Whoever had the turn before may have left nothing to do.
                if not self._stopped and self._pause() == 0:
                    self._outlet.deliver(seconds)
            finally:
                self._deliverer = None

    def _pause(self) -> float | None:
        return self._outlet.pause(flush_mark=self._flush_mark, closing=self._closing)

    def _sleep(self, seconds: float | None) -> None:
        with contextlib.suppress(queue.Empty):
            self._wakeups.get(timeout=seconds)
