"""Draining an accumulator: its entries become the frames of one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import (
    Frame,
    Rendered,
    Run,
    frame_count,
    linked,
    total_bytes,
)

Render = Callable[[Iterable[Entry]], Iterable[Rendered]]

# Entries taken at a time: about a millisecond of work.
_ENTRIES_AT_ONCE = 500
# Bytes that Python uses for a frame in addition to its content.
_FRAME_OVERHEAD = 48
# Seconds of work after which the worker yields the global interpreter lock to the application's
# threads, and seconds for which it yields at least. A caller may wait for the lock meanwhile.
# Yielding more often would disturb more calls, and less often each of them for longer.
_SLICE = 0.003
_PAUSE = 0.000_05


def drain(
    frames: list[Frame], max_bytes: int, accumulator: Accumulator, render: Render, *, held: int = 0
) -> None:
    """Add the frames of waiting entries in order: as many as fit, and at least those of one entry.

    An entry that cannot be rendered is dropped, so that it does not stop the others. If a signal
    interrupts this, the frames that were added stay, and the other entries are given back.

    Args:
        max_bytes: The limit for all frames together, including those already there.
        held: Memory of other frames that are being sent.
    """
    filled = total_bytes(frames)
    done = 0
    paused_at = time.perf_counter()
    while entries := accumulator.take(_likely_to_fit(done, filled, max_bytes)):
        done += len(entries)
        added = 0
        try:
            for rendered in render(entries):
                for more, entries_of_more in _units(rendered, max_bytes - filled):
                    bytes_of_more = total_bytes(more)
                    if filled + bytes_of_more > max_bytes and frames:
                        return
                    if not more:
                        accumulator.settle(dropped=1, cause="format_error", through=False)
                    # No call between these three lines, so that no signal can interrupt them.
                    filled += bytes_of_more
                    frames += more
                    added += entries_of_more
        finally:
            accumulator.resize_taken(
                held + filled + frame_count(frames) * _FRAME_OVERHEAD, returned=entries[added:]
            )
        if time.perf_counter() - paused_at > _SLICE:
            time.sleep(_PAUSE)
            paused_at = time.perf_counter()


def held_bytes(frames: Iterable[Frame]) -> int:
    """Memory that frames hold."""
    return total_bytes(frames) + frame_count(frames) * _FRAME_OVERHEAD


def _units(rendered: Rendered, room: int) -> list[tuple[Sequence[Frame], int]]:
    """Frames that stay together, with the number of their entries. Too long a run is cut."""
    if not isinstance(rendered, Run):
        return [(linked(rendered), 1)]
    if rendered.size <= room:
        return [([rendered], len(rendered))]
    return [([frame], 1) for frame in rendered]


def _likely_to_fit(entries: int, size: int, max_bytes: int) -> int:
    """The number of entries that will fit if they are like those before; at least one."""
    likely = max_bytes * entries // size - entries if entries and size else _ENTRIES_AT_ONCE
    return max(1, min(likely, _ENTRIES_AT_ONCE))
