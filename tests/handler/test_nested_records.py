"""Records that are logged while another record is being formatted: every call returns, soon."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to

FORMATTER = KeyValueFormatter()


class LoggingError(Exception):
    """An exception whose text logs it."""

    def __init__(self, logger, times):
        super().__init__("x")
        self.logger = logger
        self.times = times
        self.calls = 0

    def __str__(self):
        self.calls += 1
        for _ in range(self.times):
            self.logger.debug("text of an error", exc_info=self)
        return "an error"


class LoggingValue:
    """A value whose text logs it, by a call that `log` makes."""

    def __init__(self, log, times):
        self.log = log
        self.times = times
        self.calls = 0

    def __str__(self):
        self.calls += 1
        for _ in range(self.times):
            self.log(self)
        return "a value"


class LoggingMapping(Mapping[str, object]):
    """A mapping as message whose items cannot be had without logging it."""

    def __init__(self, logger, times):
        self.logger = logger
        self.times = times
        self.calls = 0

    def __iter__(self):
        self.calls += 1
        for _ in range(self.times):
            self.logger.info(self)
        return iter(("a",))

    def __len__(self):
        return 1

    def __getitem__(self, key):
        return 1


def value(logger, log, times):
    return LoggingValue(lambda one: log(logger, one), times)


CALLS = {
    "an argument": lambda logger, one: logger.info("text %s", one),
    "an argument of a pair": lambda logger, one: logger.info("a=1 b=%s", one),
    "a message": lambda logger, one: logger.info(one),
    "an extra": lambda logger, one: logger.info("hello", extra={"a": one}),
    "a mapping": lambda logger, one: logger.info({"a": one}),
    "a source": lambda logger, one: logger.info("hello", extra={"logplex_source": one}),
}
times = pytest.mark.parametrize("times", [1, 2, 3])


def calls_of_stream_handler(log, one):
    """How often the standard library asks for the text."""
    handler = logging.StreamHandler(io.StringIO())
    logger = logging.getLogger("nested.stdlib")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.handlers = [handler]
    try:
        log(logger, one)
    except RecursionError:
        pass
    finally:
        logger.handlers = []
    return one.calls


def check(receiver, handler, one, most):
    """The call returned after few others, and every record is counted."""
    assert 0 < one.calls <= most
    assert handler.flush(100)
    stats = handler.stats()
    assert balanced(stats)
    assert set(stats.dropped) <= {"format_error"}
    assert stats.delivered > 0
    assert stats.accepted == stats.delivered + stats.dropped.get("format_error", 0)
    assert len(receiver.lines) >= stats.delivered


@pytest.mark.parametrize("kind", CALLS)
@times
def test_a_value_whose_text_logs_it(kind, times):
    """The record that names it is delivered; what is logged too deeply is dropped and counted."""
    log = CALLS[kind]
    stdlib = logging.getLogger("nested.stdlib")
    most = calls_of_stream_handler(CALLS["an argument"], value(stdlib, CALLS["an argument"], times))
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=FORMATTER) as (logger, handler),
    ):
        for _ in range(60):
            # The last ones are those of a compiled call site.
            one = value(logger, log, times)
            log(logger, one)
            assert one.calls <= most
        check(receiver, handler, one, most)


@pytest.mark.parametrize("formatter", [FORMATTER, logging.Formatter("%(message)s")])
@times
def test_an_exception_whose_text_logs_it(formatter, times):
    """`traceback` goes on after an error in it, so the standard library may take for ever."""
    stdlib = logging.getLogger("nested.stdlib")
    once = LoggingError(stdlib, 1)
    most = calls_of_stream_handler(lambda logger, one: logger.error("x", exc_info=one), once)
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=formatter) as (logger, handler),
    ):
        one = LoggingError(logger, times)
        logger.error("failed", exc_info=one)
        check(receiver, handler, one, most)
        assert any("failed" in line.text for line in receiver.lines)


@times
def test_a_mapping_whose_items_log_it(times):
    """As message."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=FORMATTER) as (logger, handler),
    ):
        one = LoggingMapping(logger, times)
        logger.info(one)
        check(receiver, handler, one, 76)


@times
def test_a_callable_pair_that_logs(times):
    """It is asked for every record, also those of compiled call sites."""

    class Asked:
        calls = 0

    def ask():
        Asked.calls += 1
        for _ in range(times):
            logger.info("asked %d", 1)
        return "id"

    formatter = KeyValueFormatter(static={"request": ask})
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=formatter) as (logger, handler),
    ):
        for _ in range(60):
            Asked.calls = 0
            logger.info("hello %s", "x")
            assert Asked.calls <= 76
        check(receiver, handler, Asked, 76)


@times
def test_a_formatter_that_logs(times):
    """One of the application, which logs whatever it formats."""

    class Verbose(logging.Formatter):
        calls = 0

        def format(self, record):
            Verbose.calls += 1
            for _ in range(times):
                logger.info("formatting")
            return super().format(record)

    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=Verbose()) as (logger, handler),
    ):
        logger.info("hello")
        check(receiver, handler, Verbose, 76)


def test_a_text_that_logs_something_else_loses_nothing():
    """As an object does that reads from a database when it is printed."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=FORMATTER) as (logger, handler),
    ):
        order = LoggingValue(lambda _: logger.debug("SELECT %s", 1), 3)
        for _ in range(60):
            logger.info("order %s", order)
        assert handler.flush(100)
        assert handler.stats().dropped == {}
        assert handler.stats().delivered == 60 + 3 * order.calls == len(receiver.lines)


@pytest.mark.parametrize("error", [RecursionError, MemoryError, ValueError])
def test_an_error_of_a_text_costs_only_the_text(error):
    """Whatever kind of error it is, the caller never sees it."""

    class Failing:
        def __str__(self):
            raise error("no")

    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=FORMATTER) as (logger, handler),
    ):
        logger.info("hello", extra={"a": Failing()})
        assert handler.flush(100)
        assert receiver.lines[0].pairs[-1] == ("a", "<unprintable Failing object>")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_reaches_the_caller(error):
    """As with any handler; the next record is formatted as always."""

    class Interrupted:
        def __str__(self):
            raise error

    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=FORMATTER) as (logger, handler),
    ):
        for _ in range(3):
            with pytest.raises(error):
                logger.info("hello", extra={"a": Interrupted()})
        logger.info("bye")
        assert handler.flush(100)
        assert receiver.lines[-1].pairs[-1] == ("msg", "bye")


@pytest.mark.parametrize("formatter", [FORMATTER, logging.Formatter("%(message)s")])
def test_a_program_that_runs_out_of_stack_loses_nothing_else(formatter):
    """Wherever the stack ends, the handler goes on, and its counts are right."""

    def deeper(depth):
        logger.info("hello %s", depth)
        deeper(depth + 1)

    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=formatter) as (logger, handler),
    ):
        for _ in range(3):
            with pytest.raises(RecursionError):
                deeper(0)
        logger.info("bye")
        assert handler.flush(100)
        stats = handler.stats()
        assert balanced(stats)
        assert stats.delivered + stats.dropped.get("format_error", 0) == stats.accepted
        # A drop notice may follow it.
        assert any("bye" in line.text for line in receiver.lines[-3:])


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_greenlet_that_stops_in_a_text_costs_no_other_record(is_compiled):
    """As one of SQLAlchemy's asyncio extension does to read an attribute from the database."""
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()

    class Switching:
        def __str__(self):
            main.switch()
            return "a value"

    with LogplexReceiver() as logplex, logging_to(logplex.url) as (logger, handler):
        template = "text %s" if is_compiled else "text %(a)s"
        for _ in range(60 * is_compiled):
            logger.info(template, [1])
        for _ in range(3):
            greenlets = [greenlet.greenlet(logger.info) for _ in range(4)]
            for one in greenlets:
                value = Switching()
                one.switch(template, value if is_compiled else {"a": value})
            logger.info("number %s", [1])
            for one in greenlets:
                one.switch()
        assert handler.flush()
        assert not handler.stats().dropped
    assert len(logplex.lines) == 60 * is_compiled + 15
