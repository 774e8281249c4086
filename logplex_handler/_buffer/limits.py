"""How much an accumulator may hold, and how much of it makes a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from logplex_handler._wire.entry import LIGHT

OnFull = Literal["drop_oldest", "drop_newest", "block"]

# A batch that is due may wait a moment for so many times as many packets: they cost less together.
LARGE = 10


@dataclass(frozen=True)
class BufferLimits:
    """How much may wait, and what a full accumulator does.

    Attributes:
        max_bytes: Memory that entries may hold, those in transit included.
        on_full: Whether the oldest or the newest entry is dropped, or the caller waits.
        batch_frames: Packets that make a batch due.
        batch_bytes: Bytes that make a batch due.
        has_disk: Whether entries leave for a disk. Then a worker is woken when the entries are
            likely to hold half of the bytes, and callers are throttled for longer.
    """

    max_bytes: int
    on_full: OnFull
    batch_frames: int
    batch_bytes: int
    has_disk: bool = False

    @cached_property
    def large_batch_frames(self) -> int:
        """Packets of a large batch; fewer where there may be no room for so many."""
        room_for = max(self.batch_frames, self.max_bytes * 3 // 4 // LIGHT)
        return min(LARGE * self.batch_frames, room_for)
