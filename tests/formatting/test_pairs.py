"""The pairs of a line and their order: level, logger, extras."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers

import pytest

from logplex_handler import KeyValueFormatter, measure
from tests import strict
from tests.formatting.shared import Unprintable, failure, forgeries, line, pairs, record


def test_a_line_has_level_logger_and_message():
    """Without options and extras the line is these three pairs."""
    assert line("order shipped", name="shop.orders") == (
        'level=info logger=shop.orders msg="order shipped"'
    )


def test_the_pairs_stand_in_one_order():
    """Source, static, level, logger, message, extras, error, traceback; metrics among them."""
    formatter = KeyValueFormatter(source="us-east", static={"service": "shop", "version": 3})
    given = record("late", extra={"order_id": 42}, exc_info=failure(ValueError("no stock")))
    given.stack_info = "Stack (most recent call last):\n  f"
    found = strict.pairs(formatter.format(given))
    assert [key for key, _ in found] == [
        *["source", "service", "version", "level", "logger", "msg", "order_id"],
        *["error", "error_msg", "traceback", "stack"],
    ]


@pytest.mark.parametrize(
    ("level", "text"),
    [(10, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "critical")],
)
def test_the_level_is_in_lower_case(level, text):
    """As in Heroku's own lines."""
    assert strict.pairs(line(level=level))[0] == ("level", text)


@forgeries
def test_level_and_logger_names_cannot_add_a_pair(text):
    """They are values like all others."""
    given = record(name=text)
    given.levelname = text
    found = strict.pairs(KeyValueFormatter().format(given))
    assert found == [("level", text.lower()), ("logger", text), ("msg", "hello")]


def test_extras_stand_in_the_order_given():
    """The order of the mapping is that of the line."""
    extra = {"z": 1, "a": 2, "m": 3}
    assert pairs(extra=extra) == [("msg", "hello"), ("z", "1"), ("a", "2"), ("m", "3")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (0, "0"), ([1], "[1]"), ("", "")],
)
def test_extras_are_written_as_values(value, text):
    """None is `null`, bools are lower-case, all other values are their `str()`."""
    assert pairs(extra={"a": value})[1:] == [("a", text)]


def test_an_extra_with_the_key_of_the_message_stands_behind_it():
    """Nothing is replaced and nothing dropped."""
    assert pairs("order=%s", 1, extra={"order": 2}) == [("order", "1"), ("order", "2")]


@pytest.mark.parametrize("name", ["message", "asctime", "logplex_stream", "taskName"])
def test_what_formatters_and_streams_add_is_no_extra(name):
    """Another handler's formatter leaves these on the record."""
    given = record()
    setattr(given, name, "x")
    assert KeyValueFormatter().format(given) == "level=info logger=shop msg=hello"


def test_the_attributes_of_a_blank_record_are_no_extras():
    """Whatever attributes this Python's records have (`taskName` since 3.12)."""
    blank = logging.LogRecord("shop", 20, "", 0, "hello", (), None)
    assert KeyValueFormatter().format(blank) == "level=info logger=shop msg=hello"


def test_a_record_that_another_formatter_has_seen_is_the_same_line():
    """`message` and `asctime` that it left are not shown."""
    given = record("a %s", "b")
    before = KeyValueFormatter().format(given)
    logging.Formatter("%(asctime)s %(message)s").format(given)
    assert KeyValueFormatter().format(given) == before


def test_an_extra_whose_str_fails_costs_that_value_only():
    """The rest of the record is delivered."""
    found = pairs(extra={"bad": Unprintable(), "good": 1})
    assert found == [
        ("msg", "hello"),
        ("bad", "<unprintable Unprintable object>"),
        ("good", "1"),
    ]


@forgeries
def test_an_extra_cannot_add_a_pair_a_metric_or_a_line(text):
    """It is one value, the same when it is read back."""
    found = pairs(extra={"user": text})
    assert found == [("msg", "hello"), ("user", text)]


@forgeries
def test_the_key_of_an_extra_cannot_add_a_pair_a_metric_or_a_line(text):
    """It is one key, made of the characters that remain."""
    written = line(extra={text: "v"})
    found = strict.pairs(written)[2:]
    assert [value for _, value in found] == ["hello", "v"]
    assert strict.metrics(found) == []
    assert len(written.split("\n")) == 1


def test_an_extra_that_looks_like_a_metric_is_none():
    """Only `measure`, `sample` and `count` make metrics, whatever the text looks like."""
    assert pairs(extra={"count#x": "5"})[1:] == [("count_x", "5")]


def test_the_value_of_a_metric_under_another_key_is_no_metric():
    """Key and value must both be as the functions made them."""
    value = measure("x", 4, "ms")["measure#x"]
    assert pairs(extra={"count": value})[1:] == [("count", "4ms")]


def test_an_extra_that_changes_its_record_while_it_is_written_is_written():
    """The record is read before any of its values is written."""
    given = record("hello")

    class Changing:
        def __str__(self):
            given.another = 1
            return "changed"

    given.extra = Changing()
    assert ("extra", "changed") in strict.pairs(KeyValueFormatter().format(given))
