"""Checks of one option's value each.

All of them return the value, and raise a ConfigurationError that names the option otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from logplex_handler.errors import ConfigurationError

# Longer waits than a day serve no purpose, and the operating system cannot do some of them.
_MAX_SECONDS = 86_400

Function = TypeVar("Function", bound=Callable[..., object])


def whole_number(option: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number between two limits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{option}: must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limits = f"at least {least:,}" if most is None else f"from {least:,} to {most:,}"
        raise ConfigurationError(f"{option}: must be {limits}, not {_shown(value)}")
    return value


def seconds(option: str, value: object, *, may_be_zero: bool = False) -> float:
    """A number of seconds, up to a day."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{option}: must be a number, not {type(value).__name__}")
    if not (0 <= value <= _MAX_SECONDS) or (value == 0 and not may_be_zero):
        least = "from 0" if may_be_zero else "more than 0"
        raise ConfigurationError(
            f"{option}: must be {least} to {_MAX_SECONDS:,} seconds, not {_shown(value)}"
        )
    return float(value)


def _shown(value: float) -> str:
    return f"{value:,}" if abs(value) < 1e15 else "that"


def flag(option: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option}: must be True or False, not {type(value).__name__}")
    return value


def function(option: str, value: Function | None) -> Function | None:
    """A callable or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{option}: must be callable, not {type(value).__name__}")
    return value
