"""The unit of each metric name: to a consumer, one name with two units is two metrics."""

from __future__ import annotations

# Names whose unit is remembered. A program that puts ids into names may have any number of them.
_MAX_NAMES = 10_000


class Units:
    """Remembers the first unit of each name."""

    def __init__(self) -> None:
        # Without a lock: at worst, two units that are given at the same moment are both accepted.
        self._known: dict[str, str] = {}

    def keep(self, kind: str, name: str, unit: str) -> None:
        """Remember the unit.

        Raises:
            ValueError: The name has another unit.
        """
        known = self._known.get(name)
        if known is None and len(self._known) < _MAX_NAMES:
            self._known[name] = unit
        elif known is not None and known != unit:
            raise ValueError(
                f"{kind} {name}: the unit {unit!r} must be {known!r}, as it was before"
            )
