"""The reasons to wake a worker, and how many entries may come before there is another.

All functions are pure, and decide from a snapshot of an accumulator.
"""

from __future__ import annotations

import sys
from typing import TypeAlias

from logplex_handler._buffer.limits import BufferLimits
from logplex_handler._buffer.snapshot import Snapshot
from logplex_handler._wire.entry import LIGHT

# Looks at the queue while the second half of the room fills, if no entries are taken. At each look
# the caller may be throttled. Enough that the room lasts longer than the throttling.
_LOOKS_WHILE_HALF_FULL = 64


# Reasons to wake a worker, as bits of one number. (With an enum.Flag each look would cost half as
# much again.) An entry waits: from now on a batch is due in `flush_interval`.
FIRST = 1
# There is a full batch, or a caller waits for room.
BATCH = 2
# There is a large batch, or a full one while memory is scarce.
LARGE = 4
# Half of the room is in use.
ROOM = 8
# There are drops to report.
DROPS = 16

Reasons: TypeAlias = int


def due(now: Snapshot, limits: BufferLimits, *, is_room_wanted: bool = False) -> Reasons:
    """All present reasons, whether or not a worker was woken for them.

    Args:
        is_room_wanted: Whether a caller waits for room.
    """
    reasons = FIRST if now.lingers else 0
    is_full_by_bytes = now.weighed_bytes >= limits.batch_bytes
    if (
        now.frames >= limits.batch_frames
        or is_full_by_bytes
        or (is_room_wanted and now.entries > 0)
    ):
        reasons |= BATCH
        if now.frames >= limits.large_batch_frames or is_full_by_bytes or now.is_memory_scarce:
            reasons |= LARGE
    # Without a disk there is no need to estimate: heavy entries are always weighed, and light ones
    # once they might fill the room.
    held = now.likely_bytes if limits.has_disk else now.weighed_bytes
    if held > half_of_room(limits, now.in_transit_bytes):
        reasons |= ROOM
    if now.has_unreported_drops:
        reasons |= DROPS
    return reasons


def next_look(
    now: Snapshot, limits: BufferLimits, reported: Reasons, *, congested_at: int, may_throttle: bool
) -> int:
    """The length of the queue at which light entries may give another reason, or fill the room.

    0 if the next entry is a reason in any case.

    Args:
        reported: The reasons for which a worker was woken.
        congested_at: The length from which the queue is congested.
        may_throttle: Whether callers are throttled while half of the room is in use.
    """
    if not now.lingers or not reported & FIRST:
        return 0
    most = min(now.allowed_bytes - now.in_transit_bytes, most_unweighed(limits, reported))
    more = (most - now.most_bytes) // LIGHT
    if limits.has_disk:
        if not reported & ROOM:
            left = half_of_room(limits, now.in_transit_bytes) - now.likely_bytes
            more = min(more, left // now.usual_bytes)
        elif may_throttle:
            left = now.allowed_bytes - now.in_transit_bytes - now.most_bytes
            more = min(more, left // now.usual_bytes // _LOOKS_WHILE_HALF_FULL)
    look_at = min(congested_at, now.entries + max(0, more) + 1)
    if not reported & LARGE:
        is_enough = not reported & BATCH or now.is_memory_scarce
        wanted = limits.batch_frames if is_enough else limits.large_batch_frames
        look_at = min(look_at, now.entries + wanted - now.frames)
    return look_at


def most_unweighed(limits: BufferLimits, reported: Reasons) -> int:
    """The number of bytes that entries may use before their exact weight matters."""
    return sys.maxsize if reported & BATCH else limits.batch_bytes - 1


def half_of_room(limits: BufferLimits, in_transit_bytes: int) -> int:
    """Half of the bytes that may wait in addition to those in transit."""
    return (limits.max_bytes - in_transit_bytes) // 2
