"""Logs what the meters of one `Metrics` have recorded, once per interval."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Mapping

from logplex_handler._process import exits, forks
from logplex_handler._process.contexts import in_empty_context
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.forks import LiveObjects
from logplex_handler._process.periodic import Periodic
from logplex_handler._process.reentrancy import holding, is_held
from logplex_handler.metrics import metric_pairs
from logplex_handler.metrics.meter import Meter
from logplex_handler.metrics.metric_pairs import MetricSource

_LEVEL = logging.INFO
# The longest wait for a running report, in seconds: the functions that it asks may hang.
_PATIENCE = 5.0
# The largest number of names whose first failure is logged.
_MAX_NAMES_OF_FAILURES = 1000
# The largest number of names whose unit is remembered. A program that puts ids into names has any
# number of them.
_MAX_NAMES_WITH_UNITS = 10_000
# The largest number of names whose records wait for a logger that is not enabled, likewise.
_MAX_NAMES_WAITING = 10_000


class Reporter:
    """Reports from its own thread, and once more at exit."""

    def __init__(self, logger: logging.Logger, interval: float, source: str | None) -> None:
        self._logger = logger
        self._interval = interval
        self._source = MetricSource(source) if source else None
        self._diagnostics = Diagnostics()
        # Functions that return more metrics, called before each report; a forked child keeps them.
        self._collectors: list[tuple[str, Callable[[], Mapping[str, str]]]] = []
        # All meters that the application has, by stream; the meter without a stream is a `Metrics`.
        self._meters: weakref.WeakValueDictionary[object, Meter] = weakref.WeakValueDictionary()
        # The meters that have something to report, even if the application has dropped them.
        self._active: set[Meter] = set()
        # The first unit of each name. Needs no lock: at worst, two units that are given at the same
        # moment are both accepted.
        self._units: dict[str, str] = {}
        self._logged_failures: set[str] = set()
        self._closed = False
        self.after_fork_in_child()
        forks.register(self)
        all_reporters.add(self)

    def after_fork_in_child(self) -> None:
        """Start at zero in a forked child: the parent reports what the parent recorded."""
        # Guards `_collectors`, `_meters`, `_active`, `_logged_failures`, `_closed` and `_failed`.
        # Re-entrant, because a garbage collection or a signal handler may interrupt the thread that
        # holds it, and record something.
        self._lock = threading.RLock()
        # Held while functions of the application are asked, by one report at a time: of two totals
        # of a counter, the earlier one would look like that of a counter that was made anew.
        self._asking = threading.RLock()
        for meter in self._active:
            # If Python ran no hooks for the fork, the meters have not started at zero, either.
            meter.renew_if_forked()
        self._active = {meter for meter in self._active if meter.is_lasting}
        self._failed = 0
        self._periodic = Periodic(self._interval, self.report)
        self._cancel_exit_call: Callable[[], None] | None = None
        self._here = forks.here()

    def meter(self, stream: object, new: Meter | None = None) -> Meter:
        """Return the meter of a stream; the same one each time."""
        self._renew_if_forked()
        with self._lock:
            meter = self._meters.get(stream)
            if meter is None:
                meter = self._meters[stream] = new or Meter(self, stream)
                if self._closed:
                    meter.end()
            return meter

    def collect(self, name: str, function: Callable[[], Mapping[str, str]]) -> None:
        self._renew_if_forked()
        with self._lock:
            self._collectors.append((name, function))
        self._begin()

    def begin(self, meter: Meter) -> None:
        """Include the meter in the next report."""
        self._begin()
        with self._lock:
            self._active.add(meter)

    def _renew_if_forked(self) -> None:
        if not self._here[0]:
            self.after_fork_in_child()

    def _begin(self) -> None:
        self._renew_if_forked()
        if self._closed:
            return
        if self._cancel_exit_call is None:
            self._cancel_exit_call = exits.call_at_exit(self.close, before_handlers=True)
        self._periodic.start()

    def log(self, stream: object, pairs: Mapping[str, str]) -> None:
        """Log metrics in as many lines as they need."""
        source = f"source={self._source}" if self._source else ""
        written = [f"{key}={value}" for key, value in pairs.items()]
        for group in metric_pairs.in_lines(written, source):
            keys = [metric.partition("=")[0] for metric in group]
            extra: dict[str, object] = {key: pairs[key] for key in keys}
            if source:
                extra["logplex_source"] = self._source
            if stream is not None:
                extra["logplex_stream"] = stream
            # Formatters other than KeyValueFormatter write the text, which repeats the extras.
            self._logger.log(_LEVEL, metric_pairs.metrics_text(group, source), extra=extra)

    def keep_unit(self, kind: str, name: str, unit: str) -> None:
        """Remember the unit of a name: to a consumer, one name with two units is two metrics.

        Raises:
            ValueError: The name has another unit.
        """
        known = self._units.get(name)
        if known is None and len(self._units) < _MAX_NAMES_WITH_UNITS:
            self._units[name] = unit
        elif known is not None and known != unit:
            raise ValueError(
                f"{kind} {name}: the unit {unit!r} must be {known!r}, as it was before"
            )

    def leave_out(self, name: str, error: BaseException) -> None:
        """Count a metric that could not be read, and log the first error of each name."""
        with self._lock:
            self._failed += 1
            logged = self._logged_failures
            if name in logged or len(logged) >= _MAX_NAMES_OF_FAILURES:
                return
            logged.add(name)
        # Logged to the application's own stream: a customer must not see the program's traceback.
        with contextlib.suppress(Exception):
            in_empty_context(
                self._logger.warning, "metric left out", exc_info=error, extra={"metric": name}
            )

    def warn_closed(self) -> None:
        """Report on stderr that a metric was recorded after the last report."""
        self._diagnostics.warn("closed", "metrics are recorded after close, and dropped")

    def report(self) -> None:
        """Call the polled functions and the collectors, then log everything recorded."""
        in_empty_context(self._report)

    def _report(self) -> None:
        if not self.is_enabled():
            self._forget_if_too_many()
            return
        # These calls may take long, so they come before anything is drained.
        with self._lock:
            active, collectors = list(self._active), list(self._collectors)
        polled: dict[Meter, Mapping[str, str]] = {}
        collected: dict[str, str] = {}
        replaced: list[dict[str, str]] = []

        def ask() -> None:
            polled.update({meter: meter.poll() for meter in active})
            found, before = self._collected(collectors)
            collected.update(found)
            replaced.extend(before)

        # If a signal handler, or one of the functions, reports, the call that it interrupts asks.
        # A report of another thread may need a lock that this caller holds.
        if not is_held(self._asking) and not holding(self._asking, _PATIENCE, ask):
            self._warn_slow()
        self.report_recorded(polled, collected)
        for pairs in replaced:
            self._log_or_warn(None, pairs)

    def _collected(
        self, collectors: list[tuple[str, Callable[[], Mapping[str, str]]]]
    ) -> tuple[dict[str, str], list[dict[str, str]]]:
        """Return the pairs of the collectors, and those that others of the same name replaced.

        A later sample replaces an earlier one of its name, but nothing replaces a counter.
        """
        collected: dict[str, str] = {}
        replaced: list[dict[str, str]] = []
        for name, function in collectors:
            try:
                pairs = dict(_checked(function()))
                twice = [key for key in pairs if key in collected and not key.startswith("sample#")]
                replaced.append({key: collected[key] for key in twice})
                collected |= pairs
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Not even SystemExit may end the reporting thread.
                self.leave_out(name, error)
        return collected, replaced

    def _forget_if_too_many(self) -> None:
        with self._lock:
            active = list(self._active)
            if sum([meter.waiting for meter in active]) <= _MAX_NAMES_WAITING:
                return
            self._active = {meter for meter in active if meter.is_lasting}
        for meter in active:
            meter.drain()

    def report_recorded(
        self,
        polled: Mapping[Meter, Mapping[str, str]] | None = None,
        collected: Mapping[str, str] | None = None,
    ) -> bool:
        """Log everything recorded and the given pairs; call no polled function or collector.

        Return whether all could be logged.
        """
        return in_empty_context(self._report_recorded, polled or {}, collected or {})

    def _report_recorded(
        self, polled: Mapping[Meter, Mapping[str, str]], collected: Mapping[str, str]
    ) -> bool:
        all_logged = True
        with self._lock:
            active = list(self._active)
            failed, self._failed = self._failed, 0
        own = dict(collected)
        if failed:
            own |= metric_pairs.count("logplex_handler.metrics.failed", failed)
        for meter in active:
            with self._lock:
                self._active.discard(meter)
            # Drained only now: whatever is recorded from here on makes the meter active again.
            pairs = meter.drain() | dict(polled.get(meter, {}))
            if meter.is_lasting:
                with self._lock:
                    self._active.add(meter)
            if meter.stream_id is None and not own.keys() & pairs.keys():
                pairs |= own
                own = {}
            all_logged &= self._log_or_warn(meter.stream_id, pairs)
        return self._log_or_warn(None, own) and all_logged

    def close(self) -> None:
        """Report once more, and stop."""
        if not self._here[0]:
            # Nothing was recorded since the fork.
            return
        with self._lock:
            was_closed, self._closed = self._closed, True
        if was_closed:
            return
        if self._cancel_exit_call is not None:
            self._cancel_exit_call()
            self._report_last()
        with self._lock:
            meters = {*self._active, *self._meters.values()}
        for meter in meters:
            meter.end()
        with self._lock:
            # A meter may have recorded a value just now, and not be active yet.
            self._active |= meters
        self.report_recorded()

    def _report_last(self) -> None:
        reported = self._periodic.stop(_PATIENCE)
        if reported is None:
            self.report()
        elif not reported:
            self._warn_slow()

    def _warn_slow(self) -> None:
        self._diagnostics.warn("slow", f"a report of metrics takes longer than {_PATIENCE:g} s")

    def is_enabled(self) -> bool:
        """Return whether the logger logs at INFO and has handlers, or report that it does not."""
        name = self._logger.name
        if not self._logger.isEnabledFor(_LEVEL):
            self._diagnostics.warn(
                "level", f"metrics are not logged: {name} is not enabled for INFO"
            )
            return False
        if not self._logger.hasHandlers():
            self._diagnostics.warn("handler", f"metrics are not logged: {name} has no handler")
            return False
        return True

    def _log_or_warn(self, stream: object, pairs: Mapping[str, str]) -> bool:
        try:
            self.log(stream, pairs)
        except Exception as error:
            # An application's filter has failed. Other streams and later reports may succeed.
            self._diagnostics.warn("failed", f"metrics could not be logged: {type(error).__name__}")
            return False
        return True


def _checked(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Return the pairs of a collector, or raise a TypeError if they are not metrics."""
    for key, value in pairs.items():
        if not (isinstance(key, str) and metric_pairs.is_metric(key, value)):
            raise TypeError(f"{key!r:.100} is not made by measure, sample or count")
    return pairs


# Every reporter of this process that is still in use.
all_reporters: LiveObjects[Reporter] = LiveObjects()
