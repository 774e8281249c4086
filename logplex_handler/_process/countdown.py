"""A time-out that ends even if the clock stands still."""

from __future__ import annotations

import time

# The longest time-out, in seconds. No caller waits longer, and larger numbers may not fit into a
# float.
_LONGEST = 1e9


class Countdown:
    """A time-out by the monotonic clock or by the seconds waited, whichever ends first.

    In an application's tests the clock may stand still (freezegun stops it), and no caller may wait
    for ever.

    Attributes:
        deadline: When it ends, on the monotonic clock.
    """

    __slots__ = ("_unwaited", "deadline")

    def __init__(self, seconds: float) -> None:
        # A caller may give any kind of number; a float's NaN becomes 0.
        seconds = float(max(0.0, min(seconds, _LONGEST)))
        self.deadline = time.monotonic() + seconds
        self._unwaited = seconds

    @property
    def left(self) -> float:
        return min(self.deadline - time.monotonic(), self._unwaited)

    def waited(self, seconds: float) -> None:
        """Record a wait of at least this many seconds."""
        self._unwaited -= seconds
