"""What became of records: the counts behind `Stats`, and which drops nobody was told of yet."""

from __future__ import annotations

from collections import defaultdict


class Ledger:
    """Counts of records that are in no queue any more. Whoever owns it guards it.

    Near the recursion limit any call may fail, so the counts of one event are written without a
    call between.
    """

    __slots__ = ("delivered", "dropped", "has_unreported", "never_taken", "to_report")

    def __init__(self) -> None:
        self.delivered = 0
        # Those that were dropped without ever being taken from the queue, or queued at all.
        self.never_taken = 0
        self.dropped = defaultdict[str, int](int)
        # Those of them to be told of, which are all but those turned away.
        self.to_report = defaultdict[str, int](int)
        self.has_unreported = False

    def drop(self, cause: str, records: int = 1, *, never_taken: int = 0) -> None:
        """Records are dropped, and somebody is to be told."""
        # The first of a cause makes an entry, and that is a call.
        self.dropped[cause] += 0
        self.to_report[cause] += 0
        self.never_taken += never_taken
        self.dropped[cause] += records
        self.to_report[cause] += records
        self.has_unreported = True

    def count_rejected(self, cause: str) -> None:
        """A record is dropped of which nobody is told: there is no stream any more, or none yet."""
        self.dropped[cause] += 0
        self.never_taken += 1
        self.dropped[cause] += 1

    def report_drops(self) -> dict[str, int]:
        """All drops to be told of, by cause, for whoever tells of them."""
        self.has_unreported = False
        return dict(self.to_report)

    def dropped_by_cause(self) -> dict[str, int]:
        """All drops."""
        return dict(self.dropped)
