"""How the frames of a batch are made from the entries that wait in an accumulator."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import (
    Frame,
    Rendered,
    Run,
    frame_count,
    total_bytes,
)

Render = Callable[[Iterable[Entry]], Iterable[Rendered]]

# The most entries taken at a time: about a millisecond of work.
_ENTRIES_AT_ONCE = 500
# Bytes that Python uses for a frame in addition to its content.
_FRAME_OVERHEAD = 48
# Seconds of work after which the worker yields the global interpreter lock to the application's
# threads, and the least seconds for which it yields. A caller may wait for the lock meanwhile.
# Yielding more often would delay more calls, and yielding less often would delay each for longer.
_SLICE = 0.003
_PAUSE = 0.000_05


def drain(
    frames: list[Frame],
    max_bytes: int,
    accumulator: Accumulator,
    render: Render,
    *,
    held: int = 0,
    max_frames: int = sys.maxsize,
) -> None:
    """Add the frames of waiting entries in order: as many as fit, and at least those of one entry.

    An entry that cannot be rendered is dropped, so that it does not stop the others. If a signal
    interrupts this, the frames that were added stay, and the other entries are put back.

    Args:
        max_bytes: The limit for all frames together, including those already there.
        held: Memory of other frames that are being sent.
        max_frames: The limit for the number of frames, in the same way.
    """
    filled = total_bytes(frames)
    # Frames are counted only where they are limited.
    is_limited = max_frames < sys.maxsize
    room = max_frames - frame_count(frames) if is_limited else max_frames
    done = 0
    paused_at = time.perf_counter()
    is_more = True
    while is_more and (room > 0 or not frames):
        most = min(
            _likely_to_fit(done, filled, max_bytes),
            accumulator.likely_number(max_bytes - filled),
            max(1, room),
        )
        entries = accumulator.take(most)
        # If fewer waited, later entries are for the next batch.
        is_more = len(entries) == most
        done += len(entries)
        added = 0
        try:
            for run in _joined(_rendered(render, entries), max_bytes - filled):
                records = run.records
                if records and run.size <= max_bytes - filled and not is_limited:
                    # As below, in fewer steps.
                    filled += run.size
                    frames += (run,)
                    added += records
                    continue
                for more, entries_of_more in _units(run, max_bytes - filled, room):
                    bytes_of_more = total_bytes(more)
                    number = frame_count(more) if is_limited else 0
                    if (filled + bytes_of_more > max_bytes or number > room) and frames:
                        return
                    if not more:
                        accumulator.settle(dropped=1, cause="format_error", through=False)
                    room -= number
                    # There is no call between these three lines, so that no signal can interrupt
                    # them.
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
    return total_bytes(frames) + frame_count(frames) * _FRAME_OVERHEAD


def _rendered(render: Render, entries: Sequence[Entry]) -> Iterator[Rendered]:
    """Yield what `render` does, and no frames for an entry that makes it fail."""
    done = 0
    try:
        for one in render(entries):
            done += one.records if isinstance(one, Run) else 1
            yield one
    except RecursionError:
        # The flushing caller is near the recursion limit; a worker renders the entries later.
        raise
    except Exception:
        if len(entries) == 1 and not done:
            yield []
            return
        for entry in entries[done:]:
            yield from _rendered(render, [entry])


def _joined(rendered: Iterable[Rendered], room: int) -> Iterator[Run]:
    """Yield all as runs, those of consecutive entries of one frame each joined: they cost less."""
    frames: list[bytes] = []
    for one in rendered:
        if len(one) == 1 and len(one[0]) <= room:
            room -= len(one[0])
            frames += one
            continue
        if frames:
            yield Run(frames)
            frames = []
        run = one if isinstance(one, Run) else Run.of_one(one)
        room -= run.size
        yield run
    if frames:
        yield Run(frames)


def _units(run: Run, max_bytes: int, most: int) -> list[tuple[Sequence[Frame], int]]:
    """Return frames that stay together, with the number of their entries. A run too long is cut."""
    if not run:
        return [([], 1)]
    if run.records == 1 or (run.size <= max_bytes and len(run) <= most):
        return [([run], run.records)]
    records = run.by_record()
    return [(frames if len(frames) == 1 else [Run.of_one(frames)], 1) for frames in records]


def _likely_to_fit(entries: int, size: int, max_bytes: int) -> int:
    """Return the number of entries that will fit if they are like earlier ones; at least one."""
    likely = max_bytes * entries // size - entries if entries and size else _ENTRIES_AT_ONCE
    return max(1, min(likely, _ENTRIES_AT_ONCE))
