"""Reports that records are delivered late, although no request fails."""

from __future__ import annotations

import time

from logplex_handler._process.diagnostics import Diagnostics

# The shortest lag, in seconds, that is reported; or twice `flush_interval`, if that is more.
_BOUND = 60.0
# Seconds after which the same lag is reported again. Before, only twice the lag is reported.
_AGAIN_AFTER = 3600.0


class LagReports:
    """A handler's reports of its lag. Any worker may call it; at worst, two report at once.

    Args:
        remedy: What the reader of the report can change.
    """

    def __init__(self, diagnostics: Diagnostics, flush_interval: float, remedy: str) -> None:
        self._diagnostics = diagnostics
        self._least = max(_BOUND, 2 * flush_interval)
        self._bound = self._least
        self._remedy = remedy
        self._reported_at = 0.0

    def note(self, lag: float) -> None:
        """Report a long lag: the seconds that delivered records had waited while nothing failed."""
        if lag <= self._least:
            return
        now = time.monotonic()
        if lag > self._bound or now - self._reported_at > _AGAIN_AFTER:
            self._bound, self._reported_at = 2 * lag, now
            self._diagnostics.warn(
                "lag", f"{lag:.0f} s behind, though no request fails: {self._remedy}"
            )
