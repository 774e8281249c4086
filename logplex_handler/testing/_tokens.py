"""The tokens that a receiver accepts, and those that it has retired."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterable, Iterator

from logplex_handler._process import forks


class AllExcept(Collection[str]):
    """Every non-empty token except the given ones."""

    def __init__(self, tokens: frozenset[str]) -> None:
        self._tokens = tokens

    def __contains__(self, token: object) -> bool:
        return bool(token) and token not in self._tokens

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


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
        """Replace the lock; a thread of the parent may have held it."""
        # Guards `_seen` and `_retired`: rotate() must retire every token accepted before it.
        self._lock = threading.Lock()

    @property
    def accepted(self) -> Collection[str]:
        """The collection that contains every accepted token."""
        return AllExcept(self._retired) if self._any_token else self.current

    def note(self, token: str) -> None:
        """Remember a token that was accepted."""
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
