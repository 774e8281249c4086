"""Records that are longer than the handler's memory are dropped before they are formatted."""

from __future__ import annotations

import logging

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import grammar
from logplex_handler.testing import LogplexReceiver
from tests.logs import balanced, logging_to

LIMIT = 100_000
LONG = "\x00" * (LIMIT + 1)


@pytest.mark.parametrize(
    ("message", "args", "extra"),
    [
        (LONG, (), {}),
        ("a=%s", (LONG,), {}),
        ("hello %s %d", (LONG, 1), {}),
        ({"a": LONG}, (), {}),
        ("hello", (), {"a": LONG}),
        ("hello %s", (LONG[: LIMIT // 2],), {"a": LONG[: LIMIT // 2 + 1]}),
    ],
)
@pytest.mark.parametrize("on_full", ["drop_oldest", "drop_newest", "block"])
def test_what_cannot_fit_is_not_escaped(message, args, extra, on_full, monkeypatch):
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
            logger.info(message, *args, extra=extra)
        logger.info("behind")
        assert handler.flush(5)
        stats = handler.stats()
        assert balanced(stats)
        assert dict(stats.dropped) == {"buffer_full": 60}
        texts = [line.pairs[-1][1] for line in receiver.lines if "dropped" not in line.text]
        assert texts == ["before", "behind"]
    assert max(escaped) < LIMIT // 2


@pytest.mark.parametrize(
    ("formatter", "message", "args", "extra"),
    [
        (KeyValueFormatter(), "hello %.5s", (LONG,), {}),
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
        assert handler.flush(5)
        assert handler.stats().delivered == 1
        assert "hello" in receiver.lines[0].text
