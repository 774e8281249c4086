"""The records that were taken from a queue to be sent, until they are settled."""

from __future__ import annotations


class InTransit:
    """Counts records between queue and outcome. The owner guards it.

    Attributes:
        records: Records that were taken, and are not settled.
        held_bytes: Bytes of memory that they hold.
        recovered: Records from the disk of a dead process, all that there ever were.
        recovered_left: Those of them that are not settled.
    """

    __slots__ = ("_settled", "_start", "held_bytes", "records", "recovered", "recovered_left")

    def __init__(self) -> None:
        self.records = 0
        self.held_bytes = 0
        # How many entries were taken before these; and how many of these are settled while others
        # of their batch are not.
        self._start = 0
        self._settled = 0
        self.recovered = self.recovered_left = 0

    def add(self, records: int, held_bytes: int, *, taken_before: int) -> None:
        """Add entries that were just taken, behind so many."""
        if not self.records:
            self._start = taken_before
        self.records += records
        self.held_bytes += held_bytes

    def recover(self, records: int) -> None:
        """Add records that another process has left on disk."""
        self.recovered += records
        self.recovered_left += records

    def settle(self, records: int, *, recovered: bool, through: bool) -> bool:
        """Take out records that have an outcome; False if they were abandoned before.

        Args:
            recovered: Whether they are of those that another process has left.
            through: Whether nothing else of their batch is left.
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
        """Let go of all records, or of so many if the others are on disk; how many are lost."""
        self.held_bytes = 0
        if unwritten is None:
            lost = self.records + self.recovered_left
            self.records = self.recovered_left = 0
            return lost
        self.records -= unwritten
        return unwritten

    def left(self, taken: int) -> int:
        """Entries that have left without a gap, when so many were taken in all."""
        return self._start if self.records else taken

    @property
    def pending(self) -> int:
        """Records that have no outcome yet."""
        return self.records + self.recovered_left
