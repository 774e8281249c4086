"""Measures how long a block takes, or every call of a function."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
# Decimals of a time in milliseconds. Anything shorter is the cost of reading the clock.
_DECIMALS = 3


class Timer:
    """Times a `with` block or, as a decorator, every call of a function; see `Metrics.timer`."""

    __slots__ = ("_observe", "_started")

    def __init__(self, observe: Callable[[float], object]) -> None:
        self._observe = observe
        self._started: list[int] = []

    def __enter__(self) -> Timer:
        self._started.append(time.perf_counter_ns())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        taken = time.perf_counter_ns() - self._started.pop()
        self._observe(round(taken / 1_000_000, _DECIMALS))

    def __call__(self, function: _F) -> _F:
        wrapper: Any
        observe = self._observe
        if inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with Timer(observe):
                    return await function(*args, **kwargs)

        elif inspect.isasyncgenfunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with Timer(observe):
                    inner = function(*args, **kwargs)
                    resume = inner.__anext__()
                    while True:
                        try:
                            value = await resume
                        except StopAsyncIteration:
                            return
                        try:
                            resume = inner.asend((yield value))
                        except GeneratorExit:
                            await inner.aclose()
                            raise
                        except BaseException as error:
                            resume = inner.athrow(error)

        elif inspect.isgeneratorfunction(function):

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with Timer(observe):
                    return (yield from function(*args, **kwargs))

        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with Timer(observe):
                    return function(*args, **kwargs)

        wrapped: Any = functools.wraps(function)(wrapper)
        return wrapped  # type: ignore[no-any-return]
