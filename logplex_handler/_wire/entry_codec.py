"""The codec as the rooms above this one see it: it makes frames, and knows the form of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from logplex_handler._wire.destination import Destination
from logplex_handler._wire.entry import Entry
from logplex_handler._wire.frames import Run

# What becomes of entries: a run, for several entries of one frame each; or the frames of one entry,
# of which there are none if it cannot be rendered.
Rendered = Run | list[bytes]


class EntryCodec(Protocol):
    """Makes the frames of entries, and of the handler's own lines, for a destination."""

    def weigh(self, entry: Entry) -> tuple[int, int]:
        """Bytes of memory that an entry takes, and the number of its packets; always the same."""

    def render(self, entries: Iterable[Entry], destination: Destination) -> Iterable[Rendered]:
        """The frames of the entries, in their order."""

    def readdress(self, frame: bytes, old: Destination, new: Destination) -> bytes:
        """A frame for one destination, changed for another destination."""

    def drop_notice(self, dropped: Counter[str], destination: Destination) -> list[bytes]:
        """The frames of the line that reports dropped records in their stream, by cause."""

    def health_lines(self, pairs: Mapping[str, str], destination: Destination) -> list[bytes]:
        """The frames of the lines with metrics of the handler itself."""
