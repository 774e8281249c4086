"""Where records end up whose stream nobody knows, or has ended: counted, and told to `on_drop`."""

from __future__ import annotations

from collections.abc import Callable

from logplex_handler._buffer.ledger import Ledger
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.reentrancy import current_activity
from logplex_handler._sender.drop_notices import DropNotices
from logplex_handler.streams.intake import RejectingIntake

_SAID = {
    "unknown_stream": "records for no stream, or for one that nobody knows, are dropped",
    "stream_gone": "records for a stream that has ended are dropped",
}


class EndedIntake(RejectingIntake):
    """The intake of a stream that has ended.

    Args:
        ledger: Counts the records.
        cause: The cause of their drop.
        on_news: Called when somebody is to be told.
    """

    def __init__(
        self,
        ledger: Ledger,
        cause: str,
        *,
        drop_notices: DropNotices,
        diagnostics: Diagnostics,
        on_news: Callable[[], None],
    ) -> None:
        super().__init__(ledger, cause, self._tell)
        self._drop_notices = drop_notices
        self._diagnostics = diagnostics
        self._on_news = on_news

    def _tell(self) -> None:
        self._diagnostics.warn(self._cause, f"{_SAID[self._cause]} ({self._cause})")
        # What is said of drops must not be the reason to say so again.
        if current_activity.get() is None and self._drop_notices.count_rejected(self._cause):
            self._on_news()
