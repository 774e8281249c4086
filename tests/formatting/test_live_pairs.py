"""Pairs whose values are read for each record, such as the current request's id."""

import contextvars
import logging
import logging.config
import threading
import uuid
from collections import Counter

import pytest

from logplex_handler import KeyValueFormatter, count
from logplex_handler._formatting.call_sites import _RECORDS_BEFORE_COMPILING
from logplex_handler._formatting.codec import Codec
from logplex_handler.testing import LogplexReceiver
from tests.formatting.call_sites import (
    DESTINATION,
    PACKET,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)
from tests.logs import balanced, logging_to

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id")
user: contextvars.ContextVar[object] = contextvars.ContextVar("user", default=None)


def in_context(function, **values):
    """Call the function where the variables have these values."""

    def run():
        for name, value in values.items():
            {"request_id": request_id, "user": user}[name].set(value)
        return function()

    return contextvars.copy_context().run(run)


def line(static, message="hello", *args, extra=None, **context):
    formatter = KeyValueFormatter(static=static)
    return in_context(lambda: formatter.format(make(message, args, extra)), **context)


def test_a_callable_is_asked_at_each_record():
    """Its pair is before the message, whatever the order of the mapping."""
    static = {"request_id": request_id.get, "team": "core"}
    assert (
        line(static, "hello", extra={"a": 1}, request_id="r1")
        == "team=core level=info logger=shop request_id=r1 msg=hello a=1"
    )


def test_a_variable_without_a_value_makes_no_pair():
    """Neither a variable without a default, nor one whose default is None."""
    static = {"request_id": request_id.get, "user": user.get}
    assert line(static) == "level=info logger=shop msg=hello"


def test_a_callable_that_fails_costs_its_own_value_only():
    """The value says so."""
    static = {"a": lambda: 1 / 0, "b": lambda: 2}
    expected = 'level=info logger=shop a="<failed: ZeroDivisionError>" b=2 msg=hello'
    assert line(static) == expected


def test_what_a_callable_returns_cannot_add_a_pair():
    """Its key cannot either."""
    static = {"request id=": request_id.get}
    text = line(static, request_id='1 admin=true\n"')
    assert text == r'level=info logger=shop requestid="1 admin=true\n\"" msg=hello'


def test_a_line_of_metrics_alone_has_none():
    """It has no static pairs of either kind."""
    static = {"request_id": request_id.get}
    assert line(static, "", extra=count("x"), request_id="r") == "count#x=1"


def test_lines_of_a_traceback_repeat_it():
    """A search for the request finds each of them."""
    formatter = KeyValueFormatter(static={"request_id": lambda: "r"}, exceptions="lines")
    record = make("hello")
    record.exc_text = "one\ntwo"
    assert all("request_id=r msg=hello" in one for one in formatter.format(record).splitlines())


def test_dict_config_resolves_what_it_names():
    """`ext://` in the mapping becomes the callable itself."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "keyvalue": {
                    "()": "logplex_handler.KeyValueFormatter",
                    "static": {"user": "ext://tests.formatting.test_live_pairs.user.get", "v": 1},
                }
            },
            "handlers": {"null": {"class": "logging.NullHandler", "formatter": "keyvalue"}},
            "loggers": {"test.live": {"handlers": ["null"]}},
        }
    )
    (handler,) = logging.getLogger("test.live").handlers
    text = in_context(lambda: handler.format(make("hello")), user="ann")
    assert text == "v=1 level=info logger=shop user=ann msg=hello"


VALUES = [None, "plain", "two words", 'a="b"', "ünïcode", 7, 1.5, True, uuid.UUID(int=5), ""]


@pytest.mark.parametrize("message", ["hello", "a=%s b=%s", "free text of %s and %s"])
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_compiled_call_site_writes_what_the_formatter_writes(message, value):
    """The worker renders the same text."""
    formatter = KeyValueFormatter(source="x", static={"id": user.get, "n": lambda: 3, "team": "a"})

    def run():
        args = ("1 2", 3) if "%" in message else ()
        record = make(message, args, {"order": 42})
        codec = codec_that_knows(record, formatter=formatter)
        entry, _ = codec.entry(record, formatter)
        assert is_compiled(entry)
        assert known_entry(codec, record, formatter) == entry
        expected = formatted(record, formatter)
        assert frames(codec, entry) == expected
        assert codec._rendered_slowly(PACKET, entry) == expected

    in_context(run, user=value)


def test_a_compiled_call_site_keeps_requests_apart():
    """If it is compiled in one request, the records of others do not name that request."""
    formatter = KeyValueFormatter(static={"user": user.get})
    record = make("hello")
    codec = in_context(lambda: codec_that_knows(record, formatter=formatter), user="ann")
    for value in ("bob", None, 7, "ann"):

        def run():
            entry, _ = codec.entry(record, formatter)
            assert frames(codec, entry) == formatted(record, formatter)

        in_context(run, user=value)


def test_each_thread_has_its_own():
    """The value is read in the thread that logs, not in a worker."""
    formatter = KeyValueFormatter(static={"user": user.get})
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=formatter) as (logger, handler),
    ):

        def work(name):
            user.set(name)
            for number in range(_RECORDS_BEFORE_COMPILING * 2):
                logger.info("of %s", name, extra={"number": number})

        threads = [threading.Thread(target=work, args=(f"user{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logger.info("outside")
        assert handler.flush()
        assert balanced(handler.stats())
        pairs = [dict(one.pairs) for one in logplex.lines]
    assert len(pairs) == 4 * _RECORDS_BEFORE_COMPILING * 2 + 1
    assert all(one["msg"] == f"of {one['user']}" for one in pairs[:-1])
    assert "user" not in pairs[-1]


def test_a_line_of_the_handler_itself_has_no_callable_pairs():
    """A callable may log, and its value is that of a request."""

    def ask():
        raise AssertionError("asked")

    formatter = KeyValueFormatter(static={"team": "shop", "request": ask})
    codec = Codec(PACKET, formatter, own_formatter=lambda: formatter)
    (frame,) = codec.drop_notice(Counter({"buffer_full": 17}), DESTINATION)
    assert b" - - team=shop level=warning logger=logplex_handler msg=" in frame
