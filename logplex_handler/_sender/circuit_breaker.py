"""Whether a host answers: known from all streams that go there."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from weakref import WeakValueDictionary

from logplex_handler._sender import retry_policy
from logplex_handler._sender.backoff import Backoff
from logplex_handler._transport.answer import Answer

# Streams in a row whose requests have failed at the host, after which it is the host that fails.
_STREAMS_IN_A_ROW = 3


class CircuitBreaker:
    """What is up or down together: a scheme, a name and a port.

    WorkerPool take note at any time: at worst a wait is not as long as it should be.

    Attributes:
        is_untried: Whether there was no request yet.
        answers: How many there were.
    """

    __slots__ = (
        "__weakref__",
        "_failed_last",
        "_in_a_row",
        "_is_closed",
        "_silent_at",
        "answers",
        "backoff",
        "is_untried",
        "name",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.backoff = Backoff()
        self._is_closed = False
        # How many answers there were when patience was lost.
        self._silent_at = -1
        self.is_untried = True
        self.answers = 0
        self._in_a_row = 0
        self._failed_last: Hashable = self

    @property
    def is_closed(self) -> bool:
        """Whether its last answer spoke for it, and no request takes too long since.

        Then several may be made at a time.
        """
        return self._is_closed and self._silent_at != self.answers

    def suspect(self, answers: int) -> None:
        """A request takes too long, and there were so many answers when that was found.

        If there is another one by now, it is not silent any more.
        """
        self._silent_at = answers

    def record_answer(self, stream: Hashable, answer: Answer, now: float) -> bool:
        """Note the answer to a stream; whether it is the host, and not this stream, that failed."""
        self.is_untried = False
        self.answers += answer.status is not None
        if answer.status is not None and answer.status < 500:
            self._is_closed = True
            self._in_a_row = 0
            self._failed_last = self
            self.backoff.reset()
            return False
        if answer.stale_connection or not answer.was_tried:
            return False
        if answer.status is not None:
            # An answer, so nobody has to wait for one. It may be for this stream alone.
            # Not compared: the application's ids may raise.
            self._in_a_row += stream is not self._failed_last
            self._failed_last = stream
            if self._in_a_row < _STREAMS_IN_A_ROW:
                self._is_closed = True
                return False
        self._is_closed = False
        self.backoff.fail(now, answer, retry_policy.LONGEST_WAIT)
        return True


class CircuitBreakers:
    """The hosts that some stream goes to, by name."""

    def __init__(self) -> None:
        # Guards the one below, as several look-ups may bring a new host at the same time.
        # Re-entrant because a garbage collection under it may log.
        self._lock = threading.RLock()
        self._hosts: WeakValueDictionary[str, CircuitBreaker] = WeakValueDictionary()

    def __getitem__(self, name: str) -> CircuitBreaker:
        with self._lock:
            return self._hosts.setdefault(name, CircuitBreaker(name))
