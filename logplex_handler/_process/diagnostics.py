"""Reports of the package on stderr, for the people who run the program."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Hashable

from logplex_handler._process.contexts import in_empty_context

# Seconds between two reports of the same kind.
_INTERVAL = 60.0


class Diagnostics:
    """Writes at most one line of each kind per minute to stderr, which may be closed.

    Needs no lock: at worst, two threads write a line of the same kind at the same moment.
    """

    def __init__(self) -> None:
        # When the last line of each kind was written, on the monotonic clock.
        self._warned_at: dict[str, float] = {}

    def warn(self, kind: str, message: str) -> bool:
        """Write `logplex_handler: MESSAGE`, or return False within a minute of the last one.

        Raises no Exception, even if a test has replaced the clock by one that does.
        """
        with contextlib.suppress(Exception):
            now = time.monotonic()
            if now - self._warned_at.get(kind, float("-inf")) < _INTERVAL:
                return False
            # Set before writing: where stderr is itself a logger, the write may call this method
            # again.
            self._warned_at[kind] = now
            in_empty_context(_write, f"logplex_handler: {message}\n")
        return True


def _write(line: str) -> None:
    stream = sys.stderr
    if stream is not None:
        stream.write(line)
        stream.flush()


def records_in_words(number: int) -> str:
    """Return `1 record`, or `2 records`."""
    return "1 record" if number == 1 else f"{number} records"


def drops_in_words(drops: Counter[str]) -> str:
    """Return `17 records dropped (buffer_full 15, refused 2)`."""
    causes = ", ".join([f"{cause} {number}" for cause, number in drops.items()])
    return f"{records_in_words(drops.total())} dropped ({causes})"


def shown(stream_id: Hashable) -> str:
    """Return the id of a stream as text for stderr. The id may be of any type and any length."""
    try:
        text = ascii(stream_id)
    except Exception:
        text = f"<{type(stream_id).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."


def name_of(thing: object) -> str:
    """Return the name of a function, else of the type: a repr could fail, or show what it holds."""
    try:
        name = getattr(thing, "__qualname__", None)
    except BaseException:
        # A proxy, for example, has attributes of something else.
        name = None
    return name if isinstance(name, str) else type(thing).__qualname__
