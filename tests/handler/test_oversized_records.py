"""Records that are longer than the handler's memory are dropped before they are formatted."""

from __future__ import annotations

import itertools
import logging

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import grammar, record_parts
from logplex_handler._wire.entry import weight
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to

# So much that no part of it is short enough for a compiled call site.
LIMIT = 500_000
LONG = "\x00" * (LIMIT + 1)


@pytest.mark.parametrize(
    ("message", "args", "options"),
    [
        (LONG, (), {}),
        ("a=%s", (LONG,), {}),
        ("hello %s %d", (LONG, 1), {}),
        ({"a": LONG}, (), {}),
        ("hello", (), {"extra": {"a": LONG}}),
        ("hello %s", (LONG[: LIMIT // 2],), {"extra": {"a": LONG[: LIMIT // 2 + 1]}}),
        # Too long once they are escaped, or as bytes.
        ("hello %s", (LONG[: LIMIT // 6 + 1],), {}),
        (LONG[: LIMIT // 6 + 1], (), {}),
        ("hello", (), {"extra": {"a": '"' * (LIMIT // 2 + 1)}}),
        ("hello", (), {"extra": {"a": "\x85" * (LIMIT // 6 + 1)}}),
        ({"a": "é" * (LIMIT // 4 + 1)}, (), {}),
        ("hello %.90000s", (LONG,), {}),
        ("hello", (), {"exc_info": ValueError(LONG[: LIMIT // 6 + 1])}),
        (ValueError(LONG), (), {}),
        ("a=%(b)s", ({"b": LONG},), {}),
        ("hello", (), {"extra": {"a": type("Text", (str,), {})(LONG)}}),
        ("hello", (), {"extra": {"a": [LONG], "b": 1}}),
        ("hello", (), {"extra": {"a": {"b": LONG}}}),
        ("hello", (), {"extra": {"a": LONG.encode()}}),
    ],
)
@pytest.mark.parametrize("on_full", ["drop_oldest", "block"])
def test_what_cannot_fit_is_not_escaped(message, args, options, on_full, monkeypatch):
    """It is counted as always, and costs no other record."""
    escaped = []
    escape = grammar.escape
    monkeypatch.setattr(grammar, "escape", lambda text: escaped.append(len(text)) or escape(text))
    with (
        LogplexReceiver() as receiver,
        logging_to(
            receiver.url, formatter=KeyValueFormatter(), max_buffer_bytes=LIMIT, on_full=on_full
        ) as (logger, handler),
    ):
        logger.info("before")
        for _ in range(60):
            logger.info(message, *args, **options)
        logger.info("behind")
        assert handler.flush(100)
        stats = handler.stats()
        assert balanced(stats)
        assert dict(stats.dropped) == {"buffer_full": 60}
        texts = [line.pairs[-1][1] for line in receiver.lines if "dropped" not in line.text]
        assert texts == ["before", "behind"]
    assert max(escaped) < 1000


class Masked(str):
    def __str__(self):
        return "***"


class Short(str):
    def __repr__(self):
        return "..."


@pytest.mark.parametrize(
    "text",
    ["a", "\x00", '"', "\\", "\n", "\x85", "é", "🎉", "\ud800", "a \x1b\x85é", '=" \\n', "\x9f"],
)
def test_what_fits_is_never_taken_for_what_does_not(text):
    """Whatever becomes of its texts."""
    long = 50 * text
    errors = [None, ValueError(long), KeyError(long), ValueError(long, 1)]
    messages = [
        ("%s", (long,)),
        ("a=%s b=%.3s", (long, long)),
        ("%.30s %.20s", (long, long)),
        ("%.*s %s", (3, long, 1)),
        (long, ()),
        (f'a="{long}"', ()),
        ({"a": long}, ()),
        ({"a": [long, {"b": long}]}, ()),
        (ValueError(long), ()),
        ("%(a)s b=%(a)s", ({"a": long, "b": long},)),
        ("%(a).3s", ({"a": long},)),
        ("%s %.3s", ([long, long], {long: (long, long)})),
        ("%s", (long.encode("utf-8", "surrogatepass"),)),
        ("%r", (Short(long),)),
        ("a=%s", (Masked(long),)),
        ("", ()),
    ]
    for (message, args), error in itertools.product(messages, errors):
        exc_info = error and (type(error), error, None)
        record = logging.LogRecord("app", logging.INFO, "", 0, message, args, exc_info)
        record.__dict__.update(extra=long, omitted=long)
        line = KeyValueFormatter(omit=["omitted"]).format(record)
        omitted = record_parts.NOT_EXTRAS | {"omitted"}
        assert record_parts.fits(record, omitted, weight((1, line)))
    assert grammar.escaped_length(long) == len(grammar.escape(long))


def test_a_text_of_another_formatter_that_cannot_fit_costs_no_other_record():
    """Though it is known only once it is formatted."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, max_buffer_bytes=LIMIT) as (logger, handler),
    ):
        logger.info("before")
        logger.info("%s", LONG)
        assert handler.flush(100)
        assert dict(handler.stats().dropped) == {"buffer_full": 1}
        assert receiver.lines[-1].text == "before"


@pytest.mark.parametrize(
    ("formatter", "message", "args", "extra"),
    [
        (KeyValueFormatter(), "hello %.5s", (LONG,), {}),
        (KeyValueFormatter(), "hello %.*s", (5, LONG), {}),
        (KeyValueFormatter(omit=["data"]), "hello", (), {"data": LONG}),
        (logging.Formatter("hello %(name)s"), LONG, (), {}),
    ],
)
def test_a_long_text_that_is_not_written_costs_nothing(formatter, message, args, extra):
    """Its line is short."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=formatter, max_buffer_bytes=LIMIT) as (logger, handler),
    ):
        logger.info(message, *args, extra=extra)
        assert handler.flush(100)
        assert handler.stats().delivered == 1
        assert "hello" in receiver.lines[0].text
