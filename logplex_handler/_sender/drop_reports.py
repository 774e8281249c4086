"""Reports drops: to the application's callback, on stderr, and in the stream itself."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import Diagnostics, drops_in_words
from logplex_handler._process.reentrancy import Activity, performing

OnDrop = Callable[[int, str], object]

# Shared by all streams without drops. It is never mutated, only replaced.
_NONE: Counter[str] = Counter()


class DropReports:
    """Reports the drops of a stream that its callback, stderr or the stream has not seen yet.

    `report_locally` serves the first two; `InFlight` writes the notice in the stream.
    """

    __slots__ = (
        "_accumulator", "_claimed", "_diagnostics", "_in_notice", "_in_stream", "_lock",
        "_on_drop", "_on_stderr", "_rejected",
    )  # fmt: skip

    def __init__(
        self, accumulator: Accumulator, diagnostics: Diagnostics, on_drop: OnDrop | None
    ) -> None:
        self._accumulator = accumulator
        self._diagnostics = diagnostics
        self._on_drop = on_drop
        # Guards the fields below: `close` and a worker may report at the same time.
        self._lock = accumulator.lock
        # Totals by cause: the drops passed to the callback (if there is one), reported on stderr,
        # and reported in the stream.
        self._claimed = _NONE
        self._on_stderr = _NONE
        self._in_stream = _NONE
        # What `_in_stream` becomes once the notice that is being sent is delivered.
        self._in_notice: Counter[str] | None = None
        # Rejected records, which only the callback hears of.
        self._rejected = _NONE

    @property
    def is_due_locally(self) -> bool:
        return self._accumulator.ledger.has_unreported or bool(self._rejected)

    @property
    def reported_in_stream(self) -> int:
        return self._in_stream.total()

    @property
    def is_due_in_stream(self) -> bool:
        """Whether there are drops to report in the stream, and no notice is being sent."""
        return (
            self._claimed is not self._in_stream
            and self._in_notice is None
            and self._claimed.total() > self.reported_in_stream
        )

    def report_locally(self, *, closing: bool = False) -> Counter[str]:
        """Report new drops to the callback, and on stderr at most once a minute.

        Args:
            closing: Do not write to stderr; the caller reports the drops of all streams together.

        Returns:
            The drops that were not reported on stderr.
        """
        with self._lock:
            drops = Counter(self._accumulator.claim_drops())
            new = drops - self._claimed
            self._claimed = drops.copy()
            left = drops - self._on_stderr
            new, self._rejected = new + self._rejected, _NONE
        # The caller that closes the handler reports these separately.
        del left["shutdown"]
        if left and not closing and self._diagnostics.warn("dropped", drops_in_words(left)):
            left = Counter()
        with self._lock:
            self._on_stderr = drops - left
        if self._on_drop is not None:
            for cause, number in new.items():
                with contextlib.suppress(Exception), performing(Activity.CALLBACK):
                    self._on_drop(number, cause)
        return left

    def count_rejected(self, cause: str) -> bool:
        """Count a rejected record, and return whether there is a callback to report it to."""
        if self._on_drop is None:
            return False
        with self._lock:
            self._rejected = self._rejected + Counter({cause: 1})
        return True

    def skip_callback(self, cause: str) -> None:
        """Do not report the next drop of this cause to the callback."""
        with self._lock:
            self._claimed = self._claimed + Counter({cause: 1})

    def begin_stream_notice(self) -> Counter[str]:
        """Begin a notice, and return the drops that it states. Only one is sent at a time."""
        with self._lock:
            self._in_notice = self._claimed.copy()
            return self._in_notice - self._in_stream

    def end_stream_notice(self, *, is_reported: bool) -> None:
        """End the notice, if there is one: its drops now count as reported, or are due again."""
        with self._lock:
            if self._in_notice is not None and is_reported:
                self._in_stream = self._in_notice
            self._in_notice = None
