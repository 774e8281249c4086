"""Which tokens are let in where any is."""

from __future__ import annotations

from collections.abc import Collection, Iterator


class AllBut(Collection[str]):
    """Every token there is, but for some."""

    def __init__(self, tokens: frozenset[str]) -> None:
        self._tokens = tokens

    def __contains__(self, token: object) -> bool:
        return token not in self._tokens

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
