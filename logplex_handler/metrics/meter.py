"""What is recorded for one stream between two reports."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

from logplex_handler._process import forks
from logplex_handler.metrics import _interval, _summary, metric_pairs, number_format
from logplex_handler.metrics._summary import Summary
from logplex_handler.metrics._timer import Timer
from logplex_handler.metrics._units import Units
from logplex_handler.metrics.number_format import Number

Polled: TypeAlias = Callable[[], Number | timedelta | None]

# A count up to it is added without a closer look.
_ORDINARY = 2**63
# With its longest part behind it, a summary's name is still one.
_LONGEST_SUMMARY = metric_pairs.MAX_NAME_BYTES - len(_summary.LONGEST_PART)


class Owner(Protocol):
    """Who reports for many meters, and logs what is not to wait for a report."""

    # Of all streams.
    units: Units

    def begin(self, meter: Meter) -> None:
        """The meter has something to report."""

    def log(self, stream: object, pairs: Mapping[str, str]) -> None:
        """Log metrics as a line of their own."""

    def leave_out(self, name: str, error: BaseException) -> None:
        """A metric could not be had; tell it, if it is the first time."""

    def turn_down(self) -> None:
        """Something was recorded that nobody will report any more."""


class Meter:
    """Records metrics of one stream; made by `Metrics` and `Metrics.stream`.

    Any thread may call any method. A name, number or unit that a consumer would misread is an
    error where it is given, as with `measure`, `sample` and `count`; so is another unit than the
    one that a name had before.
    """

    def __init__(self, owner: Owner, stream_id: object) -> None:
        self._owner = owner
        self.stream_id = stream_id
        # The functions that are polled; a forked child has them too.
        self._polled: dict[str, tuple[Polled, str]] = {}
        self._closed = False
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """For a forked child: what the parent has recorded is the parent's to report."""
        # Guards all below, and `_closed`. Re-entrant because a garbage collection or a signal may
        # strike under it, and what they run may record something.
        self._lock = threading.RLock()
        self._counts: dict[str, int | float] = {}
        self._held: dict[str, str] = {}
        self._summaries: dict[str, Summary] = {}
        self._here = forks.here()

    def count(self, name: str, n: Number = 1) -> None:
        """Add to a counter; what has come together is reported once per interval: `count#name=17`.

        Args:
            name: Dotted, from least to most specific, at most 200 bytes.
            n: How much to add. Default: 1.

        Raises:
            TypeError, ValueError: as `logplex_handler.count` does.
        """
        # Nearly every call ends here: a known name, and a whole number.
        if type(n) is int and 0 <= n <= _ORDINARY and self._here[0]:
            try:
                with self._lock:
                    self._counts[name] += n
                return
            except KeyError:
                pass
        metric_pairs.check("count", name)
        number = _own_number("count", name, n, "")[0]
        self.renew_if_forked()
        with self._lock:
            if not self._closed:
                # In two steps, so that what a signal adds between them is not written over.
                self._counts.setdefault(name, 0)
                try:
                    self._counts[name] += number
                except OverflowError:
                    # More than a float holds: told when it is reported.
                    self._counts[name] = math.inf
        self._begin()

    def sample(self, name: str, value: Number | timedelta | Polled | None, unit: str = "") -> None:
        """Report a value once per interval, until it is given another: `sample#queue.depth=12`.

        Args:
            name: Dotted, from least to most specific, at most 200 bytes.
            value: A number, or a function without arguments that is called for one before each
                report, in the reporting thread. When it raises, or its number is none that could be
                reported, the metric is left out of this report, which is told once with a warning
                and counted as `logplex_handler.metrics.failed`; when it returns None it is left
                out without a word. None in place of a value ends it.
            unit: Letters only. Default: none.

        Raises:
            TypeError, ValueError: as `logplex_handler.sample` does.
        """
        metric_pairs.check("sample", name, unit)
        pair = {} if value is None or callable(value) else metric_pairs.sample(name, value, unit)
        if isinstance(value, timedelta):
            unit = "ms"
        # What a function says may be a time.
        if unit or pair:
            self._owner.units.keep("sample", name, unit)
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
            aggregate: False logs it at once, a line for each event: `measure#name=4ms`. True
                reports once per interval `sample#name.count`, `.min`, `.max`, `.mean`, `.p50`,
                `.p95` and `.p99`: for what happens more often than is worth a line. Percentiles
                are at most 1 % off the value that has this rank; they need the extra
                `logplex-handler[percentiles]`. Default: False.

        Raises:
            TypeError, ValueError: as `logplex_handler.measure` does.
            ConfigurationError: (a ValueError) percentiles without their extra.
        """
        if aggregate:
            self._observe(name, value, unit)
            return
        pair = metric_pairs.measure(name, value, unit)
        self._owner.units.keep("measure", name, "ms" if isinstance(value, timedelta) else unit)
        self._owner.log(self.stream_id, pair)

    def timer(self, name: str, *, aggregate: bool = False) -> Timer:
        """Measure how long something takes, in ms.

        `with metrics.timer("job"):` measures a block, `@metrics.timer("job")` each call of a
        function from its beginning to its end, with an exception or without: of a coroutine with
        all that it waits for, of a generator from its first value to its last, with what its user
        does between them. Make a timer of its own for each block.

        Args:
            name: As for `measure`.
            aggregate: As for `measure`.

        Raises:
            TypeError, ValueError, ConfigurationError: as `measure` does.
        """
        if aggregate:
            known = self._summaries.get(name)
            if known is None or known.unit != "ms":
                self._check_summary(name, "ms")
            return Timer(lambda taken: self._observe(name, taken, "ms"))
        metric_pairs.check("measure", name)
        self._owner.units.keep("measure", name, "ms")
        return Timer(
            lambda taken: self._owner.log(self.stream_id, metric_pairs.measure(name, taken, "ms"))
        )

    def _observe(self, name: str, value: Any, unit: str) -> None:
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
        self._check_summary(name, unit)
        self.renew_if_forked()
        with self._lock:
            if not self._closed:
                if name not in self._summaries:
                    self._summaries[name] = Summary(unit)
                self._summaries[name].add(number)
        self._begin()

    def _check_summary(self, name: str, unit: str) -> None:
        metric_pairs.check("measure", name, unit, _LONGEST_SUMMARY)
        _summary.require()
        self._owner.units.keep("measure", name, unit)

    def _begin(self) -> None:
        """Behind what was recorded: who reports takes a meter off its list before emptying it."""
        if self._closed:
            self._owner.turn_down()
        else:
            self._owner.begin(self)

    def renew_if_forked(self) -> None:
        """Begin anew where Python was not told of the fork."""
        if not self._here[0]:
            self.after_fork_in_child()

    def poll(self) -> dict[str, str]:
        """What the functions say that are polled."""
        with self._lock:
            polled = list(self._polled.items())
        pairs: dict[str, str] = {}
        for name, (function, unit) in polled:
            try:
                value = function()
                if value is not None:
                    self._owner.units.keep(
                        "sample", name, "ms" if isinstance(value, timedelta) else unit
                    )
                    pairs |= metric_pairs.sample(name, value, unit)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Also what wants to end the thread, such as SystemExit: it is not this one's.
                self._owner.leave_out(name, error)
        return pairs

    def end(self) -> None:
        """From now on nothing is recorded, and what was sampled is not said again."""
        with self._lock:
            self._closed = True
            self._held.clear()
            self._polled.clear()

    def drain(self) -> dict[str, str]:
        """What has come together since the last time."""
        with self._lock:
            counts, self._counts = self._counts, {}
            summaries, self._summaries = self._summaries, {}
            held = dict(self._held)
        return _interval.pairs(counts, held, summaries, self._owner.leave_out)

    @property
    def is_lasting(self) -> bool:
        """Whether there is something to report even if nothing more is recorded."""
        return bool(self._polled or self._held)


def _own_number(kind: str, name: str, value: object, unit: str) -> tuple[int | float, str]:
    """The value as an int or a float, whose sum with others is one too; and its unit."""
    number, unit = metric_pairs.number_and_unit(kind, name, value, unit)
    return (number if isinstance(number, int) else float(number)), unit
