"""Python source that is made of names alone: all that it is about is a constant with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Source:
    """Statements of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._objects: dict[str, object] = {}

    def name(self, thing: object) -> str:
        """A name for an object."""
        name = f"c{len(self._objects)}"
        self._objects[name] = thing
        return name

    def function(self, parameters: str) -> Callable[..., Any]:
        """The function that has these parameters."""
        body = "".join([f"    {statement}\n" for statement in self.statements])
        exec(f"def function({parameters}):\n{body}", self._objects)
        function: Any = self._objects["function"]
        return function  # type: ignore[no-any-return]


def variables(number: int, first: int = 0) -> str:
    return "".join([f"v{position}, " for position in range(first, first + number)])
