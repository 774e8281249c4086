"""A receiver and a handler on a logger, for the time of a test."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from logplex_handler.handler import LogplexHandler
from logplex_handler.testing import _words
from logplex_handler.testing._journal import Line, Request
from logplex_handler.testing._pairs import Metric
from logplex_handler.testing._receiver import LogplexReceiver

# Seconds, shorter than the handler's own so that tests are quick.
_DEFAULTS: dict[str, Any] = {"flush_interval": 0.02, "shutdown_timeout": 1.0}
# Seconds: how long `lines` waits for what was logged to be delivered.
_SETTLE = 5.0
_LOOK_AGAIN = 0.01


class LogplexCapture:
    """What a test sees of the lines that its program sends; the fixture `logplex` gives one.

    Reading `lines`, `pairs`, `metrics` or `requests` waits first until what was logged through the
    fixture's own handler is delivered, for 5 s at most.
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
        """`loggers`: names of those that get a handler, the root logger's is empty. `level`: their
        level for that time. `strict`: whether `faults` finds anything. `options`: the handler's.
        """
        self.receiver = LogplexReceiver(strict=strict)
        self._loggers = [logging.getLogger(name) for name in loggers]
        self._level = level
        self._strict = strict
        self._formatter = formatter
        self._options = _DEFAULTS | options
        self._levels: list[int] = []
        self.handler: LogplexHandler | None = None

    def __enter__(self) -> LogplexCapture:
        try:
            self._begin()
        except BaseException:
            # An option that cannot be used leaves nothing behind.
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        self.receiver.start()
        if self._loggers:
            self.handler = LogplexHandler(self.receiver.url, **self._options)
            self.handler.setFormatter(self._formatter)
        for logger in self._loggers:
            self._levels.append(logger.level)
            logger.setLevel(self._level)
            if self.handler is not None:
                logger.addHandler(self.handler)

    def __exit__(self, *exc_info: object) -> None:
        for logger, level in zip(self._loggers, self._levels, strict=False):
            logger.setLevel(level)
            if self.handler is not None:
                logger.removeHandler(self.handler)
        if self.handler is not None:
            # What a failing receiver has not taken by now is of no interest any more.
            self.handler.flush(0)
            self.handler.close()
        self.receiver.close()

    def __repr__(self) -> str:
        return f"<LogplexCapture {self.receiver!r}>"

    @property
    def url(self) -> str:
        """Where to send to, with credentials, for handlers of the program's own."""
        return self.receiver.url

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line that the customer's log stream has taken, in its order."""
        self.settle()
        return self.receiver.lines

    @property
    def pairs(self) -> list[dict[str, str]]:
        """The pairs of each line, the first of each key; of free text, none."""
        return [_words.pairs_of(line) for line in self.lines]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all lines as l2met reads them, in their order."""
        return [metric for line in self.lines for metric in line.metrics]

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request with its answer, retries and refusals included."""
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
        """Wait for a line, and return the first that is as wanted.

        Args:
            wanted: A text that the line holds; or pairs, for keys that are no names of Python
                (`{"measure#web.latency": "4ms"}`); or how many lines, of which the last is
                returned. Default: 1.
            timeout: Seconds to wait at most. Default: 5.
            pairs: Pairs that the line has; values are compared as they are written.

        Raises:
            AssertionError: It did not come. The text shows what came instead.
        """
        __tracebackhide__ = True
        given = wanted if isinstance(wanted, Mapping) else {}
        like = {key: _words.as_value(value) for key, value in {**given, **pairs}.items()}
        deadline = time.monotonic() + timeout
        looked_at = 0
        while True:
            lines = self.receiver.lines
            if isinstance(wanted, int) and not like:
                if len(lines) >= wanted > 0:
                    return lines[wanted - 1]
            else:
                for line in lines[looked_at:]:
                    if _is_as(line, wanted, like):
                        return line
                looked_at = len(lines)
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_AGAIN)
        told = _words.missing(_in_words(wanted, like), lines, like, timeout)
        refused = _words.refusals(self.receiver.requests)
        raise AssertionError("\n".join(filter(None, [told, refused])))

    def fail_next(
        self, status: int, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next `times` requests with `status`, and take nothing of them.

        Raises ValueError if the status is not 200 to 599 or `times` is negative.
        """
        self.receiver.fail_next(status, times, headers)

    def clear(self) -> None:
        """Forget what came so far, the malformed included."""
        self.settle()
        self.receiver.clear()

    def faults(self) -> str:
        """What was malformed so far, explained; empty if nothing was, or not `strict`."""
        if not self._strict:
            return ""
        return _words.faults(self.receiver.requests, self.receiver.lines)

    def seen(self) -> str:
        """The lines and refusals so far, for the report of a test that failed."""
        refused = _words.refusals(self.receiver.requests)
        return "\n".join(filter(None, [_words.sent(self.receiver.lines), refused]))

    def settle(self, seconds: float = _SETTLE) -> None:
        """Wait until what was logged through the fixture's own handler is delivered, so long."""
        if self.handler is not None:
            self.handler.flush(seconds)


def _is_as(line: Line, wanted: object, like: Mapping[str, str]) -> bool:
    if isinstance(wanted, str) and wanted not in line.text:
        return False
    if not like:
        return True
    found = _words.pairs_of(line)
    return all(found.get(key) == value for key, value in like.items())


def _in_words(wanted: object, like: Mapping[str, str]) -> str:
    words = []
    if isinstance(wanted, str):
        words.append(f"with the text {wanted!r}")
    if like:
        words.append("with " + " ".join(f"{key}={value}" for key, value in like.items()))
    return " and ".join(words) or f"number {wanted}"
