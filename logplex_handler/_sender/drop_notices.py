"""Who has been told of which drops: the application's callback, stderr, the stream."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import Diagnostics, drops_in_words
from logplex_handler._process.reentrancy import Activity, performing

OnDrop = Callable[[int, str], object]

# Most streams never drop anything. It is not changed; others stand in its place.
_NONE: Counter[str] = Counter()


class DropNotices:
    """Compares the accumulator's drops with what each of the three was told so far."""

    __slots__ = (
        "_accumulator",
        "_called_for",
        "_diagnostics",
        "_in_stream",
        "_lock",
        "_on_drop",
        "_said",
        "_turned_down",
        "_under_way",
    )  # fmt: skip

    def __init__(
        self, accumulator: Accumulator, diagnostics: Diagnostics, on_drop: OnDrop | None
    ) -> None:
        self._accumulator = accumulator
        self._diagnostics = diagnostics
        self._on_drop = on_drop
        # Guards the five below: whoever closes tells beside the one who delivers. Re-entrant
        # because a garbage collection under it may log.
        self._lock = threading.RLock()
        self._called_for = _NONE
        self._said = _NONE
        self._in_stream = _NONE
        self._under_way: Counter[str] | None = None
        # Of these, the callback alone is to hear.
        self._turned_down = _NONE

    @property
    def is_due(self) -> bool:
        """Whether there is something to `report`."""
        return self._accumulator.ledger.has_unreported or bool(self._turned_down)

    @property
    def reported_in_stream(self) -> int:
        """How many drops the stream was told of."""
        return self._in_stream.total()

    @property
    def is_due_in_stream(self) -> bool:
        """Whether the stream does not know of some drop yet, nor is being told."""
        return self._under_way is None and self._called_for.total() > self.reported_in_stream

    def report(self, *, closing: bool = False) -> Counter[str]:
        """Call back and say what is new on stderr, but not too often; what was not said.

        At last nothing is said: it is for the caller to say, together with that of other streams.
        """
        with self._lock:
            drops = Counter(self._accumulator.report_drops())
            new = drops - self._called_for
            self._called_for = drops.copy()
            unsaid = drops - self._said
            new, self._turned_down = new + self._turned_down, _NONE
        # Whoever closes says these in words of its own.
        del unsaid["shutdown"]
        if unsaid and not closing and self._diagnostics.warn("dropped", drops_in_words(unsaid)):
            unsaid = Counter()
        with self._lock:
            self._said = drops - unsaid
        if self._on_drop is not None:
            for cause, number in new.items():
                with contextlib.suppress(Exception), performing(Activity.CALLBACK):
                    self._on_drop(number, cause)
        return unsaid

    def count_rejected(self, cause: str) -> bool:
        """Count a record that no stream takes, for the callback; whether `report` is due."""
        if self._on_drop is None:
            return False
        with self._lock:
            self._turned_down = self._turned_down + Counter({cause: 1})
        return True

    def skip_callback(self, cause: str) -> None:
        """One drop of this cause is about to come that is not to be called back for."""
        with self._lock:
            self._called_for = self._called_for + Counter({cause: 1})

    def begin_notice(self) -> Counter[str]:
        """What the stream is to be told now."""
        with self._lock:
            self._under_way = self._called_for.copy()
            return self._under_way - self._in_stream

    def end_notice(self, *, delivered: bool) -> None:
        """It was, if there was anything; or it is to be told again."""
        with self._lock:
            if self._under_way is not None and delivered:
                self._in_stream = self._under_way
            self._under_way = None
