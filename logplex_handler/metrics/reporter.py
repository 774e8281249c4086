"""Who takes together what the meters of one `Metrics` have, and logs it once per interval."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Mapping

from logplex_handler._process import exits, forks
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.live_objects import LiveObjects
from logplex_handler._process.periodic import Periodic
from logplex_handler.metrics import metric_pairs
from logplex_handler.metrics._units import Units
from logplex_handler.metrics.meter import Meter

_LEVEL = logging.INFO
# Seconds that closing waits for a report under way: functions that are polled may hang.
_PATIENCE = 5.0
# Names of metrics that could not be had, each of which is told once.
_MAX_TOLD = 1000


class Reporter:
    """The owner of meters: has a thread, and a place among what is done at exit."""

    def __init__(self, logger: logging.Logger, interval: float, source: str | None) -> None:
        self._logger = logger
        self._interval = interval
        self._source = source
        self._diagnostics = Diagnostics()
        # Called for more before each report; a forked child has them too.
        self._collectors: list[tuple[str, Callable[[], Mapping[str, str]]]] = []
        # All meters that somebody has in hand, by stream; that of no stream is a `Metrics`.
        self._meters: weakref.WeakValueDictionary[object, Meter] = weakref.WeakValueDictionary()
        # Those that have something to report, which are kept whoever has them in hand.
        self._active: set[Meter] = set()
        self.units = Units()
        self._told: set[str] = set()
        self._closed = False
        self.after_fork_in_child()
        forks.register(self)
        all_reporters.add(self)

    def after_fork_in_child(self) -> None:
        """For a forked child: what the parent has not reported yet is the parent's to report."""
        # Guards the attributes above, and `_failed`. Re-entrant for garbage collections and signals
        # that strike under it.
        self._lock = threading.RLock()
        for meter in self._active:
            # Python may not have been told of the fork, nor it then.
            meter.renew_if_forked()
        self._active = {meter for meter in self._active if meter.is_lasting}
        self._failed = 0
        self._periodic = Periodic(self._interval, self.report)
        self._cancel_exit_call: Callable[[], None] | None = None
        self._here = forks.here()

    def adopt(self, meter: Meter) -> None:
        """The meter is the one of its stream."""
        self._meters[meter.stream_id] = meter

    def meter(self, stream: object) -> Meter:
        """The one meter of a stream."""
        self._renew_if_forked()
        with self._lock:
            meter = self._meters.get(stream)
            if meter is None:
                meter = self._meters[stream] = Meter(self, stream)
                if self._closed:
                    meter.end()
            return meter

    def collect(self, name: str, function: Callable[[], Mapping[str, str]]) -> None:
        """Have a function called for more before each report."""
        self._renew_if_forked()
        with self._lock:
            self._collectors.append((name, function))
        self._begin()

    def begin(self, meter: Meter) -> None:
        """The meter has something to report."""
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
            # Before `logging.shutdown`, as what is registered last is called first.
            atexit.register(self.close)
        self._periodic.start()

    def log(self, stream: object, pairs: Mapping[str, str]) -> None:
        """Log metrics, in as many lines as they need."""
        source = f"source={self._source}" if self._source else ""
        written = [f"{key}={value}" for key, value in pairs.items()]
        for group in metric_pairs.in_lines(written, source):
            keys = [metric.partition("=")[0] for metric in group]
            extra: dict[str, object] = {key: pairs[key] for key in keys}
            if source:
                extra["logplex_source"] = self._source
            if stream is not None:
                extra["logplex_stream"] = stream
            # The text is for formatters other than ours, and says what the extras do.
            self._logger.log(_LEVEL, metric_pairs.metrics_text(group, source), extra=extra)

    def leave_out(self, name: str, error: BaseException) -> None:
        """Count a metric that could not be had, and tell why the first time."""
        with self._lock:
            self._failed += 1
            if name in self._told or len(self._told) >= _MAX_TOLD:
                return
            self._told.add(name)
        # Not into a customer's stream, as the traceback is of the program.
        with contextlib.suppress(Exception):
            self._logger.warning("metric left out", exc_info=error, extra={"metric": name})

    def turn_down(self) -> None:
        """Say that nobody will report any more."""
        self._diagnostics.warn("closed", "metrics are recorded after close, and dropped")

    def report(self) -> None:
        """Log what has come together, after asking for what is polled and collected."""
        if not self.is_enabled():
            return
        # What may take long comes first, while nothing is in hand.
        with self._lock:
            active, collectors = list(self._active), list(self._collectors)
        polled = {meter: meter.poll() for meter in active}
        collected: dict[str, str] = {}
        for name, function in collectors:
            try:
                collected |= _checked(function())
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # Also what wants to end the thread, such as SystemExit: it is not this one's.
                self.leave_out(name, error)
        self.report_recorded(polled, collected)

    def report_recorded(
        self,
        polled: Mapping[Meter, Mapping[str, str]] | None = None,
        collected: Mapping[str, str] | None = None,
    ) -> None:
        """Log what has come together, and what else is given, without asking anybody for more."""
        with self._lock:
            active = list(self._active)
            failed, self._failed = self._failed, 0
        own = dict(collected or {})
        if failed:
            own |= metric_pairs.count("logplex_handler.metrics.failed", failed)
        for meter in active:
            with self._lock:
                self._active.discard(meter)
            # Only then is it emptied: what is recorded from here on puts it there again.
            pairs = meter.drain() | dict((polled or {}).get(meter, {}))
            if meter.is_lasting:
                with self._lock:
                    self._active.add(meter)
            if meter.stream_id is None and not own.keys() & pairs.keys():
                pairs |= own
                own = {}
            self._log_or_say(meter.stream_id, pairs)
        self._log_or_say(None, own)

    def close(self) -> None:
        """Make a last report, and stop."""
        if not self._here[0]:
            # Nothing was recorded since the fork.
            return
        with self._lock:
            was_closed, self._closed = self._closed, True
        if was_closed:
            return
        if self._cancel_exit_call is not None:
            self._cancel_exit_call()
            atexit.unregister(self.close)
            self._report_last()
        with self._lock:
            meters = {*self._active, *self._meters.values()}
        for meter in meters:
            meter.end()
        with self._lock:
            # One may just have taken what it was given, and not be among them yet.
            self._active |= meters
        self.report_recorded()

    def _report_last(self) -> None:
        reported = self._periodic.stop(_PATIENCE)
        if reported is None:
            self.report()
        elif not reported:
            self._diagnostics.warn("slow", f"a report of metrics takes longer than {_PATIENCE:g} s")

    def is_enabled(self) -> bool:
        """Whether what is logged gets anywhere; if not, that is told."""
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

    def _log_or_say(self, stream: object, pairs: Mapping[str, str]) -> None:
        try:
            self.log(stream, pairs)
        except Exception as error:
            # A filter of the application's has failed: other streams, and later reports, may fare
            # better.
            self._diagnostics.warn("failed", f"metrics could not be logged: {type(error).__name__}")


def _checked(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """What a function has returned to be reported; a TypeError if it is something else."""
    for key, value in pairs.items():
        if not (isinstance(key, str) and metric_pairs.is_metric(key, value)):
            raise TypeError(f"{key!r:.100} is not made by measure, sample or count")
    return pairs


# Every reporter of this process that is still in use.
all_reporters: LiveObjects[Reporter] = LiveObjects()
