"""Seconds that run out, whatever the clock says."""

from __future__ import annotations

import time


class Countdown:
    """Seconds that run out by the monotonic clock, or by what was waited: whichever is first.

    In a test of the application the clock may stand still (freezegun stops it), and a caller must
    not wait for ever.

    Attributes:
        deadline: When they have run out, on the monotonic clock.
    """

    __slots__ = ("_unwaited", "deadline")

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._unwaited = seconds

    @property
    def left(self) -> float:
        return min(self.deadline - time.monotonic(), self._unwaited)

    def waited(self, seconds: float) -> None:
        """Note a wait that took so many seconds, or more."""
        self._unwaited -= seconds
