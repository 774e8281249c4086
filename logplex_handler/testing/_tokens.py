"""The tokens that a receiver accepts, and those that it has retired."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable

from logplex_handler._process import forks


class Tokens:
    """The accepted tokens: a fixed set, or any token that was not retired.

    Attributes:
        current: The tokens, of which the first is in the URL.
    """

    def __init__(self, tokens: Iterable[str] | str | None, *, any_token: bool) -> None:
        """Without `tokens`, make up a random one. Raises ValueError for an invalid token."""
        if tokens is None:
            tokens = (_random_token(),)
        self.current = (tokens,) if isinstance(tokens, str) else tuple(tokens)
        if not self.current:
            raise ValueError("tokens must hold one token at least")
        if not all(token and token.isascii() and token.isprintable() for token in self.current):
            raise ValueError("tokens must be printable ASCII")
        self._any_token = any_token
        self._seen: set[str] = set()
        self._retired: frozenset[str] = frozenset()
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards `_seen` and `_retired`: rotate() must retire every token accepted before it.
        self._lock = threading.Lock()

    def accepts(self, token: str) -> bool:
        if self._any_token:
            return bool(token) and token not in self._retired
        return token in self.current

    def note(self, token: str) -> None:
        if self._any_token:
            with self._lock:
                self._seen.add(token)

    def rotate(self) -> None:
        """Retire every token accepted so far, and make up a new one."""
        with self._lock:
            self._retired |= {*self.current, *self._seen}
            self._seen.clear()
        self.current = (_random_token(),)


def _random_token() -> str:
    return f"t.{uuid.uuid4()}"
