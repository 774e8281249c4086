"""Checks of options: each returns the value, or raises an error that names the option.

Configuration files, and numbers of other libraries, bring values of any type.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import math
import operator
from collections.abc import Callable, Sequence
from typing import SupportsFloat, SupportsIndex, TypeVar

from logplex_handler.errors import ConfigurationError

# The longest wait, in seconds. Waits of more than a day serve no purpose, and the operating system
# cannot do some of them.
_MAX_SECONDS = 86_400

Function = TypeVar("Function", bound=Callable[..., object])
Member = TypeVar("Member")


def whole_number(option: str, value: object, least: int, most: int | None = None) -> int:
    number: int | None = None
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        # A numpy array, for example, has the method, but is no number.
        with contextlib.suppress(TypeError):
            number = int(operator.index(value))
    if number is None:
        raise ConfigurationError(f"{option}: must be a whole number, not {type(value).__name__}")
    if number < least or (most is not None and number > most):
        limits = f"at least {least:,}" if most is None else f"from {least:,} to {most:,}"
        shown = f"{number:,}" if abs(number) < 10**15 else "that"
        raise ConfigurationError(f"{option}: must be {limits}, not {shown}")
    return number


def seconds(option: str, value: object, *, may_be_zero: bool = False) -> float:
    number: float | None = None
    if isinstance(value, SupportsFloat | SupportsIndex) and not isinstance(value, bool):
        # The same as in `whole_number`, or a Decimal that is a signaling NaN.
        with contextlib.suppress(TypeError, ValueError):
            number = _as_float(value)
    if number is None:
        raise ConfigurationError(f"{option}: must be a number, not {type(value).__name__}")
    if not 0 <= number <= _MAX_SECONDS or (number == 0 and not may_be_zero):
        least = "from 0" if may_be_zero else "more than 0"
        raise ConfigurationError(
            f"{option}: must be {least} to {_MAX_SECONDS:,} seconds, not {number:,.15g}"
        )
    return number


def _as_float(value: SupportsFloat | SupportsIndex) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def flag(option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option}: must be True or False, not {type(value).__name__}")
    return value


def text(option: str, value: object) -> str:
    """Return the text as an exact `str`: an Enum's member, for example, is formatted otherwise."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{option}: must be a string")
    return str.__str__(value)


def listed(value: Sequence[Member]) -> list[Member]:
    """Return the members of a list or tuple.

    `dictConfig` passes containers that convert `ext://` and `cfg://` only on access by index.
    """
    return [value[place] for place in range(len(value))]


def function(option: str, value: Function) -> Function:
    if not callable(value):
        raise ConfigurationError(f"{option}: must be callable, not {type(value).__name__}")
    call = inspect.getattr_static(type(value), "__call__", None)
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(call):
        # Nobody would await what it returns.
        raise ConfigurationError(f"{option}: must be an ordinary function, not a coroutine's")
    return value


def optional_function(option: str, value: Function | None) -> Function | None:
    return None if value is None else function(option, value)


def is_of_logging(function: object) -> bool:
    """Return whether a function is the one of the `logging` module, which no tool has replaced."""
    return getattr(function, "__globals__", None) is vars(logging)
