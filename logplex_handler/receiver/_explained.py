"""Explains violations, as wide as the terminal, and each explanation once a screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import lru_cache

from logplex_handler.receiver.style import Style, harmless
from logplex_handler.testing import Violation

# The most explanations that are remembered; there are about 60.
_MAX_KNOWN = 1_000


class Explanations:
    """Explains violations by what they cause and how they are cured.

    Attributes:
        given: By explanation, how many rows were printed before it. While it is on the screen, it
            is not repeated.
    """

    def __init__(self, style: Style) -> None:
        self.given: dict[tuple[str, str], int] = {}
        self._style = style
        # The rows of the terminal that were printed since the first explanation.
        self._rows = 0

    def move_up(self, line: str) -> None:
        """Count the rows of what is printed below the explanations."""
        columns = self._style.size.columns
        self._rows += sum(1 + len(row) // columns for row in line.split("\n"))

    def of(self, violations: Iterable[Violation]) -> Iterator[str]:
        """Yield the lines that explain violations."""
        for violation in violations:
            yield from self._explained(violation)

    def _explained(self, violation: Violation) -> Iterator[str]:
        width = self._style.width
        finding, key = harmless(violation.finding), (violation.consequence, violation.cure)
        given_at = self.given.get(key)
        is_known = given_at is not None and self._rows - given_at < self._style.size.lines
        for line in wrapped(f"{finding} (see above)" if is_known else finding, width, "  ! "):
            yield self._style.paint(line, "yellow")
        if is_known:
            return
        if len(self.given) >= _MAX_KNOWN:
            self.given.clear()
        self.given[key] = self._rows
        yield from wrapped(violation.consequence, width, "    ")
        yield from wrapped(violation.cure, width, f"    {self._style.arrow} ")


# A violation seldom comes alone.
@lru_cache(maxsize=1_000)
def wrapped(text: str, width: int, indent: str) -> list[str]:
    """Return the lines of a text that begins with an indent."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent="    ",
        # `Content-Type` must be whole where it is copied.
        break_on_hyphens=False,
    )
