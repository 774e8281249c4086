"""What an accumulator holds at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._wire.entry import LIGHT


class Snapshot(NamedTuple):
    """What an accumulator holds, for the decision whether to wake a worker.

    Attributes:
        entries: Entries in the queue.
        frames: Packets that they will make.
        weighed: Entries that were weighed.
        weighed_bytes: Bytes that these hold.
        usual_bytes: Bytes that an entry usually holds.
        in_transit_bytes: Bytes of what was taken, and is being sent.
        allowed_bytes: Bytes that all of it may hold.
        lingers: Whether an entry waits that is a reason to send.
        is_memory_scarce: Whether the memory that streams share is nearly used up.
        has_unreported_drops: Whether there are drops to report.
    """

    entries: int
    frames: int
    weighed: int
    weighed_bytes: int
    usual_bytes: int
    in_transit_bytes: int
    allowed_bytes: int
    lingers: bool
    is_memory_scarce: bool = False
    has_unreported_drops: bool = False

    @property
    def most_bytes(self) -> int:
        """Bytes that all entries hold at most."""
        return self.weighed_bytes + (self.entries - self.weighed) * LIGHT

    @property
    def likely_bytes(self) -> int:
        """Bytes that all entries hold, if those not weighed are like those that were."""
        return self.weighed_bytes + (self.entries - self.weighed) * self.usual_bytes


@dataclass(frozen=True)
class Backlog:
    """What waits, by which a worker decides when to send it.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether they make a batch due by number or size, or a caller waits for room.
        pressing: Whether they make a large batch, or a full one where memory is scarce, or a caller
            waits for room, or they come faster than they are taken.
        since: When the first of them came that is a reason to send, on the monotonic clock.
        flushing: Whether some of them, or of those in transit, are to be flushed.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool
