"""Measures how long a block, or each call of a function, takes."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from logplex_handler._process.contexts import thread_or_greenlet

_F = TypeVar("_F", bound=Callable[..., Any])
# Decimals of a time in milliseconds. Anything shorter is the cost of reading the clock.
_DECIMALS = 3


class Timer:
    """Times a `with` block or, as a decorator, every call of a function; see `Metrics.timer`."""

    __slots__ = ("_observe", "_started")

    def __init__(self, observe: Callable[[float], object]) -> None:
        self._observe = observe
        # When the running blocks began, in nanoseconds, by thread or task, the innermost last.
        self._started: dict[object, list[int]] = {}

    def __enter__(self) -> Timer:
        self._started.setdefault(_here(), []).append(time.perf_counter_ns())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        now = time.perf_counter_ns()
        here = _here()
        if here not in self._started:
            # The block ends in another thread or task than it began in, as a generator's may. If
            # several blocks are running, this may be the wrong one.
            here = list(self._started)[-1]
        started = self._started[here]
        # A test may have set the clock back.
        taken = max(0, now - started.pop())
        if not started:
            del self._started[here]
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


def _here() -> object:
    """Return the task of asyncio that runs here, or else the thread or greenlet."""
    # Where nothing has imported asyncio, no task runs.
    asyncio: Any = sys.modules.get("asyncio")
    running_loop = getattr(asyncio, "_get_running_loop", None)
    if running_loop is not None and running_loop() is not None:
        return asyncio.current_task() or thread_or_greenlet()
    return thread_or_greenlet()
