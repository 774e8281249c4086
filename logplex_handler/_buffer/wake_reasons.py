"""The reasons to wake a worker, and how many entries may come before there is another.

All functions are pure, and decide from the contents of an accumulator.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from logplex_handler._buffer.contents import Contents
from logplex_handler._buffer.limits import BufferLimits
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

WakeReasons: TypeAlias = int


def wake_reasons(
    contents: Contents, limits: BufferLimits, *, is_room_wanted: bool = False
) -> WakeReasons:
    """All present reasons, whether or not a worker was woken for them.

    Args:
        is_room_wanted: Whether a caller waits for room.
    """
    queue = contents.queue
    entries = len(queue.entries)
    reasons = 0
    if entries:
        if contents.since != math.inf:
            reasons = FIRST
        frames = queue.weighed_frames + entries - queue.weighed
        is_full_by_bytes = queue.weighed_bytes >= limits.batch_bytes
        if frames >= limits.batch_frames or is_full_by_bytes or is_room_wanted:
            reasons |= BATCH
            if frames >= limits.large_batch_frames or is_full_by_bytes or contents.is_memory_scarce:
                reasons |= LARGE
    # Without a disk there is no need to estimate: heavy entries are always weighed, and light ones
    # once they might fill the room.
    held = queue.likely_bytes if limits.has_disk else queue.weighed_bytes
    if held > contents.half_of_room:
        reasons |= ROOM
    if contents.ledger.has_unreported:
        reasons |= DROPS
    return reasons


def next_look(
    contents: Contents,
    limits: BufferLimits,
    woken_for: WakeReasons,
    *,
    congested_at: int,
    may_throttle: bool,
) -> int:
    """The length of the queue at which light entries may give another reason, or fill the room.

    0 if the next entry is a reason in any case.

    Args:
        woken_for: The reasons for which a worker was woken.
        congested_at: The length of the queue from which it is congested.
        may_throttle: Whether callers are throttled while half of the room is in use.
    """
    queue = contents.queue
    entries = len(queue.entries)
    if not (entries and woken_for & FIRST) or contents.since == math.inf:
        return 0
    most_bytes = queue.most_bytes
    most = contents.most_unweighed(knows_batch=woken_for & BATCH != 0)
    more = (most - most_bytes) // LIGHT
    if limits.has_disk:
        if not woken_for & ROOM:
            left = contents.half_of_room - queue.likely_bytes
            more = min(more, left // queue.usual_bytes)
        elif may_throttle:
            left = contents.allowed - contents.in_transit_bytes - most_bytes
            more = min(more, left // queue.usual_bytes // _LOOKS_WHILE_HALF_FULL)
    look_at = min(congested_at, entries + max(0, more) + 1)
    if not woken_for & LARGE:
        frames = queue.weighed_frames + entries - queue.weighed
        is_enough = not woken_for & BATCH or contents.is_memory_scarce
        wanted = limits.batch_frames if is_enough else limits.large_batch_frames
        look_at = min(look_at, entries + wanted - frames)
    return look_at
