"""The limits of streams that share the memory of a handler, and what helps if they lag behind."""

from __future__ import annotations

from dataclasses import replace

from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._sender.sender import SenderOptions
from logplex_handler.handler.options import Options

# The least size of a batch, in bytes, where many streams share the memory (if half of it suffices).
_MIN_SHARED_BATCH_BYTES = 65_536
# No frame is longer, in bytes: a packet has at most 10,240, and an octet count.
_MAX_FRAME_BYTES = 10_248


def shared(limits: BufferLimits, sender: SenderOptions) -> tuple[BufferLimits, SenderOptions]:
    """Return each stream's limits where many share the memory.

    No request may take much of the memory, and no stream needs to hold more than one.
    """
    share = min(max(_MIN_SHARED_BATCH_BYTES, limits.max_bytes // 64), limits.max_bytes // 2)
    batch_bytes = min(sender.max_batch_bytes, max(_MAX_FRAME_BYTES, share))
    return (
        replace(limits, batch_bytes=min(limits.batch_bytes, batch_bytes)),
        sender._replace(max_batch_bytes=batch_bytes),
    )


def cure_of_lag(options: Options) -> str:
    """Return what helps if records come faster than they are sent."""
    if options.relay is not None:
        return "log less, or in more processes"
    if options.lookup is not None:
        return f"raise `workers` (now {options.workers}), or log less"
    return "set `compress`, or log less"
