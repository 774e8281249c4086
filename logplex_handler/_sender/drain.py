"""Entries are taken from the accumulator and made into the frames of one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import Frame, Run, frame_count, linked, total_bytes

# The frame of each entry, or its frames where it needs several, none of one that cannot be written;
# or the frames of several entries as one run.
Rendered = Frame | list[bytes]
Render = Callable[[Iterable[Entry]], Iterable[Rendered]]


class RenderFor(Protocol):
    """The frames of entries, for their destination."""

    def __call__(
        self, entries: Iterable[Entry], destination: Destination
    ) -> Iterable[Rendered]: ...


# A frame for one destination as it is for another.
Readdress = Callable[[bytes, Destination, Destination], bytes]

# Codec taken at a time: about a millisecond's work.
_TAKEN_AT_ONCE = 500
# Bytes that a frame holds besides its own.
_FRAME_BYTES = 48
# Seconds of work after which the application's threads get their turn, and how long that is at
# least. Where there is a global interpreter lock, a thread that logs waits for it meanwhile. More
# often would disturb more of its calls; rarer, each of them for longer.
_SLICE = 0.003
_BREATH = 0.000_05


def drain(
    frames: list[Frame], max_bytes: int, accumulator: Accumulator, render: Render, *, held: int = 0
) -> None:
    """Add the frames of what waits, in order: as many as fit, and of one entry at least.

    An entry that cannot be written is dropped: it must not stop the others. When a signal
    interrupts this, what was added stays, and the rest is given back. `held` is how many bytes are
    being sent beside these.
    """
    filled = total_bytes(frames)
    done = 0
    rested = time.perf_counter()
    while entries := accumulator.take(_likely_to_fit(done, filled, max_bytes)):
        done += len(entries)
        added = 0
        try:
            for one in render(entries):
                for more, of_entries in _parts(one, max_bytes - filled):
                    bytes_more = total_bytes(more)
                    if filled + bytes_more > max_bytes and frames:
                        return
                    if not more:
                        accumulator.settle(dropped=1, cause="format_error", through=False)
                    # Without a call between, at which a signal could interrupt.
                    filled += bytes_more
                    frames += more
                    added += of_entries
        finally:
            accumulator.keep(
                held + filled + frame_count(frames) * _FRAME_BYTES, back=entries[added:]
            )
        if time.perf_counter() - rested > _SLICE:
            time.sleep(_BREATH)
            rested = time.perf_counter()


def held_bytes(frames: Iterable[Frame]) -> int:
    """Memory that frames hold."""
    return total_bytes(frames) + frame_count(frames) * _FRAME_BYTES


def _parts(one: Rendered, room: int) -> list[tuple[Sequence[Frame], int]]:
    """What has to go together, and of how many entries it is: a run as a whole, if it fits."""
    if not isinstance(one, Run):
        return [([one] if isinstance(one, bytes) else linked(one), 1)]
    return [([one], len(one))] if one.size <= room else [([frame], 1) for frame in one]


def _likely_to_fit(entries: int, size: int, max_bytes: int) -> int:
    """How many more will fit if they are like those before; one at least."""
    likely = max_bytes * entries // size - entries if entries and size else _TAKEN_AT_ONCE
    return max(1, min(likely, _TAKEN_AT_ONCE))
