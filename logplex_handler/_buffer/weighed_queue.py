"""A queue whose front part is weighed.

Most entries are *light*: they use at most `LIGHT` bytes, and make one packet. They are appended
without a lock, and are not weighed until they could use too many bytes in total. If they are taken
as fast as they come, they are never weighed. The other entries, the *heavy* ones, are
weighed when they are appended, so that they wait like light ones.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from logplex_handler._wire.entry import LIGHT, Entry, Weigh

# Stands for an entry that was dropped at the front, until several are removed in one step: each
# removal moves all entries behind it.
_GONE: Entry = ()
# Dropped entries are removed once they are this share of all.
_SHARE_GONE = 8
# Bytes by which the memory of a typical entry exceeds its frame.
_BEYOND_FRAME = 192


class FlushMark:
    """A place in a queue, for which a flush waits.

    Attributes:
        place: The number of entries taken in total once all entries before the mark are taken.
    """

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place = 0


class WeighedQueue:
    """Entries in order, of which the first are weighed.

    The owner guards it, except for `entries.append`. Near the recursion limit, any call may fail,
    so related fields are written without a call in between. Marks are an exception, because they
    only decide how long a flush waits.

    Attributes:
        entries: The entries, with those at the front that were dropped and not removed yet. It is a
            list, since a deque takes six times its memory and its time in each garbage collection,
            of which a process with many streams has most for queues of one entry.
        gone: The number of those that were dropped.
        heavy: The number of heavy entries behind the weighed ones.
        heavy_bytes: The bytes that these heavy entries use.
        heavy_frames: The packets that these heavy entries will make.
        taken: The number of entries ever taken, minus those put back.
        weighed: The number of weighed entries, which are at the front.
        weighed_bytes: The bytes that the weighed entries use.
        weighed_frames: The packets that the weighed entries will make.
        usual_bytes: The bytes that an entry usually uses, as far as known.
    """

    __slots__ = (
        "_marks", "entries", "gone", "heavy", "heavy_bytes", "heavy_frames", "taken",
        "usual_bytes", "weigh", "weighed", "weighed_bytes", "weighed_frames",
    )  # fmt: skip

    def __init__(self, weigh: Weigh) -> None:
        self.entries: list[Entry] = []
        self.gone = 0
        self.weigh = weigh
        self.taken = self.weighed = self.weighed_bytes = self.weighed_frames = 0
        self.heavy = self.heavy_bytes = self.heavy_frames = 0
        self.usual_bytes = LIGHT
        # Marks move when an entry before them is dropped. They are in a tuple, because an empty one
        # takes no memory.
        self._marks: tuple[FlushMark, ...] = ()

    @property
    def queued(self) -> int:
        """The number of entries."""
        return len(self.entries) - self.gone

    @property
    def known_bytes(self) -> int:
        """The fewest bytes that all entries can use."""
        return self.weighed_bytes + self.heavy_bytes

    @property
    def _light(self) -> int:
        """The number of entries that are neither weighed nor heavy."""
        return len(self.entries) - self.gone - self.weighed - self.heavy

    @property
    def most_bytes(self) -> int:
        """The most bytes that all entries can use."""
        return self.known_bytes + self._light * LIGHT

    @property
    def likely_bytes(self) -> int:
        """The bytes that all entries use, if the others are like the weighed ones."""
        return self.known_bytes + self._light * self.usual_bytes

    @property
    def frames(self) -> int:
        return self.weighed_frames + self._light + self.heavy_frames

    def likely_number(self, size: int) -> int:
        """Return how many of the first entries make frames of this many bytes, if all are alike.

        One more, because to give it back costs less than to take the last one by itself.

        Any thread may call it.
        """
        known = self.known_bytes
        known = max(known // 2, known - _BEYOND_FRAME * (self.weighed + self.heavy))
        return max(1, size * self.queued // known + 1) if known > 0 else sys.maxsize

    def _append(self, entry: Entry, size: int, frames: int) -> None:
        """Append an entry of any size."""
        # Counted first, so that no interruption takes the entry for a light one.
        if size > LIGHT or frames > 1:
            self.heavy += 1
            self.heavy_bytes += size
            self.heavy_frames += frames
        self.entries.append(entry)

    def _count_heavy(self, heavy: int, size: int, frames: int) -> None:
        self.heavy += heavy
        self.heavy_bytes += size
        self.heavy_frames += frames

    def _add_mark(self, mark: FlushMark) -> None:
        """Put the mark after all entries; from now on it keeps its place among them."""
        self._marks += (mark,)
        mark.place = self.taken + self.queued

    def _remove_mark(self, mark: FlushMark) -> None:
        self._marks = tuple([other for other in self._marks if other is not mark])

    def _drop_at(self, index: int) -> None:
        """Drop the entry at an index, which no longer counts as weighed.

        It does not count as taken, since earlier entries may still be put back.
        """
        entries, marks = self.entries, self._marks
        if index:
            del entries[self.gone + index]
        else:
            # Counted first, so that an interruption leaves no place that stands for an entry.
            self.gone += 1
            entries[self.gone - 1] = _GONE
        for mark in marks:
            if mark.place > self.taken + index:
                mark.place -= 1
        if self.gone * _SHARE_GONE >= len(entries):
            self._remove_gone()

    def _remove_gone(self) -> None:
        entries = self.entries
        if not self.gone:
            return
        try:
            del entries[: self.gone]
        finally:
            # A signal handler may have raised before.
            if not entries or entries[0] is not _GONE:
                self.gone = 0

    def _drop_oldest(self, size: int, frames: int) -> None:
        self.weighed -= 1
        self.weighed_bytes -= size
        self.weighed_frames -= frames
        self._drop_at(0)

    def _drop_all(self) -> int:
        self._remove_gone()
        # Others may be appended meanwhile.
        number = len(self.entries)
        self.weighed = self.weighed_bytes = self.weighed_frames = 0
        self.heavy = self.heavy_bytes = self.heavy_frames = 0
        del self.entries[:number]
        for mark in self._marks:
            mark.place = min(mark.place, self.taken)
        return number

    def _keep_next(self, size: int, frames: int) -> None:
        self.weighed += 1
        self.weighed_bytes += size
        self.weighed_frames += frames

    def _learn_usual_bytes(self) -> None:
        """Set the usual bytes to the mean of the weighed entries."""
        if self.weighed:
            self.usual_bytes = min(LIGHT, self.weighed_bytes // self.weighed + 1)

    def _take_first(self, number: int) -> tuple[list[Entry], int]:
        """Take this many entries from the front.

        Returns:
            The entries, and the bytes of those that are weighed or not light.
        """
        self._remove_gone()
        entries = self.entries
        size, frames = self.weighed_bytes, self.weighed_frames
        heavy = heavy_bytes = heavy_frames = 0
        if number < self.weighed:
            size = frames = 0
            for entry in entries[:number]:
                more, more_frames = self.weigh(entry)
                size += more
                frames += more_frames
        for index in range(self.weighed, number):
            if heavy == self.heavy:
                break
            more, more_frames = self.weigh(entries[index])
            if more > LIGHT or more_frames > 1:
                heavy += 1
                heavy_bytes += more
                heavy_frames += more_frames
        taken = entries[:number]
        try:
            del entries[:number]
        except BaseException:
            # A signal handler may have raised it, before or after that.
            if taken and not (entries and entries[0] is taken[0]):
                entries[:0] = taken
            raise
        self.taken += len(taken)
        self.weighed = max(0, self.weighed - len(taken))
        self.weighed_bytes -= size
        self.weighed_frames -= frames
        self.heavy -= heavy
        self.heavy_bytes -= heavy_bytes
        self.heavy_frames -= heavy_frames
        return taken, size + heavy_bytes

    def _return_taken(self, entries: Sequence[Entry]) -> None:
        self._remove_gone()
        weights = list(map(self.weigh, entries))
        number, size, frames = len(weights), *map(sum, zip(*weights, strict=True))
        self.entries[:0] = entries
        self.taken -= number
        self.weighed += number
        self.weighed_bytes += size
        self.weighed_frames += frames
