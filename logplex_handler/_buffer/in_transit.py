"""Records that were taken from a queue to be sent, until they are settled."""

from __future__ import annotations


class InTransit:
    """Counts records between the queue and their outcome. The owner guards it.

    Attributes:
        records: Records taken and not settled.
        held_bytes: The bytes of memory that they use.
        recovered: All records ever taken over from dead processes.
        recovered_left: Those of them that are not settled.
    """

    __slots__ = ("_settled", "_start", "held_bytes", "records", "recovered", "recovered_left")

    def __init__(self) -> None:
        self.records = 0
        self.held_bytes = 0
        # How many entries were taken before these, and how many of these are settled while others
        # of their batch are not.
        self._start = 0
        self._settled = 0
        self.recovered = self.recovered_left = 0

    def add(self, records: int, held_bytes: int, *, taken_before: int) -> None:
        """Add entries that were just taken, after this many earlier ones."""
        if not self.records:
            self._start = taken_before
            # An earlier batch may be settled though none of its records was its last.
            self._settled = 0
        self.records += records
        self.held_bytes += held_bytes

    def recover(self, records: int) -> None:
        """Add records that a dead process left on disk."""
        self.recovered += records
        self.recovered_left += records

    def settle(self, records: int, *, recovered: bool, through: bool) -> bool:
        """Remove records that have an outcome; False if they were abandoned before.

        Args:
            recovered: Whether a dead process left these records.
            through: Whether these are the last records of their batch.
        """
        if recovered:
            if not self.recovered_left:
                return False
            self.recovered_left -= records
        else:
            if not self.records:
                return False
            self.records -= records
            self._settled += records
            if through:
                self._start += self._settled
                self._settled = 0
        if not self.records:
            self.held_bytes = 0
        return True

    def abandon(self, unwritten: int | None) -> int:
        """Remove all records, or this many if the others are on disk; return how many are lost."""
        self.held_bytes = 0
        if unwritten is None:
            lost = self.records + self.recovered_left
            self.records = self.recovered_left = 0
            return lost
        self.records -= unwritten
        return unwritten

    def left(self, taken: int) -> int:
        """The number of entries that have left without a gap, if this many were taken in total."""
        return self._start if self.records else taken

    @property
    def pending(self) -> int:
        """The number of records without an outcome."""
        return self.records + self.recovered_left
