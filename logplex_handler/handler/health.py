"""The metrics of a handler about itself."""

from __future__ import annotations

from typing import NamedTuple

from logplex_handler.metrics import metric_pairs, number_format
from logplex_handler.stats import Stats


class Vitals(NamedTuple):
    """The state of a handler at one moment.

    Attributes:
        stats: The outcomes of all records since the process began.
        requests_took: Seconds that all requests have taken together.
        fill: The share of the buffer in use, from 0 to 1.
    """

    stats: Stats
    requests_took: float
    fill: float


def pairs(now: Vitals, before: Vitals) -> dict[str, str]:
    """Return the changes between two states, and the current values, as samples."""
    found: dict[str, str] = {}

    def sample(name: str, value: float, unit: str = "") -> None:
        found.update(metric_pairs.sample(f"logplex_handler.{name}", value, unit))

    new, old = now.stats, before.stats
    # What a shipper puts back, and parts on disk that turn out to be of one record, count no more.
    sample("accepted", max(0, new.accepted - old.accepted))
    sample("delivered", new.delivered - old.delivered)
    if new.relayed:
        sample("relayed", new.relayed - old.relayed)
    sample("pending", new.pending)
    sample("lag", number_format.short(new.lag), "s")
    sample("dropped", sum(new.dropped.values()) - sum(old.dropped.values()))
    for cause, number in new.dropped.items():
        if number != old.dropped.get(cause, 0):
            sample(f"dropped.{cause}", number - old.dropped.get(cause, 0))
    requests = new.requests - old.requests
    sample("requests", requests)
    sample("retries", new.retries - old.retries)
    sample("possible_duplicates", new.possible_duplicates - old.possible_duplicates)
    sample("bytes_sent", new.bytes_sent - old.bytes_sent, "bytes")
    if requests:
        mean = (now.requests_took - before.requests_took) / requests
        sample("request_time", number_format.short(mean * 1000), "ms")
    sample("buffer_fill", round(now.fill, 4))
    return found
