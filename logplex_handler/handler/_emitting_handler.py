"""How the handler takes a record: from `logging` to the intake of the record's stream."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Literal

from logplex_handler._formatting.call_site import NO_ENTRY
from logplex_handler._formatting.codec import Codec, DoesNotFit
from logplex_handler._formatting.formatter import KeyValueFormatter
from logplex_handler._formatting.nesting import NestedTooDeeply
from logplex_handler._process.checks import is_of_logging
from logplex_handler._process.contexts import CallVar
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.reentrancy import LIBRARIES, Activity, current_activity
from logplex_handler._wire.entry import HEAVY
from logplex_handler.streams.current import ATTRIBUTE, ever_used, stream_of

if TYPE_CHECKING:
    from logplex_handler.handler._inactive import Inactive
    from logplex_handler.handler._pipeline import Pipeline
    from logplex_handler.handler.options import Options
    from logplex_handler.streams.intake import Intake

# Bound here because it is read for every record.
_activity_mark = current_activity.mark
# Whether `handleError` is running.
_reporting: CallVar[bool] = CallVar("reporting")


class EmittingHandler(logging.Handler):
    """A handler that queues records for delivery, and starts afresh in a forked child."""

    # Whether `filter` is overridden, by a subclass or on the instance.
    _has_own_filter = False

    def __init__(self, options: Options) -> None:
        self._options = options
        formatter = KeyValueFormatter(source=options.source)
        self._codec = Codec(
            options.packet,
            formatter,
            may_compile=self._may_compile,
            token_as_appname=options.token_as_appname,
            own_formatter=lambda: self.formatter,
            max_bytes=options.accumulator.max_bytes,
        )
        # Whether a record may name a stream; the value in the list may change at any time.
        self._may_name_stream = [True] if options.has_streams else ever_used
        self._diagnostics = Diagnostics()
        self._pipeline = self._new_pipeline()
        # The pipelines of forked children by process id, so that a child makes only one.
        self._renewed: dict[int, Pipeline | Inactive] = {}
        if not is_of_logging(type(self).filter):
            # Replaced after the class was made.
            self._has_own_filter = True
        # Called last, because `logging.shutdown` flushes every handler that has got this far.
        super().__init__(options.level)
        # Set from the start: `basicConfig` gives its own formatter to a handler without one.
        self.formatter = formatter
        if not options.is_active:
            self._diagnostics.warn("inactive", "inactive: neither url nor LOGPLEX_URL is set")

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_own_filter = cls.filter is not logging.Handler.filter

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "filter":
            super().__setattr__("_has_own_filter", True)
        # A subclass may set them before it calls `__init__`.
        elif name in ("emit", "format", "__class__") and "_codec" in self.__dict__:
            self._codec.look_again()

    def _may_compile(self) -> bool:
        """Return whether no own `emit` or `format` must get every record."""
        has_own_emit = type(self).emit is not EmittingHandler.emit or "emit" in self.__dict__
        return not has_own_emit and not self._has_own_format()

    def _has_own_format(self) -> bool:
        return type(self).format is not EmittingHandler.format or "format" in self.__dict__

    def _new_pipeline(self) -> Pipeline | Inactive:
        # Imported here, because what delivers is imported by the first handler.
        if not self._options.is_active:
            from logplex_handler.handler._inactive import Inactive

            return Inactive()
        from logplex_handler.handler._pipeline import Pipeline

        return Pipeline(self._options, self._codec, self._diagnostics)

    def _renew(self) -> None:
        """Start afresh in a forked child; the parent delivers its own entries.

        This is done at the first use, not right after the fork, because the program may first
        replace threads and locks: gunicorn has gevent do so in each worker.
        """
        was_closed = self._options.is_active and not self._pipeline.takes_entries
        renewed = self._new_pipeline()
        if was_closed:
            renewed.close()
        # Several threads may come here; all of them take the first one's pipeline.
        self._pipeline = self._renewed.setdefault(os.getpid(), renewed)

    def _current_pipeline(self) -> Pipeline | Inactive:
        if not self._pipeline.here[0]:
            self._renew()
        return self._pipeline

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, by the handler's formatter or a KeyValueFormatter.

        A subclass or an instance may override this method; every record is then formatted in the
        caller's thread. So may a program that replaces the method of this class before it logs; a
        call site that has already logged 25 records does not see that.
        """
        return (self.formatter or self._codec.default_formatter).format(record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit the record, without the handler's lock.

        The pipeline does not need that lock, and `logging.shutdown` holds it while it waits for
        `flush`.
        """
        if self.filters or self._has_own_filter:
            passed = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        try:
            # The way of nearly every record, in as few steps as possible (`docs/performance.md`).
            pipeline = self._pipeline
            if pipeline.here[0] and _activity_mark.get() is None:
                entry = self._codec.call_sites.latest_entry(record, self.formatter)
                if entry[0] < HEAVY:
                    if self._may_name_stream[0]:
                        # Most records that have a stream name it themselves.
                        named = record.__dict__.get(ATTRIBUTE)
                        intake = pipeline.intake(stream_of(record) if named is None else named)
                    else:
                        intake = pipeline.own_intake
                    if intake.append(entry):
                        intake.wake()
                    return True
                if entry is NO_ENTRY:
                    entry = self._codec.call_sites.other_entry(record, self.formatter)
                if entry is not NO_ENTRY:
                    intake = pipeline.own_intake
                    if self._may_name_stream[0]:
                        intake = pipeline.intake(stream_of(record))
                    intake.put_compiled(entry)
                    return True
        except BaseException as error:
            self._after(error, record)
            return True
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record, formatted if its values may change.

        Raises:
            RecursionError: The caller is at the recursion limit.
            BaseException: What is no Exception, such as KeyboardInterrupt, passes on.
        """
        try:
            # Records that the package itself causes must not cause another delivery: those of the
            # HTTP libraries during a request are left out, all others go with the next batch.
            activity = current_activity.get()
            if activity is Activity.REQUEST and _is_of_library(record):
                return
            never_wakes = activity is not None
            pipeline = self._current_pipeline()
            intake = pipeline.own_intake
            if not pipeline.takes_entries:
                intake.count_rejected()
                return
            own_format = self.format if self._has_own_format() else None
            try:
                # The record may lack any attribute, even its dictionary.
                intake = pipeline.intake(stream_of(record))
                if not intake.takes_entries:
                    intake.count_rejected()
                    return
                entry, is_light = self._codec.entry(record, self.formatter, own_format)
            except DoesNotFit:
                intake = self._intake_here(intake, pipeline, record)
                intake.drop("buffer_full", never_wakes=never_wakes)
                return
            except Exception as error:
                intake = self._intake_here(intake, pipeline, record)
                intake.drop("format_error", never_wakes=never_wakes)
                if not isinstance(error, NestedTooDeeply):
                    self.handleError(record)
                return
            if not pipeline.here[0]:
                intake = self._intake_here(intake, pipeline, record)
            if not is_light or never_wakes:
                intake.put(entry, never_wakes=never_wakes)
            elif intake.append(entry):
                intake.wake()
        except BaseException as error:
            self._after(error, record)

    def _intake_here(
        self, intake: Intake, pipeline: Pipeline | Inactive, record: logging.LogRecord
    ) -> Intake:
        """Return the intake, or the child's if formatting a value has forked and this is it."""
        if pipeline.here[0]:
            return intake
        return self._current_pipeline().intake(stream_of(record))

    def _after(self, error: BaseException, record: logging.LogRecord) -> None:
        """Report an exception raised while a record was queued, or raise it if it is the caller's.

        A signal handler may have raised it just before a worker was to be woken, so one is woken
        now. RecursionError is raised as in `logging`: the caller is at the recursion limit, and the
        record could not be counted.
        """
        is_raised = isinstance(error, RecursionError) or not isinstance(error, Exception)
        with contextlib.suppress(Exception):
            intake = self._current_pipeline().intake(stream_of(record))
            if not is_raised:
                from logplex_handler.streams.intake import had_begun_to_take

                if not had_begun_to_take(error, intake):
                    intake.drop("format_error")
            intake.wake()
        if is_raised:
            raise error
        self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")

    def handleError(self, record: logging.LogRecord) -> None:
        """Report the error as `logging` does, even if stderr is closed or is itself a logger."""
        if _reporting.get():
            # Writing to stderr has logged a record, and that record has failed, too.
            return
        with _reporting.set(True), contextlib.suppress(Exception):
            super().handleError(record)


def _is_of_library(record: logging.LogRecord) -> bool:
    name = getattr(record, "__dict__", {}).get("name")
    return isinstance(name, str) and name.partition(".")[0] in LIBRARIES


def begin_shutdown(handler: EmittingHandler) -> None:
    """Start the clock that the handler's next `flush` and `close` share, and its delivery."""
    handler._current_pipeline().begin_shutdown()


def shutdown_timeout_of(handler: EmittingHandler) -> float:
    """Return the seconds that flushing and closing the handler may take together."""
    return handler._options.shutdown_timeout


def state_of(handler: EmittingHandler) -> Literal["inactive", "closed", "without url", "open"]:
    """Return whether the handler takes records, and if not, or only those of streams, why."""
    if not handler._options.is_active:
        return "inactive"
    if not handler._current_pipeline().takes_entries:
        return "closed"
    return "without url" if handler._options.destination is None else "open"
