"""The unit of each metric's name: to a consumer, the same name with another is another metric."""

from __future__ import annotations

# Names whose unit is remembered. A program that makes its names of ids may have any number.
_MOST = 10_000


class Units:
    """Remembers the unit that each name was given first."""

    def __init__(self) -> None:
        # No lock: at worst two slip in at the same moment.
        self._known: dict[str, str] = {}

    def keep(self, kind: str, name: str, unit: str) -> None:
        """Refuse a second unit for a name, with a ValueError."""
        known = self._known.get(name)
        if known is None and len(self._known) < _MOST:
            self._known[name] = unit
        elif known is not None and known != unit:
            raise ValueError(
                f"{kind} {name}: the unit {unit!r} must be {known!r}, as it was before"
            )
