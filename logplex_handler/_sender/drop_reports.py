"""Reports drops: to the application's callback, on stderr, and in the stream itself."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._process.diagnostics import Diagnostics, drops_in_words
from logplex_handler._process.reentrancy import Activity, performing

OnDrop = Callable[[int, str], object]

# Most streams never drop anything. It is never changed: another counter replaces it.
_NONE: Counter[str] = Counter()


class DropReports:
    """Compares the drops of a stream with what was reported of them, in each of three places."""

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
        # By cause: all drops that are known here, for which the callback was called if there is
        # one; and all that were reported on stderr and in the stream.
        self._claimed = _NONE
        self._on_stderr = _NONE
        self._in_stream = _NONE
        # The drops that are reported in the stream once the notice being sent is delivered.
        self._in_notice: Counter[str] | None = None
        # Rejected records, which are only reported to the callback.
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
            closing: Leave stderr to the caller, who reports the drops of all streams together.

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
        """Count a rejected record; return whether the callback must be called for it."""
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
        """What a notice in the stream says now; until `end_stream_notice` no other one is due."""
        with self._lock:
            self._in_notice = self._claimed.copy()
            return self._in_notice - self._in_stream

    def end_stream_notice(self, *, delivered: bool) -> None:
        """Note that the notice, if there was one, is delivered or due again."""
        with self._lock:
            if self._in_notice is not None and delivered:
                self._in_stream = self._in_notice
            self._in_notice = None
