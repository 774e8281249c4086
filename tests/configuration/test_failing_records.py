"""Formatters that fail, and records that cannot become a packet."""

from __future__ import annotations

import contextlib
import logging

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._process.reentrancy import Activity, performing
from tests.configuration.shared import HUGE, URL, Broken, packet, record, texts
from tests.logs import logging_to_receiver

BROKEN = {
    "a formatter that raises": ({}, Broken(ZeroDivisionError("oops"))),
    "a formatter that recurses": ({}, Broken(RecursionError())),
    "a formatter that returns None": ({}, Broken(None)),
    "a formatter that returns bytes": ({}, Broken(b"hello")),
    "a formatter that returns an object": ({}, Broken(object())),
    "created is NaN": ({"created": float("nan")}, None),
    "created is a string": ({"created": "now"}, None),
    "created is None": ({"created": None}, None),
    "created is complex": ({"created": 1j}, None),
    "levelno is a string": ({"levelno": "INFO"}, None),
    "levelno is None": ({"levelno": None}, None),
}


@pytest.mark.parametrize(("attributes", "formatter"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("raise_exceptions", [True, False])
def test_what_cannot_be_formatted_is_counted(
    logplex, make, monkeypatch, capsys, attributes, formatter, raise_exceptions
):
    """No error reaches the caller; the drop is reported, with raiseExceptions its traceback too."""
    monkeypatch.setattr(logging, "raiseExceptions", raise_exceptions)
    handler = make(logplex.url)
    handler.setFormatter(formatter)
    assert handler.handle(record(**attributes))
    handler.setFormatter(None)
    handler.handle(record("good"))
    assert handler.flush()
    stats = handler.stats()
    assert (stats.accepted, stats.delivered) == (2, 1)
    assert dict(stats.dropped) == {"format_error": 1}
    assert "level=info logger=shop msg=good" in texts(logplex)
    (notice,) = [line for line in logplex.lines if "logger=logplex_handler" in line.text]
    assert dict(notice.pairs)["count#logplex_handler.dropped"] == "1"
    assert not logplex.violations
    errors = capsys.readouterr().err
    assert ("--- Logging error ---" in errors) == raise_exceptions
    assert "logplex_handler: 1 record dropped (format_error 1)\n" in errors


@pytest.mark.parametrize(
    "attributes",
    [
        {"created": 0.0},
        {"created": 1},
        {"created": 253_402_300_799.0},
        {"levelno": 10**30},
        {"levelno": -5},
        {"levelname": None},
        {"name": None},
        {"msg": None},
        {"args": "abc"},
        {"exc_info": True},
        {"exc_info": (None, None, None)},
        {"exc_text": "already formatted"},
        {"msecs": "x", "thread": "x", "process": None, "lineno": "x"},
    ],
    ids=repr,
)
def test_other_odd_attributes_cost_no_record(logplex, make, attributes):
    """A record is delivered as long as a packet can be made of it."""
    handler = make(logplex.url)
    assert packet(handler, logplex, record(**attributes)).text.startswith("level=")
    assert not handler.stats().dropped


@pytest.mark.parametrize("created", ["2026-11-29T17:00:00Z", None, 1j, [1], float("nan")], ids=repr)
def test_a_time_that_is_no_number_costs_one_record(logplex, make, created):
    """Also among records whose call site is compiled, which arrive."""
    handler = make(logplex.url)
    for _ in range(60):
        handler.handle(record("order %s", args=(1,)))
    assert handler.flush()
    handler.handle(record("order %s", args=(2,), created=created))
    assert handler.stats().accepted == 61
    handler.handle(record("order %s", args=(3,)))
    assert handler.flush()
    stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.lag) == (62, 61, 0.0)
    assert dict(stats.dropped) == {"format_error": 1}
    assert 'level=info logger=shop msg="order 3"' in texts(logplex)


@pytest.mark.parametrize("plain", [False, True], ids=["by shape", "by a formatter"])
@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (-1.0, "1970-01-01T00:00:00.000000+00:00"),
        (float("-inf"), "1970-01-01T00:00:00.000000+00:00"),
        (253_402_300_799.75, "9999-12-31T23:59:59.000000+00:00"),
        (1e300, "9999-12-31T23:59:59.000000+00:00"),
        (float("inf"), "9999-12-31T23:59:59.000000+00:00"),
        (HUGE, "9999-12-31T23:59:59.000000+00:00"),
    ],
)
def test_a_clock_that_is_off_costs_no_record(logplex, make, created, shown, plain):
    """The time is the nearest one that a packet can name, and that of others is their own."""
    handler = make(logplex.url)
    handler.setFormatter(logging.Formatter("%(message)s") if plain else None)
    for time in (1e9, created, 1e9 + 1):
        handler.handle(record(created=time))
    assert handler.flush()
    assert [line.packet.timestamp for line in logplex.lines] == [
        "2001-09-09T01:46:40.000000+00:00",
        shown,
        "2001-09-09T01:46:41.000000+00:00",
    ]
    assert not handler.stats().dropped
    assert not logplex.violations


