"""Metrics about the handler itself, once per interval."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from logplex_handler._process.periodic import Periodic
from logplex_handler.metrics import metric_pairs, number_format
from logplex_handler.stats import Stats

# Seconds that closing waits for the last report.
_PATIENCE = 1.0


@dataclass(frozen=True)
class Vitals:
    """The state of a handler at one moment.

    Attributes:
        stats: The outcomes of all records since the process began.
        requests_took: Seconds that all requests have taken together.
        fill: The part of the buffer that is in use, from 0 to 1.
    """

    stats: Stats
    requests_took: float
    fill: float


class Health:
    """Reports how the state of a handler has changed since the last interval.

    Args:
        interval: Seconds between two reports.
        vitals: Returns the current state of the handler.
        send: Sends metrics in the handler's stream.
    """

    def __init__(
        self,
        interval: float,
        vitals: Callable[[], Vitals],
        send: Callable[[Mapping[str, str]], object],
    ) -> None:
        self._vitals = vitals
        self._send = send
        self._before = Vitals(Stats(), 0.0, 0.0)
        self._periodic = Periodic(interval, self._report)

    def start(self) -> None:
        """Start reporting."""
        self._periodic.start()

    def stop(self) -> None:
        """Report a last time, and end."""
        self._periodic.stop(_PATIENCE)

    def _report(self) -> None:
        # No error may end the thread.
        with contextlib.suppress(Exception):
            now = self._vitals()
            before, self._before = self._before, now
            self._send(pairs(now, before))


def pairs(now: Vitals, before: Vitals) -> dict[str, str]:
    """The changes between two states, and the current values, as samples."""
    found: dict[str, str] = {}

    def sample(name: str, value: float, unit: str = "") -> None:
        found.update(metric_pairs.sample(f"logplex_handler.{name}", value, unit))

    sample("accepted", now.stats.accepted - before.stats.accepted)
    sample("delivered", now.stats.delivered - before.stats.delivered)
    sample("pending", now.stats.pending)
    sample("dropped", sum(now.stats.dropped.values()) - sum(before.stats.dropped.values()))
    for cause, number in now.stats.dropped.items():
        new = number - before.stats.dropped.get(cause, 0)
        if new:
            sample(f"dropped.{cause}", new)
    requests = now.stats.requests - before.stats.requests
    sample("requests", requests)
    sample("retries", now.stats.retries - before.stats.retries)
    duplicates = now.stats.possible_duplicates - before.stats.possible_duplicates
    sample("possible_duplicates", duplicates)
    sample("bytes_sent", now.stats.bytes_sent - before.stats.bytes_sent, "bytes")
    if requests:
        mean = (now.requests_took - before.requests_took) / requests
        sample("request_time", number_format.short(mean * 1000), "ms")
    sample("buffer_fill", round(now.fill, 4))
    return found
