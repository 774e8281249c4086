"""What happened to every record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["SetAside", "Stats"]

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Stats:
    """The books of one handler in one process, at one moment.

    Records are counted, not packets: a record is delivered when all its packets are, and dropped
    if any of them is. At any moment `accepted == delivered + pending + sum(dropped.values())`.
    The handler's own lines (those that tell of drops) are not counted. A forked child starts at
    zero.

    Attributes:
        accepted: Records that the handler was given, whatever became of them.
        delivered: Records that the receiver answered for with a 2xx.
        pending: Records that wait in memory or in the spool, or are being sent.
        dropped: Records that will not be delivered, by cause: `buffer_full`, `refused`,
            `inactive`, `closed`, `shutdown`, `format_error`, `unknown_stream`, `stream_gone`,
            `spool_lost` (the spool's file was damaged). A cause without records is left out.
        requests: HTTP requests that were tried.
        retries: Those of them that sent a batch again.
        possible_duplicates: Those retries before which it was not known whether the batch had
            arrived: the receiver may have taken it twice.
        bytes_sent: Bytes of the bodies of all requests, as they were sent (compressed, if asked).
        recovered: Those of `accepted` that another process has left in the spool.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    requests: int = 0
    retries: int = 0
    possible_duplicates: int = 0
    bytes_sent: int = 0
    recovered: int = 0

    def __add__(self, other: Stats) -> Stats:
        """Those of two handlers or streams together."""
        if not isinstance(other, Stats):
            return NotImplemented
        dropped = self.dropped
        if other.dropped:
            dropped = MappingProxyType(dict(Counter(dropped) + Counter(other.dropped)))
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
        )


@dataclass(frozen=True, slots=True)
class SetAside:
    """A stream that is not written to at this moment, while its lines are kept.

    Attributes:
        stream: Its id; None for the handler's own URL.
        reason: What was the matter, such as `status 401`.
        since: When that was first so, in seconds since the epoch.
    """

    stream: Hashable
    reason: str
    since: float
