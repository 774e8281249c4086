"""Which tokens are let in, and which no longer."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterable, Iterator

from logplex_handler._process import forks


class AllBut(Collection[str]):
    """Every token there is, but for some; an empty one is none."""

    def __init__(self, tokens: frozenset[str]) -> None:
        self._tokens = tokens

    def __contains__(self, token: object) -> bool:
        return bool(token) and token not in self._tokens

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Tokens:
    """Those that are let in: given ones, or any but those that were retired.

    Attributes:
        given: The tokens, of which the first stands in the URL.
    """

    def __init__(self, tokens: Iterable[str] | str | None, *, any_token: bool) -> None:
        """Without `tokens` one is made up. Raises ValueError for what cannot be."""
        if tokens is None:
            tokens = (_made_up(),)
        self.given = (tokens,) if isinstance(tokens, str) else tuple(tokens)
        if not self.given:
            raise ValueError("tokens must hold one token at least")
        if not all(token and token.isascii() and token.isprintable() for token in self.given):
            raise ValueError("tokens must be printable ASCII")
        self._any_token = any_token
        self._seen: set[str] = set()
        self._retired: frozenset[str] = frozenset()
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Another thread, which does not run in the child, may have held the lock."""
        # Guards `_seen`, so that no token is let in and not retired with the others.
        self._lock = threading.Lock()

    @property
    def let_in(self) -> Collection[str]:
        """What a token must be one of."""
        return AllBut(self._retired) if self._any_token else self.given

    def note(self, token: str) -> None:
        """A token was let in."""
        if self._any_token:
            with self._lock:
                self._seen.add(token)

    def rotate(self) -> None:
        """Retire every token so far, and make up one."""
        with self._lock:
            self._retired |= {*self.given, *self._seen}
            self._seen.clear()
        self.given = (_made_up(),)


def _made_up() -> str:
    return f"t.{uuid.uuid4()}"
