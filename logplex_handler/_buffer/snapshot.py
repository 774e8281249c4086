"""The contents of an accumulator at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from logplex_handler._wire.entry import LIGHT


class Snapshot(NamedTuple):
    """The state of an accumulator, from which `due` decides whether to wake a worker.

    Attributes:
        entries: Entries in the queue.
        frames: Packets that they will make.
        weighed: Entries that were weighed.
        weighed_bytes: The bytes that the weighed entries use.
        usual_bytes: The bytes that an entry usually uses.
        in_transit_bytes: The bytes of records that were taken and are being sent.
        allowed_bytes: The bytes that the accumulator may use in total.
        lingers: Whether an entry that makes a batch due waits.
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
        """The most bytes that all entries can use."""
        return self.weighed_bytes + (self.entries - self.weighed) * LIGHT

    @property
    def likely_bytes(self) -> int:
        """The bytes that all entries use, if the others are like the weighed ones."""
        return self.weighed_bytes + (self.entries - self.weighed) * self.usual_bytes


@dataclass(frozen=True)
class Backlog:
    """The waiting records, from which a worker decides when to send.

    Attributes:
        records: Entries that are queued.
        full_batch: Whether their number or size makes a batch due, or a caller waits for room.
        pressing: Whether they make a large batch, or a full one while memory is scarce, or a caller
            waits for room, or they come faster than they are taken.
        since: When the first of them that makes a batch due came, on the monotonic clock.
        flushing: Whether some of them, or of those in transit, belong to a flush.
    """

    records: int
    full_batch: bool
    pressing: bool
    since: float
    flushing: bool
