"""The outcomes of all records, as counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

__all__ = ["SetAside", "Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """The counts of one handler in one process, at one moment.

    The counts are of records, not of packets: a record is delivered when all its packets are, and
    dropped if any of them is. `accepted == delivered + relayed + pending + sum(dropped.values())`
    holds at any moment. The handler's own lines, such as drop notices, are not counted. A forked
    child starts at zero.

    Attributes:
        accepted: Records that the handler was given, whatever their outcome.
        delivered: Records that the receiver has accepted with a 2xx answer.
        pending: Records that wait in memory or in the spool, or are being sent.
        dropped: Records that will not be delivered, by cause: `buffer_full`, `refused`,
            `inactive`, `closed`, `shutdown`, `format_error`, `unknown_stream`, `stream_gone`,
            `spool_lost` (the spool's file was damaged). Causes without records are left out.
        requests: HTTP requests that were attempted; chunks that were pushed to a relay.
        retries: Requests that sent a batch again.
        possible_duplicates: Retries of a batch that may have arrived before, so that the receiver
            may have taken it twice.
        bytes_sent: Bytes of the bodies of all requests, as sent (compressed, if that is enabled).
        recovered: Records among `accepted` that another process left in the spool.
        lag: Seconds since the oldest pending record was logged, or was queued if that is later; 0
            if none is pending. A sum has the greater lag. Not compared, since it changes all the
            time.
        relayed: Records that the relay has stored.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    possible_duplicates: int = 0
    bytes_sent: int = 0
    recovered: int = 0
    lag: float = field(default=0.0, compare=False)
    relayed: int = 0

    def __add__(self, other: Stats) -> Stats:
        """Return the sums of the counts of two handlers or streams."""
        if not isinstance(other, Stats):
            return NotImplemented
        dropped = self.dropped
        if other.dropped:
            dropped = dict(Counter(dropped) + Counter(other.dropped))
        return Stats(
            self.accepted + other.accepted,
            self.delivered + other.delivered,
            self.pending + other.pending,
            dropped,
            self.requests + other.requests,
            self.retries + other.retries,
            self.possible_duplicates + other.possible_duplicates,
            self.bytes_sent + other.bytes_sent,
            self.recovered + other.recovered,
            max(self.lag, other.lag),
            self.relayed + other.relayed,
        )

    def __sub__(self, other: Stats) -> Stats:
        """Return the counts since an earlier moment, with the lag of the later one."""
        if not isinstance(other, Stats):
            return NotImplemented
        dropped = self.dropped
        if other.dropped:
            dropped = dict(Counter(dropped) - Counter(other.dropped))
        return Stats(
            self.accepted - other.accepted,
            self.delivered - other.delivered,
            self.pending - other.pending,
            dropped,
            self.requests - other.requests,
            self.retries - other.retries,
            self.possible_duplicates - other.possible_duplicates,
            self.bytes_sent - other.bytes_sent,
            self.recovered - other.recovered,
            self.lag,
            self.relayed - other.relayed,
        )


@dataclass(frozen=True, slots=True)
class SetAside:
    """A stream that receives nothing at the moment, while its lines are kept.

    Attributes:
        stream: The stream's id; None for the handler's own URL.
        reason: The problem, such as `status 401`.
        since: The time at which the problem was first seen, in seconds since the epoch.
    """

    stream: Hashable
    reason: str
    since: float
