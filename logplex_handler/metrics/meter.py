"""The metrics of one stream between two reports."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from logplex_handler._process import forks
from logplex_handler.metrics import _summary, metric_pairs, number_format
from logplex_handler.metrics._summary import Summary
from logplex_handler.metrics._timer import Timer
from logplex_handler.metrics.number_format import Number

if TYPE_CHECKING:
    from logplex_handler.metrics.reporter import Reporter

Polled: TypeAlias = Callable[[], Number | timedelta | None]

# The largest count that is added without further checks.
_ORDINARY = 2**63
# The longest name of a summary, in bytes, to which suffixes are added.
_LONGEST_SUMMARY = metric_pairs.MAX_NAME_BYTES - len(_summary.LONGEST_PART)


class Meter:
    """Records the metrics of one stream; returned by `Metrics.stream`.

    Any thread may call any method. A name, a number or a unit that a consumer would misread raises
    an error at the call, as with `measure`, `sample` and `count`. So does a unit that differs from
    the earlier one of the same name.
    """

    def __init__(self, reporter: Reporter, stream_id: object) -> None:
        self._reporter = reporter
        self.stream_id = stream_id
        # The polled functions, which a forked child keeps, each with its unit.
        self._polled: dict[str, tuple[Polled, str]] = {}
        self._closed = False
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Start at zero in a forked child: the parent reports what the parent recorded."""
        # Guards `_polled`, `_closed`, `_counts`, `_held` and `_summaries`. Re-entrant, because a
        # garbage collection or a signal handler may interrupt the thread that holds it, and record
        # something.
        self._lock = threading.RLock()
        self._counts: dict[str, int | float] = {}
        self._held: dict[str, str] = {}
        self._summaries: dict[str, Summary] = {}
        self._here = forks.here()

    def count(self, name: str, n: Number = 1) -> None:
        """Add to a counter, whose sum is reported once per interval: `count#name=17`.

        Args:
            name: Dotted, from least to most specific, at most 200 bytes.
            n: The increment. Default: 1.

        Raises:
            TypeError, ValueError: As `logplex_handler.count` does.
        """
        # Nearly every call ends here: a known name, and a whole number.
        if type(n) is int and 0 <= n <= _ORDINARY and self._here[0]:
            try:
                with self._lock:
                    self._counts[name] += n
                return
            except KeyError:
                pass
        name, _ = metric_pairs.check("count", name)
        number = _own_number("count", name, n, "")[0]
        self.renew_if_forked()
        with self._lock:
            if not self._closed:
                # The sum is stored in two steps, so that a signal handler's increment between them
                # is not lost.
                self._counts.setdefault(name, 0)
                try:
                    self._counts[name] += number
                except OverflowError:
                    # The sum exceeds the largest float: the report leaves it out and says why.
                    self._counts[name] = math.inf
        self._begin()

    def sample(self, name: str, value: Number | timedelta | Polled | None, unit: str = "") -> None:
        """Report a value once per interval, until it is replaced: `sample#queue.depth=12`.

        Args:
            name: Dotted, from least to most specific, at most 200 bytes.
            value: A number, or a function without arguments that returns one. The function is
                called before each report, in the reporting thread. If it raises, or returns a
                number that cannot be reported, the report does not have the metric; the first
                such failure of a name is logged as a warning, and all of them are counted as
                `logplex_handler.metrics.failed`. If it returns None, the report does not have the
                metric either, without a warning. None in place of a value ends the reports.
            unit: Letters only. Default: none.

        Raises:
            TypeError, ValueError: As `logplex_handler.sample` does.
        """
        name, unit = metric_pairs.check("sample", name, unit)
        pair = {} if value is None or callable(value) else metric_pairs.sample(name, value, unit)
        if isinstance(value, timedelta):
            unit = "ms"
        # A function without a unit may return a timedelta, whose unit is ms.
        if unit or pair:
            self._reporter.keep_unit("sample", name, unit)
        self.renew_if_forked()
        with self._lock:
            self._polled.pop(name, None)
            self._held.pop(f"sample#{name}", None)
            if not self._closed:
                self._held.update(pair)
                if callable(value):
                    self._polled[name] = (value, unit)
        self._begin()

    def measure(
        self, name: str, value: Number | timedelta, unit: str = "", *, aggregate: bool = False
    ) -> None:
        """Record one event, such as the time of one request.

        Args:
            name: Dotted, from least to most specific, at most 200 bytes (194 to aggregate).
            value: A number that is not negative, or a timedelta.
            unit: Letters only. Default: none; `ms` for a timedelta.
            aggregate: False logs one line for each event, at once: `measure#name=4ms`. True is for
                frequent events: it reports `sample#name.count`, `.min`, `.max`, `.mean`, `.p50`,
                `.p95` and `.p99` once per interval. Percentiles are within 1 % of the value that
                has this rank; they need the extra `logplex-handler[percentiles]`. Default: False.

        Raises:
            TypeError, ValueError: As `logplex_handler.measure` does.
            ConfigurationError: (a ValueError) The extra for percentiles is not installed.
        """
        if aggregate:
            self._observe(name, value, unit)
            return
        pair = metric_pairs.measure(name, value, unit)
        self._reporter.keep_unit("measure", name, "ms" if isinstance(value, timedelta) else unit)
        self._reporter.log(self.stream_id, pair)

    def timer(self, name: str, *, aggregate: bool = False) -> Timer:
        """Measure how long something takes, in ms.

        `with metrics.timer("job"):` measures a block. `@metrics.timer("job")` measures each call of
        a function, whether it returns or raises. The time of a coroutine includes everything that
        it awaits; the time of a generator runs from its first value to its last, and includes what
        the caller does in between. Threads, greenlets and tasks of asyncio may share a timer.

        Args:
            name: As for `measure`.
            aggregate: As for `measure`.

        Raises:
            TypeError, ValueError, ConfigurationError: As `measure` does.
        """
        if aggregate:
            known = self._summaries.get(name)
            if known is None or known.unit != "ms":
                self._check_summary(name, "ms")
            return Timer(lambda taken: self._observe(name, taken, "ms"))
        metric_pairs.check("measure", name)
        self._reporter.keep_unit("measure", name, "ms")
        return Timer(
            lambda taken: self._reporter.log(
                self.stream_id, metric_pairs.measure(name, taken, "ms")
            )
        )

    def _observe(self, name: str, value: Number | timedelta, unit: str) -> None:
        if (
            (type(value) is float or type(value) is int)
            and 0 <= value <= number_format.LARGEST
            and self._here[0]
        ):
            try:
                with self._lock:
                    summary = self._summaries[name]
                    if summary.unit == unit:
                        summary.add(value)
                        return
            except KeyError:
                pass
        number, unit = _own_number("measure", name, value, unit)
        name, unit = self._check_summary(name, unit)
        self.renew_if_forked()
        with self._lock:
            if not self._closed:
                if name not in self._summaries:
                    self._summaries[name] = Summary(unit)
                self._summaries[name].add(number)
        self._begin()

    def _check_summary(self, name: str, unit: str) -> tuple[str, str]:
        name, unit = metric_pairs.check("measure", name, unit, _LONGEST_SUMMARY)
        _summary.sketch_class()
        self._reporter.keep_unit("measure", name, unit)
        return name, unit

    def _begin(self) -> None:
        # Called after recording, never before: the reporter takes a meter off its list and then
        # drains it.
        if self._closed:
            self._reporter.warn_closed()
        else:
            self._reporter.begin(self)

    def renew_if_forked(self) -> None:
        """Start at zero in a forked child, even if Python ran no hooks for the fork."""
        if not self._here[0]:
            self.after_fork_in_child()

    def poll(self) -> dict[str, str]:
        """Return the pairs that the polled functions return."""
        with self._lock:
            polled = list(self._polled.items())
        pairs: dict[str, str] = {}
        for name, (function, unit) in polled:
            try:
                value = function()
                if value is not None:
                    self._reporter.keep_unit(
                        "sample", name, "ms" if isinstance(value, timedelta) else unit
                    )
                    pairs |= metric_pairs.sample(name, value, unit)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Not even SystemExit may end the reporting thread.
                self._reporter.leave_out(name, error)
        return pairs

    def end(self) -> None:
        """Record nothing from now on, and do not repeat the samples."""
        with self._lock:
            self._closed = True
            self._held.clear()
            self._polled.clear()

    def drain(self) -> dict[str, str]:
        """Return the pairs of everything recorded since the previous call."""
        with self._lock:
            counts, self._counts = self._counts, {}
            summaries, self._summaries = self._summaries, {}
            held = dict(self._held)
        found: dict[str, str] = {}
        for name, n in counts.items():
            try:
                found |= metric_pairs.count(name, n) if n else {}
            except ValueError as error:
                # The sum is larger than the largest float.
                self._reporter.leave_out(name, error)
        found |= held
        for name, summary in summaries.items():
            for part, (value, unit) in summary.parts().items():
                full_name = name + part
                try:
                    pair = metric_pairs.sample(full_name, value, unit)
                    if pair.keys() & found.keys():
                        raise ValueError(
                            f"{full_name}: a sample and a part of an aggregate have this name"
                        )
                except ValueError as error:
                    self._reporter.leave_out(full_name, error)
                else:
                    found |= pair
        return found

    @property
    def waiting(self) -> int:
        """The number of names that were recorded since the previous report."""
        return len(self._counts) + len(self._summaries)

    @property
    def is_lasting(self) -> bool:
        """Whether the next report has a sample, even if nothing is recorded until then."""
        return bool(self._polled or self._held)


def _own_number(kind: str, name: str, value: object, unit: str) -> tuple[int | float, str]:
    """Return the value as an int or a float, as sums of these are too, and its unit."""
    number, unit = metric_pairs.number_and_unit(kind, name, value, unit)
    return (number if isinstance(number, int) else float(number)), unit


def reporter_of(meter: Meter) -> Reporter:
    return meter._reporter
