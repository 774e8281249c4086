"""The pipeline of a handler that has no URL."""

from __future__ import annotations

from collections.abc import Hashable

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process import forks
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.intake import Intake, RejectingIntake, rejected


class Inactive:
    """The pipeline of a handler without destinations: it counts every record as dropped."""

    takes_entries = False

    def __init__(self) -> None:
        self.here = forks.here()
        self._ledger = Ledger()
        self.own_intake: Intake = RejectingIntake(self._ledger, "inactive")

    def intake(self, stream: Hashable) -> Intake:
        return self.own_intake

    def flush(self, timeout: float | None) -> bool:
        return True

    def begin_shutdown(self) -> None:
        """Do nothing, because nothing is to be delivered."""

    close = begin_shutdown

    def stats(self) -> Stats:
        return rejected(self._ledger)

    def stats_of(self, stream: Hashable) -> Stats:
        return Stats()

    def set_aside(self) -> tuple[SetAside, ...]:
        return ()
