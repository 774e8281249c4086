"""Entries are taken from the buffer and made into the frames of one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from logplex_handler._batch import pieces
from logplex_handler._buffer import Buffer, Entry

# The frame of an entry, or its frames where it needs several.
Render = Callable[[Entry], bytes | list[bytes]]

# Entries taken at a time: about a millisecond's work.
_TAKEN_AT_ONCE = 500
# Bytes that a frame holds beside its own.
_FRAME_BYTES = 48
# Seconds of work after which the application's threads get their turn, and how long that is at
# least. Where there is a global interpreter lock, a thread that logs waits for it meanwhile. More
# often would disturb more of its calls; rarer, each of them for longer.
_SLICE = 0.002
_REST = 0.000_05


def fill(frames: list[bytes], max_bytes: int, buffer: Buffer, render: Render) -> None:
    """Add the frames of what waits, in order: as many as fit, and of one entry at least.

    An entry that cannot be written is dropped: it must not stop the others.
    """
    size = sum(map(len, frames))
    taken: list[Entry] = []
    failed: list[Entry] = []
    rested = time.perf_counter()
    try:
        while True:
            more = buffer.take(_likely_to_fit(len(taken), size, max_bytes))
            if not more:
                return
            taken += more
            left = iter(more)
            for entry in left:
                try:
                    rendered = render(entry)
                except Exception:
                    failed.append(entry)
                    buffer.settle(dropped=1, cause="format_error")
                    continue
                more_frames: Sequence[bytes]
                if isinstance(rendered, bytes):
                    more_frames = (rendered,)
                    size += len(rendered)
                else:
                    more_frames = pieces(rendered)
                    size += sum(map(len, rendered))
                if size > max_bytes and frames:
                    buffer.give_back([entry, *left])
                    return
                frames += more_frames
            buffer.holds(size + len(frames) * _FRAME_BYTES)
            if time.perf_counter() - rested > _SLICE:
                time.sleep(_REST)
                rested = time.perf_counter()
    except BaseException:
        # A signal's doing. Nothing is sent, so nothing is lost.
        buffer.give_back([entry for entry in taken if not any(entry is one for one in failed)])
        raise


def _likely_to_fit(entries: int, size: int, max_bytes: int) -> int:
    """How many more will fit if they are like those before; one at least."""
    likely = max_bytes * entries // size - entries if entries else _TAKEN_AT_ONCE
    return max(1, min(likely, _TAKEN_AT_ONCE))
