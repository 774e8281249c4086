"""The limits of an accumulator, and the size of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from logplex_handler._wire.entry import LIGHT

OnFull = Literal["drop_oldest", "drop_newest", "block"]

# A batch that is due may wait a moment until it has this many times as many packets, because one
# large request costs less than several small ones.
LARGE = 10


@dataclass(frozen=True)
class BufferLimits:
    """The number of bytes that may wait, and what a full accumulator does.

    Attributes:
        max_bytes: The bytes that entries may use, including those in transit.
        on_full: Whether to drop the oldest or the newest entry, or to make the caller wait.
        batch_frames: Packets that make a batch due.
        batch_bytes: Bytes that make a batch due.
        has_disk: Whether entries are written to disk. If so, a worker is woken when entries
            probably use half of the bytes, and callers are throttled for longer.
    """

    max_bytes: int
    on_full: OnFull
    batch_frames: int
    batch_bytes: int
    has_disk: bool = False

    @cached_property
    def large_batch_frames(self) -> int:
        """The number of packets of a large batch; smaller if that many may not fit."""
        room_for = max(self.batch_frames, self.max_bytes * 3 // 4 // LIGHT)
        return min(LARGE * self.batch_frames, room_for)
