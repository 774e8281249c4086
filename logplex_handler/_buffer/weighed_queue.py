"""A queue whose front part is weighed.

Most entries are *light*: known to hold no more than `LIGHT` bytes, and to make one packet. They are
appended without a lock and not weighed until there are so many that they could hold too much;
where they are taken as fast as they come, that is never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat, starmap

from logplex_handler._wire.entry import LIGHT, Entry, Weigh


class FlushMark:
    """A place in a queue.

    Attributes:
        place: How many will have been taken once all before it are.
    """

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place = 0


class WeighedQueue:
    """Entries in order. Whoever owns it guards it, but for `entries.append`.

    Near the recursion limit any call may fail, so what belongs together is written without a call
    between; but for marks, which say no more than how long a flush waits.
    """

    __slots__ = (
        "_marks", "_weigh", "_weighed_frames", "entries", "taken", "weighed", "weighed_bytes",
    )  # fmt: skip

    def __init__(self, weigh: Weigh) -> None:
        self.entries: deque[Entry] = deque()
        # All that were ever taken, less what was put back.
        self.taken = 0
        self._weigh = weigh
        # Of the entries at the front that were weighed.
        self.weighed = 0
        self.weighed_bytes = 0
        self._weighed_frames = 0
        # They move when an entry before them is left out.
        self._marks: list[FlushMark] = []

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def at_most_bytes(self) -> int:
        """Bytes that all of them hold at most."""
        return self.weighed_bytes + (len(self.entries) - self.weighed) * LIGHT

    @property
    def frames(self) -> int:
        """Packets that they will make; those that were not weighed make one each."""
        return self._weighed_frames + len(self.entries) - self.weighed

    def add_mark(self, mark: FlushMark) -> None:
        """Put it behind all of them; from now on it keeps its place among them."""
        self._marks.append(mark)
        mark.place = self.taken + len(self.entries)

    def remove_mark(self, mark: FlushMark) -> None:
        """It is not needed any more."""
        self._marks.remove(mark)

    def weight_of_next(self) -> tuple[int, int]:
        """What the first one weighs that was not weighed yet."""
        return self._weigh(self.entries[self.weighed])

    def keep_next(self, size: int, frames: int) -> None:
        """It stays, with this weight."""
        self.weighed += 1
        self.weighed_bytes += size
        self._weighed_frames += frames

    def drop_next(self) -> None:
        """The first one that was not weighed is left out."""
        marks = list(self._marks)
        del self.entries[self.weighed]
        self._move(marks, self.weighed)

    def drop_all(self) -> int:
        """All are left out; how many."""
        number = 0
        self.weighed = self.weighed_bytes = self._weighed_frames = 0
        while self.entries:
            self.entries.popleft()
            number += 1
        for mark in self._marks:
            mark.place = min(mark.place, self.taken)
        return number

    def drop_oldest(self) -> None:
        """The first one, which was weighed, is left out."""
        size, frames = self._weigh(self.entries[0])
        marks = list(self._marks)
        self.weighed -= 1
        self.weighed_bytes -= size
        self._weighed_frames -= frames
        del self.entries[0]
        self._move(marks, 0)

    def _move(self, marks: Sequence[FlushMark], index: int) -> None:
        """Where these were, one at this index was left out.

        It does not count as taken: some that were taken before it may be put back yet.
        """
        for mark in marks:
            if mark.place > self.taken + index:
                mark.place -= 1

    def take(self, most: int) -> tuple[list[Entry], int]:
        """Up to so many from the front, and the bytes of those that were weighed."""
        entries = self.entries
        number = min(most, len(entries))
        size = frames = 0
        for index in range(min(number, self.weighed)):
            more, more_frames = self._weigh(entries[index])
            size += more
            frames += more_frames
        taken: list[Entry] = []
        try:
            # As one step, which no signal interrupts.
            taken.extend(starmap(entries.popleft, repeat((), number)))
        finally:
            self.taken += len(taken)
            self.weighed = max(0, self.weighed - len(taken))
            self.weighed_bytes -= size
            self._weighed_frames -= frames
        return taken, size

    def put_back(self, entries: Sequence[Entry]) -> None:
        """The last ones that were taken, in their order."""
        for entry in reversed(entries):
            size, frames = self._weigh(entry)
            self.keep_next(size, frames)
            self.taken -= 1
            self.entries.appendleft(entry)