def test_an_interrupt_in_a_formatter_is_not_swallowed(make):
    """Control-C ends the program wherever it strikes."""

    class Interrupted(logging.Formatter):
        def format(self, record):
            raise KeyboardInterrupt

    handler = make(URL, shutdown_timeout=0)
    handler.setFormatter(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        handler.handle(record())


class Proxy:
    """Stands for an object, as the local proxies of Flask and Django; here for one that is gone."""

    @property  # type: ignore[misc]  # as the proxies do it
    def __class__(self):
        raise RuntimeError("working outside of request context")

    def __str__(self):
        raise RuntimeError("working outside of request context")


@pytest.mark.parametrize(
    "log",
    [
        lambda logger, user: logger.info("extra", extra={"user": user}),
        lambda logger, user: logger.info("user=%s n=%d", user, 1),
        lambda logger, user: logger.info("user=%(user)s", {"user": user}),
        lambda logger, user: logger.info({"user": user}),
    ],
    ids=["extra", "argument", "named argument", "mapping"],
)
def test_a_value_whose_class_cannot_be_asked_for_is_unprintable(log):
    with logging_to_receiver() as (logplex, logger, handler):
        handler.setFormatter(KeyValueFormatter())
        log(logger, Proxy())
        assert handler.flush(100)
        assert not handler.stats().dropped
    assert dict(logplex.lines[0].pairs)["user"] == "<unprintable Proxy object>"


class Unreadable(logging.LogRecord):
    def __getattribute__(self, name):
        if name in ("args", "msg", "name"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


def malformed():
    """Records that lack something, as a queue or a socket may bring them."""
    yield logging.LogRecord.__new__(logging.LogRecord)
    yield Unreadable("shop", 20, "path", 1, "text", (), None)
    yield logging.makeLogRecord({"logplex_stream": {}})
    yield logging.makeLogRecord({5: "x", (): 1, None: 2})
    yield logging.makeLogRecord({"name": None})
    for name in vars(record()):
        one = record()
        del one.__dict__[name]
        yield one
    yield object()


@pytest.mark.parametrize("activity", [None, Activity.REQUEST, Activity.CALLBACK])
@pytest.mark.parametrize("formatter", [None, logging.Formatter()])
@pytest.mark.parametrize("streams", [None, {}])
def test_a_record_that_lacks_an_attribute_is_counted(make, capsys, activity, formatter, streams):
    """Whoever logs it, and however it is formatted."""
    handler = make(URL, streams=streams, flush_interval=60, shutdown_timeout=0)
    handler.setFormatter(formatter)
    for number, one in enumerate(malformed(), start=1):
        with performing(activity) if activity is not None else contextlib.nullcontext():
            assert handler.handle(one)
        assert handler.stats().accepted == number, vars(one)
    assert "internal error" not in capsys.readouterr().err


def test_a_record_that_is_logged_near_the_limit_of_recursion_is_counted_or_raises(make):
    """At the limit itself, `logging` raises a RecursionError before and after the handler."""
    handler = make(URL, flush_interval=60, shutdown_timeout=0)
    logger = logging.getLogger("test.deep")
    logger.propagate = False
    logger.addHandler(handler)
    text = type("Text", (), {"__str__": lambda _: "text"})()
    for _ in range(60):
        logger.warning("deep %s", text)

    def depth():
        try:
            return depth() + 1
        except RecursionError:
            return 1

    def dive(further):
        if further:
            return dive(further - 1)
        try:
            logger.warning("deep %s", text)
        except RecursionError:
            return 0
        return 1

    deepest = depth()
    returned = handler.stats().accepted
    for further in range(deepest - 150, deepest):
        with contextlib.suppress(RecursionError):
            returned += dive(further)
        assert handler.stats().accepted >= returned
    assert returned > 60


@pytest.mark.parametrize(
    ("formatter", "text"), [(Broken(ValueError()), "%s"), (None, f"%s {'x' * 20_000}")]
)
def test_a_callback_that_logs_what_cannot_be_sent_is_not_called_about_it(
    logplex, make, monkeypatch, formatter, text
):
    """It would log again, without end."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = logging.getLogger("test.callback")
    logger.setLevel("INFO")
    calls = []

    def on_drop(number, cause):
        calls.append((number, cause))
        logger.info(text, number)

    handler = make(logplex.url, on_drop=on_drop, max_buffer_bytes=10_000, flush_interval=0)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.info(text, 1)
    assert handler.flush()
    cause = "format_error" if formatter else "buffer_full"
    assert calls == [(1, cause)]
    assert dict(handler.stats().dropped) == {cause: 2}
