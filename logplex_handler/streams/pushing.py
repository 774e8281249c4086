"""Pushing the batches of several streams to the relay at once."""

from __future__ import annotations

from collections.abc import Sequence

from logplex_handler.streams.stream import Stream

# Streams that are pushed together at most: a few milliseconds of work for the engine.
MAX_STREAMS = 500


def push(streams: Sequence[Stream]) -> None:
    """Push a batch of each of these streams, all of which go to the same relay."""
    context = streams[0].context
    sink = context.relaying.sink
    if sink is None:
        return
    context.recover()
    try:
        for sender in sink.push(stream.sender for stream in streams):
            context.lag_reports.note(sender.unhindered_lag)
    finally:
        if context.memory is not None:
            context.memory.shrink_holders()
