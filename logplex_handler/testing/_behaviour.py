"""How a receiver behaves: the tokens that it accepts, and deliberate, random faults."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from logplex_handler._process import forks
from logplex_handler.testing._http_connection import HttpAnswer

# The most tokens that are remembered, as hashes, because a token may have kilobytes.
_MAX_TOKENS = 100_000

HANG = HttpAnswer(0)
"""Stands for no answer: the connection stays open until the client gives up."""


@dataclass(frozen=True)
class Misbehaviour:
    """Faults for requests that would otherwise be accepted; shares are from 0 to 1.

    Attributes:
        fail: Statuses, each with the share of requests that get it as their answer.
        hang: The share of requests that get no answer.
        delay: Seconds before every answer.
    """

    fail: tuple[tuple[int, float], ...] = ()
    hang: float = 0.0
    delay: float = 0.0
    _random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid status, share or delay."""
        for status, _ in self.fail:
            check_status(status)
        shares = [self.hang, *(share for _, share in self.fail)]
        for share in shares:
            if not 0 <= share <= 1:
                raise ValueError(f"a share must be from 0 to 1, not {share:g}")
        if sum(shares) > 1:
            raise ValueError("the shares must not be more than 1 together")
        if not 0 <= self.delay <= 3600:
            raise ValueError(f"a delay must be from 0 to 3600 seconds, not {self.delay:g}")

    def next(self) -> HttpAnswer | None:
        """Return the answer to the next request, or None if it is to be accepted."""
        left = self._random.random() - self.hang
        if left < 0:
            return HANG
        for status, share in self.fail:
            left -= share
            if left < 0:
                return HttpAnswer(status, b"On purpose")
        return None


def check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"status must be 200 to 599, not {status}")


class Tokens:
    """The accepted tokens: a fixed set, or any token that was not retired.

    Attributes:
        current: The tokens, of which the first is in the URL.
    """

    def __init__(self, tokens: Iterable[str] | str | None, *, any_token: bool) -> None:
        """Take the tokens, or make up a random one. Raises ValueError for an invalid token."""
        if tokens is None:
            tokens = _random_token()
        self.current = (tokens,) if isinstance(tokens, str) else tuple(tokens)
        if not self.current:
            raise ValueError("tokens must hold one token at least")
        if not all(token and token.isascii() and token.isprintable() for token in self.current):
            raise ValueError("tokens must be printable ASCII")
        self._any_token = any_token
        self._seen: dict[int, None] = {}
        self._retired: dict[int, None] = {}
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards `_seen` and `_retired`: rotate() must retire every token accepted before it.
        self._lock = threading.Lock()

    def accepts(self, token: str) -> bool:
        """Return whether a token is accepted; if so, `rotate` will retire it."""
        if not self._any_token:
            return token in self.current
        known = hash(token)
        with self._lock:
            if not token or known in self._retired:
                return False
            self._seen[known] = None
            _forget_oldest(self._seen)
        return True

    def rotate(self) -> None:
        """Retire every token accepted so far, and make up a new one."""
        with self._lock:
            self._retired |= dict.fromkeys(map(hash, self.current)) | self._seen
            self._seen.clear()
            _forget_oldest(self._retired)
        self.current = (_random_token(),)


def _forget_oldest(tokens: dict[int, None]) -> None:
    while len(tokens) > _MAX_TOKENS:
        del tokens[next(iter(tokens))]


def _random_token() -> str:
    return f"t.{uuid.uuid4()}"
