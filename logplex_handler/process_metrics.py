"""`ProcessMetrics`: the resources that the process itself uses, once per interval.

It needs `psutil`: `pip install 'logplex-handler[psutil]'`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from contextvars import Context
from functools import partial

from logplex_handler._process import forks
from logplex_handler.errors import ConfigurationError
from logplex_handler.metrics import Metrics, metric_pairs
from logplex_handler.metrics.meter import reporter_of

__all__ = ["ProcessMetrics"]

_MEGABYTE = 1024 * 1024
# Seconds between two measurements of the event loop's lag.
_TICK = 0.5


class ProcessMetrics:
    """Reports memory, CPU, threads, open files, garbage collections and the event loop's lag.

    Metrics that Heroku has, too, have Heroku's names, so that the same charts show both:
    `sample#memory_total=21MB`, `sample#memory_rss`, `sample#memory_swap`, `sample#load_avg_1m=2.46`
    (also `_5m`, `_15m`; of the machine). The others are `sample#process.cpu_percent` (of one core,
    since the previous report), `sample#process.threads`, `sample#process.open_files`,
    `count#process.gc.collections`, `sample#process.gc.longest` (the longest pause, in ms) and
    `sample#process.loop_lag` (the longest delay of the event loop, in ms). Metrics that the
    platform does not have are left out.

        ProcessMetrics(metrics)

    A forked child reports its own metrics once something is recorded there.

    Args:
        metrics: The `Metrics` that reports them.
        loop: The event loop whose lag is reported. Default: the running one, if any.

    Raises:
        ConfigurationError: (a ValueError) psutil is not installed.
    """

    def __init__(self, metrics: Metrics, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        try:
            import psutil
        except ImportError:
            raise ConfigurationError(
                "ProcessMetrics needs an extra: pip install 'logplex-handler[psutil]'"
            ) from None
        self._make = psutil.Process
        self._unavailable: tuple[type[Exception], ...] = (psutil.Error, OSError, AttributeError)
        self._leave_out = reporter_of(metrics).leave_out
        self._process = self._make()
        # The first call only starts the measurement.
        self._process.cpu_percent()
        self._pauses = _Pauses()
        self._lag = _Lag(loop or _running_loop())
        metrics.collect(self._collect)

    def close(self) -> None:
        """Stop watching garbage collections and the event loop; the other metrics stay."""
        self._pauses.close()
        self._lag.close()

    def _collect(self) -> dict[str, str]:
        if self._process.pid != os.getpid():
            self._process = self._make()
            self._process.cpu_percent()
            # The parent's loop does not run here, even if `is_running` says so after a fork in it.
            self._lag.close()
        found: dict[str, str] = {}
        reads = (self._memory, _load, self._cpu, self._threads, self._open_files)
        for read in (*reads, self._pauses.take, self._lag.take):
            try:
                found |= read()
            except self._unavailable:
                # The platform lacks this metric, or does not allow reading it.
                continue
            except Exception as error:
                self._leave_out(read.__qualname__, error)
        return found

    def _memory(self) -> dict[str, str]:
        rss = self._process.memory_info().rss
        try:
            swap = self._process.memory_full_info().swap
        except self._unavailable:
            swap = 0
        values = {"memory_total": rss + swap, "memory_rss": rss, "memory_swap": swap}
        return _samples({name: round(value / _MEGABYTE, 2) for name, value in values.items()}, "MB")

    def _cpu(self) -> dict[str, str]:
        return metric_pairs.sample("process.cpu_percent", self._process.cpu_percent())

    def _threads(self) -> dict[str, str]:
        return metric_pairs.sample("process.threads", self._process.num_threads())

    def _open_files(self) -> dict[str, str]:
        # This includes sockets and pipes, as the limit of open files does.
        return metric_pairs.sample("process.open_files", self._process.num_fds())


def _load() -> dict[str, str]:
    averages = zip(("load_avg_1m", "load_avg_5m", "load_avg_15m"), os.getloadavg(), strict=True)
    return _samples({name: round(value, 2) for name, value in averages})


def _samples(values: dict[str, float], unit: str = "") -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, value in values.items():
        pairs |= metric_pairs.sample(name, value, unit)
    return pairs


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Pauses:
    """The number of garbage collections since the previous report, and the longest of them.

    It needs no lock: a collection ends before the thread that it has interrupted continues.
    """

    def __init__(self) -> None:
        self._began = 0
        self.after_fork_in_child()
        self._callback = self._watch
        gc.callbacks.append(self._callback)
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Start at zero in a forked child: the parent reports its own collections."""
        self._longest = 0
        self._reported = self._collections()

    def close(self) -> None:
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)

    def _watch(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            # A collection that was running when the watch began has no beginning.
            self._longest = max(self._longest, time.perf_counter_ns() - self._began)

    @staticmethod
    def _collections() -> int:
        return sum(generation["collections"] for generation in gc.get_stats())

    def take(self) -> dict[str, str]:
        longest, self._longest = self._longest, 0
        collections = self._collections()
        new, self._reported = collections - self._reported, collections
        longest_ms = round(longest / 1_000_000, 3)
        return metric_pairs.count("process.gc.collections", new) | metric_pairs.sample(
            "process.gc.longest", longest_ms, "ms"
        )


class _Lag:
    """The longest delay of an event loop since the previous report."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._closed = False
        self._due = 0.0
        self._most: float | None = None
        if loop is not None:
            _call(loop, partial(self._wait, loop))

    def close(self) -> None:
        self._closed = True

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        # This runs in the loop's own thread.
        if not self._closed:
            self._due = loop.time() + _TICK
            # A copy of this context would keep alive what a request has set there.
            loop.call_at(self._due, self._tick, loop, context=Context())

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._most = max(self._most or 0.0, loop.time() - self._due)
        self._wait(loop)

    def take(self) -> dict[str, str]:
        loop = self._loop
        if loop is None or loop.is_closed() or self._closed:
            return {}
        most, self._most = self._most, None
        # The loop may be late at this very moment.
        if loop.is_running() and self._due:
            most = max(most or 0.0, loop.time() - self._due)
        if most is None:
            return {}
        return metric_pairs.sample("process.loop_lag", round(most * 1000, 3), "ms")


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    if loop is _running_loop():
        function()
    else:
        loop.call_soon_threadsafe(function)
