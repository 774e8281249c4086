"""Where records end up whose stream nobody knows, or has ended: counted, and told to `on_drop`."""

from __future__ import annotations

from collections.abc import Callable

from logplex_handler._buffer.accumulator import Buffer
from logplex_handler._process.diagnostics import Stderr
from logplex_handler._process.reentrancy import own_doing
from logplex_handler._sender.drop_notices import Telling
from logplex_handler.streams.intake import DeadEnd

_SAID = {
    "unknown_stream": "records for no stream, or for one that nobody knows, are dropped",
    "stream_gone": "records for a stream that has ended are dropped",
}


class Nowhere(DeadEnd):
    """The lane of a stream that has ended.

    Args:
        buffer: Counts the records.
        cause: As what.
        on_news: Called when somebody is to be told.
    """

    def __init__(
        self,
        buffer: Buffer,
        cause: str,
        *,
        telling: Telling,
        stderr: Stderr,
        on_news: Callable[[], None],
    ) -> None:
        super().__init__(buffer, cause, self._tell)
        self._cause = cause
        self._telling = telling
        self._stderr = stderr
        self._on_news = on_news

    def _tell(self) -> None:
        self._stderr.say(self._cause, f"{_SAID[self._cause]} ({self._cause})")
        # What is said of drops must not be the reason to say so again.
        if own_doing.get() is None and self._telling.turned_down(self._cause):
            self._on_news()
