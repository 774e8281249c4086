"""What is left of a retired stream: enough to take it into use again.

A process may have a hundred thousand of them. Each is a tuple of atoms, kept as bytes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from logplex_handler._wire.destination import Destination
from logplex_handler.stats import Stats
from logplex_handler.streams._pickled import Pickled, pickled, unpickled
from logplex_handler.streams._resolution import ResolutionState

# Seconds after which a retired stream is forgotten. If it is used again, it is looked up again.
_FORGET_AFTER = 3600.0
# The most retired streams that are kept; each takes less than a kilobyte.
_MAX_RETIRED = 100_000

_of_destination = attrgetter(*[field.name for field in fields(Destination)])
_of_stats = attrgetter(*[field.name for field in fields(Stats)])
_DROPPED = [field.name for field in fields(Stats)].index("dropped")


class Retired(NamedTuple):
    """The remainder of a retired stream.

    Attributes:
        since: When it was retired, on the monotonic clock.
        state: The state of its URL.
        given: The application's last answer with a URL.
        destination: Where it went.
        stats: The counts of its records.
    """

    since: float
    state: ResolutionState
    given: str | Destination | None
    destination: Destination | None
    stats: Stats

    def __repr__(self) -> str:
        # The application's answer may be a URL with a token.
        return f"Retired(since={self.since}, state={self.state})"

    def stored(self) -> Pickled:
        """Return what `restored` makes an equal object from."""
        given, destination = stored_destination(self.given), stored_destination(self.destination)
        stats = stored_stats(self.stats)
        return pickled((self.since, self.state.name, given, destination, stats))


def restored(stored: Pickled) -> Retired:
    """Return what was stored."""
    since, state, given, destination, stats = unpickled(stored)
    return Retired(
        since,
        ResolutionState[state],
        restored_destination(given),
        restored_destination(destination),
        restored_stats(stats),
    )


def since_and_state(stored: Pickled) -> tuple[float, ResolutionState]:
    """Return both without restoring the rest."""
    since, state, *_ = unpickled(stored)
    return since, ResolutionState[state]


def forget_oldest(all_stored: dict[Hashable, Pickled], now: float) -> None:
    """Forget the oldest two, which are the first, if it is time or there are too many."""
    for oldest, stored in list(islice(all_stored.items(), 2)):
        if now - since_and_state(stored)[0] > _FORGET_AFTER or len(all_stored) > _MAX_RETIRED:
            del all_stored[oldest]


def stored_stats(stats: Stats) -> tuple[Any, ...]:
    values = _of_stats(stats)
    return (*values[:_DROPPED], tuple(values[_DROPPED].items()), *values[_DROPPED + 1 :])


def restored_stats(stored: tuple[Any, ...]) -> Stats:
    values = [*stored]
    values[_DROPPED] = dict(values[_DROPPED])
    return Stats(*values)


def stored_destination(given: str | Destination | None) -> Any:
    # An application may have a subclass of its own.
    return _of_destination(given) if type(given) is Destination else given


def restored_destination(stored: Any) -> Any:
    return Destination(*stored) if type(stored) is tuple else stored
