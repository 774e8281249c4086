"""A queue whose front part is weighed.

Most entries are *light*: they use at most `LIGHT` bytes, and make one packet. They are appended
without a lock, and are not weighed until they could use too many bytes in total. If they are taken
as fast as they come, they are never weighed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat, starmap

from logplex_handler._wire.entry import LIGHT, Entry, Weigh


class FlushMark:
    """A place in a queue, for which a flush waits.

    Attributes:
        place: How many entries were taken in total once all entries before the mark are.
    """

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place = 0


class WeighedQueue:
    """Entries in order.

    The owner guards it, except for `entries.append`. Near the recursion limit any call may fail, so
    related fields are written without a call in between. Marks are an exception, because they only
    decide how long a flush waits.

    Attributes:
        taken: All entries ever taken, minus those put back.
        weighed: The weighed entries at the front.
        weighed_bytes: The bytes that these use.
        weighed_frames: The packets that they will make.
        usual_bytes: The bytes that an entry usually uses, as far as known.
    """

    __slots__ = (
        "_marks", "entries", "taken", "usual_bytes", "weigh", "weighed", "weighed_bytes",
        "weighed_frames",
    )  # fmt: skip

    def __init__(self, weigh: Weigh) -> None:
        self.entries: deque[Entry] = deque()
        self.weigh = weigh
        self.taken = 0
        self.weighed = 0
        self.weighed_bytes = 0
        self.weighed_frames = 0
        self.usual_bytes = LIGHT
        # Marks move when an entry before them is dropped.
        self._marks: list[FlushMark] = []

    @property
    def most_bytes(self) -> int:
        """The most bytes that all entries can use."""
        return self.weighed_bytes + (len(self.entries) - self.weighed) * LIGHT

    @property
    def likely_bytes(self) -> int:
        """The bytes that all entries use, if the others are like the weighed ones."""
        return self.weighed_bytes + (len(self.entries) - self.weighed) * self.usual_bytes

    def add_mark(self, mark: FlushMark) -> None:
        """Put the mark after all entries; from now on it keeps its place among them."""
        self._marks.append(mark)
        mark.place = self.taken + len(self.entries)

    def remove_mark(self, mark: FlushMark) -> None:
        """Forget the mark."""
        self._marks.remove(mark)

    def weight_of_next(self) -> tuple[int, int]:
        """The bytes and packets of the first entry that is not weighed yet."""
        return self.weigh(self.entries[self.weighed])

    def keep_next(self, size: int, frames: int) -> None:
        """Note that this entry stays, and has this weight."""
        self.weighed += 1
        self.weighed_bytes += size
        self.weighed_frames += frames

    def drop_next(self) -> None:
        """Drop this entry."""
        marks = list(self._marks)
        del self.entries[self.weighed]
        self._move(marks, self.weighed)

    def learn_usual_bytes(self) -> None:
        """Set the usual bytes to the mean of the weighed entries."""
        if self.weighed:
            self.usual_bytes = min(LIGHT, self.weighed_bytes // self.weighed + 1)

    def weight_of_oldest(self) -> tuple[int, int]:
        """The bytes and packets of the entry at the front."""
        return self.weigh(self.entries[0])

    def drop_oldest(self, size: int, frames: int) -> None:
        """Drop the entry at the front, which was weighed, and has this weight."""
        marks = list(self._marks)
        self.weighed -= 1
        self.weighed_bytes -= size
        self.weighed_frames -= frames
        del self.entries[0]
        self._move(marks, 0)

    def drop_all(self) -> int:
        """Drop all entries; return how many there were."""
        number = 0
        self.weighed = self.weighed_bytes = self.weighed_frames = 0
        while self.entries:
            self.entries.popleft()
            number += 1
        for mark in self._marks:
            mark.place = min(mark.place, self.taken)
        return number

    def _move(self, marks: Sequence[FlushMark], index: int) -> None:
        """Move these marks, because the entry at this index was dropped.

        The entry does not count as taken, since earlier entries may still be put back.
        """
        for mark in marks:
            if mark.place > self.taken + index:
                mark.place -= 1

    def take(self, most: int) -> tuple[list[Entry], int]:
        """Take at most this many entries from the front, and the bytes of the weighed ones."""
        entries = self.entries
        number = min(most, len(entries))
        size = frames = 0
        for index in range(min(number, self.weighed)):
            more, more_frames = self.weigh(entries[index])
            size += more
            frames += more_frames
        taken: list[Entry] = []
        try:
            # One step, which no signal can interrupt.
            taken.extend(starmap(entries.popleft, repeat((), number)))
        finally:
            self.taken += len(taken)
            self.weighed = max(0, self.weighed - len(taken))
            self.weighed_bytes -= size
            self.weighed_frames -= frames
        return taken, size

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put the entries taken last back to the front, in order."""
        for entry in reversed(entries):
            size, frames = self.weigh(entry)
            self.keep_next(size, frames)
            self.taken -= 1
            self.entries.appendleft(entry)
