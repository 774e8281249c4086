"""The package's own words to whoever runs the program: one line on stderr, not too often."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Hashable

# Seconds between two lines of the same kind.
_PAUSE = 60.0


class Diagnostics:
    """Says a thing at most once a minute for each kind of thing; a closed stderr is no error.

    No lock: at worst two threads say the same thing at the same moment.
    """

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def warn(self, kind: str, message: str) -> bool:
        """Write `logplex_handler: MESSAGE`; False if one of this kind was written just before."""
        now = time.monotonic()
        if now - self._said_at.get(kind, float("-inf")) < _PAUSE:
            return False
        # Noted first: where stderr is itself a logger, writing to it comes back here.
        self._said_at[kind] = now
        stream = sys.stderr
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.write(f"logplex_handler: {message}\n")
                stream.flush()
        return True


def records_in_words(number: int) -> str:
    """`1 record`, `2 records`."""
    return "1 record" if number == 1 else f"{number} records"


def in_words(drops: Counter[str]) -> str:
    """`17 records dropped (buffer_full 15, refused 2)`."""
    causes = ", ".join([f"{cause} {number}" for cause, number in drops.items()])
    return f"{records_in_words(drops.total())} dropped ({causes})"


def shown(stream_id: Hashable) -> str:
    """A stream's id as it is said on stderr: it may be of any length, and anything."""
    try:
        text = ascii(stream_id)
    except Exception:
        text = f"<{type(stream_id).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."
