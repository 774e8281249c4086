"""A receiver, and a handler on each logger, for the duration of a test."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from logplex_handler._formatting.value_text import text_of
from logplex_handler._process.countdown import Countdown
from logplex_handler.handler import LogplexHandler
from logplex_handler.testing import _failure_messages
from logplex_handler.testing._journal import Request
from logplex_handler.testing._line import Line
from logplex_handler.testing._receiver import LogplexReceiver
from logplex_handler.testing._text_parser import Metric

# Options in seconds, shorter than the handler's defaults, so that tests are quick.
_DEFAULTS: dict[str, Any] = {"flush_interval": 0.02, "shutdown_timeout": 1.0}
# The longest wait of `lines`, in seconds, for logged records to be delivered.
_SETTLE_TIMEOUT = 5.0
_POLL_INTERVAL = 0.01


class LogplexCapture:
    """The lines that a program under test sends; the fixture `logplex` returns one of these.

    `lines`, `pairs`, `metrics` and `requests` first wait, for 5 s at most, until every record
    logged through the fixture's own handler is delivered.
    """

    def __init__(
        self,
        loggers: Iterable[str] = ("",),
        *,
        level: int | str = "INFO",
        strict: bool = True,
        formatter: logging.Formatter | None = None,
        **options: Any,
    ) -> None:
        """Open nothing yet; `with` starts the receiver and adds the handler.

        Args:
            loggers: Names of the loggers that get a handler; the root logger's name is empty.
            level: The level of these loggers during the test.
            strict: Whether `faults` reports anything.
            formatter: The handler's formatter; None for the default one.
            options: More options of `LogplexHandler`.
        """
        self.receiver = LogplexReceiver(strict=strict)
        self._loggers = [logging.getLogger(name) for name in loggers]
        self._level = level
        self._strict = strict
        self._formatter = formatter
        self._options = _DEFAULTS | options
        self._opened = ExitStack()
        self.handler: LogplexHandler | None = None

    def __enter__(self) -> LogplexCapture:
        # An invalid option must not leave a receiver or a handler behind.
        with ExitStack() as opened:
            opened.enter_context(self.receiver)
            if self._loggers:
                self.handler = LogplexHandler(self.receiver.url, **self._options)
                opened.callback(self._close_handler, self.handler)
                self.handler.setFormatter(self._formatter)
            for logger in self._loggers:
                opened.callback(logger.setLevel, logger.level)
                logger.setLevel(self._level)
                if self.handler is not None:
                    opened.callback(logger.removeHandler, self.handler)
                    logger.addHandler(self.handler)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    @staticmethod
    def _close_handler(handler: LogplexHandler) -> None:
        # The test is over: lines that a failing receiver has not accepted are no longer needed.
        handler.flush(0)
        handler.close()

    def __repr__(self) -> str:
        return f"<LogplexCapture {self.receiver!r}>"

    @property
    def url(self) -> str:
        """The receiver's URL with credentials, for handlers that the program creates itself."""
        return self.receiver.url

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line that the receiver has routed, in order."""
        self.settle()
        return self.receiver.lines

    @property
    def pairs(self) -> list[dict[str, str]]:
        """The pairs of each line, with the first value of each key; free text has none."""
        return [_failure_messages.pairs_of(line) for line in self.lines]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all lines as l2met reads them, in order."""
        return [metric for line in self.lines for metric in line.metrics]

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request with its answer, including retries and refused requests."""
        self.settle()
        return self.receiver.requests

    def wait_for(
        self,
        wanted: int | str | Mapping[str, object] = 1,
        /,
        *,
        timeout: float = 5.0,
        **pairs: object,
    ) -> Line:
        """Wait for a line, and return the first one that matches.

        Args:
            wanted: A text that the line contains; or a mapping of pairs, for keys that are not
                Python identifiers (`{"measure#web.latency": "4ms"}`); or a number of lines, of
                which the last is returned. Default: 1.
            timeout: Seconds to wait at most. Default: 5.
            pairs: Pairs that the line contains; values are compared as they are written.

        Raises:
            AssertionError: No such line came. The message shows the lines that did.
        """
        __tracebackhide__ = True
        mapping = wanted if isinstance(wanted, Mapping) else {}
        expected = {key: text_of(value) for key, value in {**mapping, **pairs}.items()}
        countdown = Countdown(timeout)
        compared = 0
        while True:
            lines = self.receiver.whole_lines
            if isinstance(wanted, int) and not expected:
                if len(lines) >= wanted > 0:
                    return lines[wanted - 1]
            else:
                for line in lines[compared:]:
                    if _matches(line, wanted, expected):
                        return line
                compared = len(lines)
            if countdown.left <= 0:
                break
            time.sleep(_POLL_INTERVAL)
            countdown.waited(_POLL_INTERVAL)
        description = _describe(wanted, expected)
        lines = self.receiver.lines
        message = _failure_messages.missing(description, lines, expected, timeout)
        refused = _failure_messages.refusals(self.receiver.requests)
        raise AssertionError("\n".join(filter(None, [message, refused])))

    def fail_next(
        self, status: int, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next `times` requests with `status`, and route none of their lines.

        Raises ValueError if the status is not from 200 to 599 or `times` is negative.
        """
        self.receiver.fail_next(status, times, headers)

    def clear(self) -> None:
        """Forget all lines and requests so far, including malformed ones."""
        self.settle()
        self.receiver.clear()

    def faults(self) -> str:
        """Explain everything malformed so far, or return an empty text without `strict`."""
        if not self._strict:
            return ""
        return _failure_messages.faults(self.receiver.requests, self.receiver.lines)

    def seen(self) -> str:
        """Return the lines and the refused requests so far, for the report of a failed test."""
        refused = _failure_messages.refusals(self.receiver.requests)
        return "\n".join(filter(None, [_failure_messages.sent(self.receiver.lines), refused]))

    def settle(self, timeout: float = _SETTLE_TIMEOUT) -> None:
        """Wait until every record logged through the fixture's own handler is delivered.

        Args:
            timeout: Seconds to wait at most.
        """
        if self.handler is not None:
            self.handler.flush(timeout)


def _matches(line: Line, wanted: object, expected: Mapping[str, str]) -> bool:
    if isinstance(wanted, str) and wanted not in line.text:
        return False
    if not expected:
        return True
    pairs = _failure_messages.pairs_of(line)
    return all(pairs.get(key) == value for key, value in expected.items())


def _describe(wanted: object, expected: Mapping[str, str]) -> str:
    parts = []
    if isinstance(wanted, str):
        parts.append(f"with the text {wanted!r}")
    if expected:
        parts.append("with " + " ".join(f"{key}={value}" for key, value in expected.items()))
    return " and ".join(parts) or f"number {wanted}"
