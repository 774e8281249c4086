"""The worker: who delivers, and when. The only place with threads."""

from __future__ import annotations

import contextlib
import queue
import threading
import time

from logplex_handler._buffer import Buffer
from logplex_handler._forks import Here
from logplex_handler._outlet import Outlet
from logplex_handler._stderr import Stderr
from logplex_handler._telling import Telling
from logplex_handler._transport import Transport

# Seconds after which one who waits for a delivery sees whether anybody is at it.
_LOOK = 0.1
# Seconds: with less time left, one who flushes begins no request. It would likely be cut off, and
# sent again.
_LEAST_REQUEST = 1.0
# Seconds that the thread rests after an error of this package's own, so as not to spin.
_AFTER_ERROR = 1.0


class Delivery:
    """Has one stream's outlet deliver: in a thread of its own, or in one that flushes or closes."""

    def __init__(
        self,
        buffer: Buffer,
        outlet: Outlet,
        transport: Transport,
        telling: Telling,
        stderr: Stderr,
        here: Here,
    ) -> None:
        self._buffer = buffer
        self._outlet = outlet
        self._transport = transport
        self._telling = telling
        self._stderr = stderr
        self._here = here

        # A queue of C rather than an event: its `put` may be interrupted by a garbage collection or
        # a signal whose own logging ends here again.
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Guards `_thread`: who starts it. Re-entrant for the same reason.
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        # Held by whoever delivers: guards the outlet, the transport and `_deliverer`.
        self._turn = threading.RLock()
        self._deliverer: int | None = None
        # Set once, by whoever closes.
        self._closing = False
        self._stopped = False

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that delivers: it must not wait for itself."""
        here = threading.get_ident()
        return here == self._deliverer or (self._thread is not None and here == self._thread.ident)

    def hurry(self) -> None:
        """Have what is queued now delivered at once, without waiting for it here."""
        self._buffer.begin_flush()
        self._buffer.end_flush()
        self._wake_up()

    def wake(self) -> None:
        """There is news in the buffer; starts the thread if there is none yet."""
        self._wake_up()
        if self._thread is None and not self._closing:
            self._start()

    def flush(self, seconds: float) -> bool:
        """Whether all that is queued now is delivered, or dropped and told, within the seconds.

        A receiver that has asked for a longer wait is not disturbed: then it is False at once.
        """
        if self._stopped:
            return True
        if self.is_here:
            return False
        return self._see_through(time.monotonic() + seconds, least_request=_LEAST_REQUEST)

    def close(self, seconds: float) -> int:
        """Deliver what is left, then stop; how many records were left when the time was over."""
        deadline = time.monotonic() + seconds
        self._outlet.try_once_more()
        self._closing = True
        if not self.is_here:
            self._see_through(deadline, least_request=0.0)
        left = self._buffer.abandon("shutdown")
        self._stopped = True
        self._wake_up()
        # Without the turn if need be: who has it is waiting for an answer then.
        self._telling.tell(at_last=True)
        if self._turn.acquire(blocking=False):
            try:
                self._transport.close()
            finally:
                self._turn.release()
        return left

    def _see_through(self, deadline: float, *, least_request: float) -> bool:
        """Wait until what is queued now has left and its drops are told; False when time is over.

        The thread delivers. Where there is none, or it is kept from its work, perhaps by a lock
        that this very caller holds, the caller does so itself, if there is time for a request.
        """
        mark = self._buffer.begin_flush()
        self._wake_up()
        try:
            return self._wait_for(mark, deadline, least_request)
        finally:
            self._buffer.end_flush()

    def _wait_for(self, mark: int, deadline: float, least_request: float) -> bool:
        drops: int | None = None
        requests = -1
        while True:
            is_idle = self._thread is None or self._outlet.sent.requests == requests
            requests = self._outlet.sent.requests
            has_time = deadline - time.monotonic() > least_request
            if is_idle and has_time:
                self._deliver_if_idle(deadline)
            left = max(0.0, deadline - time.monotonic())
            # Alone, the caller goes on as long as there is something to do.
            alone = self._thread is None and has_time
            look = 0.0 if alone and self._pause() == 0 else min(_LOOK, left)
            if drops is None and self._buffer.wait_until_removed(mark, look):
                # Only now it is known how many of them were dropped.
                drops = self._buffer.ever_dropped()
            if drops is not None and self._telling.told_in_stream >= drops:
                return True
            if left == 0 or self._stopped or self._outlet.asked_to_wait_until > deadline:
                return False
            if drops is not None:
                time.sleep(min(left, _LOOK / 10))

    def _start(self) -> None:
        try:
            with self._starting:
                if self._thread is not None:
                    return
                thread = self._thread = threading.Thread(
                    target=self._work, name="logplex_handler", daemon=True
                )
            thread.start()
        except RuntimeError:
            # The interpreter is about to exit, or is one of several, where no such threads may be;
            # or there is no thread left to be had. What waits is delivered by whoever flushes or
            # closes.
            self._thread = None

    def _work(self) -> None:
        # A greenlet, unlike a thread, lives on in a forked child; there it has nothing to deliver.
        while not self._stopped and self._here[0]:
            try:
                pause = self._pause()
                if pause == 0:
                    self._deliver(float("inf"))
                else:
                    self._sleep(pause)
            except BaseException as error:
                # Whatever the application's own callbacks raise here: without this thread nothing
                # would leave any more.
                self._stderr.say("internal", f"internal error: {type(error).__name__}")
                time.sleep(_AFTER_ERROR)
        with self._turn:
            self._transport.close()

    def _deliver_if_idle(self, deadline: float) -> None:
        """Deliver what is due in the calling thread, unless somebody is at it."""
        if self._turn.acquire(blocking=False):
            try:
                self._deliver(deadline - time.monotonic())
            finally:
                self._turn.release()
                # What is begun here, or was interrupted, may be left to the thread.
                self._wake_up()

    def _deliver(self, seconds: float) -> None:
        with self._turn:
            self._deliverer = threading.get_ident()
            try:
                # Whoever had the turn before may have left nothing to do.
                if not self._stopped and self._pause() == 0:
                    self._telling.tell()
                # Drops may have been all there was to do: a batch may have to wait on.
                if not self._stopped and self._pause() == 0:
                    self._outlet.deliver(seconds)
            finally:
                self._deliverer = None

    def _pause(self) -> float | None:
        return self._outlet.pause(closing=self._closing)

    def _wake_up(self) -> None:
        # One is enough: who takes it looks at everything.
        if self._wakeups.empty():
            self._wakeups.put(None)

    def _sleep(self, seconds: float | None) -> None:
        with contextlib.suppress(queue.Empty):
            self._wakeups.get(timeout=seconds)
