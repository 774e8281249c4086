"""The handler's own health as metrics, once per interval."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from logplex_handler._process.periodic import Periodic
from logplex_handler.metrics import metric_pairs, number_format
from logplex_handler.stats import Stats

# Seconds that closing waits for the last line.
_PATIENCE = 1.0


@dataclass(frozen=True)
class Vitals:
    """How a handler is at one moment.

    Attributes:
        stats: Its books since the process began.
        requests_took: Seconds that its requests have taken together.
        fill: The part of its accumulator that is in use, from 0 to 1.
    """

    stats: Stats
    requests_took: float
    fill: float


class Health:
    """Compares a handler with how it was an interval ago.

    Args:
        interval: Seconds between two lines.
        look: Says how the handler is.
        say: Sends metrics in the handler's stream.
    """

    def __init__(
        self,
        interval: float,
        look: Callable[[], Vitals],
        say: Callable[[Mapping[str, str]], object],
    ) -> None:
        self._look = look
        self._say = say
        self._before = Vitals(Stats(), 0.0, 0.0)
        self._periodic = Periodic(interval, self._report)

    def start(self) -> None:
        """Begin."""
        self._periodic.start()

    def stop(self) -> None:
        """Say a last time how it is, and end."""
        self._periodic.stop(_PATIENCE)

    def _report(self) -> None:
        # The thread must live on, whatever happens here.
        with contextlib.suppress(Exception):
            now = self._look()
            before, self._before = self._before, now
            self._say(pairs(now, before))


def pairs(now: Vitals, before: Vitals) -> dict[str, str]:
    """What has happened since, as samples, and what waits now."""
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
