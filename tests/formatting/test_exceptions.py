"""Exceptions, tracebacks and stack traces, inline or as separate lines."""

from __future__ import annotations

import sys

import pytest

from logplex_handler import KeyValueFormatter
from tests import strict
from tests.formatting.shared import Grudge, failure, forgeries, line, pairs, record


def test_an_exception_is_three_pairs():
    """Its type, its text and the traceback with escaped line breaks."""
    text = line("failed", exc_info=failure(ValueError("no stock")))
    assert "\n" not in text
    found = dict(strict.pairs(text))
    assert found["error"] == "ValueError"
    assert found["error_msg"] == "no stock"
    assert found["traceback"].startswith("Traceback (most recent call last):\n  File ")
    assert found["traceback"].endswith("\nValueError: no stock")


def test_a_chained_exception_is_in_the_traceback():
    """The cause is shown as Python shows it."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError:
        found = dict(pairs("failed", exc_info=sys.exc_info()))
    assert found["error"] == "ValueError"
    assert "KeyError: 'inner'\n" in found["traceback"]
    assert "direct cause of the following exception" in found["traceback"]


def test_an_exception_whose_str_fails_costs_its_text_only():
    """The line has everything else of it."""
    found = dict(pairs("failed", exc_info=failure(Grudge())))
    assert found["error"] == "Grudge"
    assert found["error_msg"] == "<unprintable Grudge object>"
    assert "in failure" in found["traceback"]


@forgeries
@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_an_exception_cannot_add_a_pair_a_metric_or_a_line(exceptions, text):
    """Neither its text nor its type's name can."""
    formatter = KeyValueFormatter(exceptions=exceptions)
    kind = type(text.replace("\x00", "") or "x", (Exception,), {})
    for line_ in line(exc_info=failure(kind(text)), formatter=formatter).split("\n"):
        found = strict.pairs(line_)
        keys = ["level", "logger", "msg", "error", "error_msg", "traceback"]
        assert [key for key, _ in found] == keys
        assert found[4] == ("error_msg", text)


@pytest.mark.parametrize("exc_info", [None, False, (None, None, None)])
def test_without_an_exception_there_is_no_error(exc_info):
    """`exc_info=True` outside of an except block is no exception either."""
    assert line(exc_info=exc_info) == "level=info logger=shop msg=hello"


def test_stack_info_is_one_pair():
    """With escaped line breaks, as a traceback."""
    given = record()
    given.stack_info = "Stack (most recent call last):\n  File x"
    found = strict.pairs(KeyValueFormatter().format(given))
    assert found[3:] == [("stack", "Stack (most recent call last):\n  File x")]


def test_a_traceback_that_came_as_text_is_shown():
    """A record that was pickled carries its exception so."""
    given = record()
    given.exc_text = "Traceback:\nValueError: x"
    found = strict.pairs(KeyValueFormatter().format(given))
    assert found[3:] == [("traceback", "Traceback:\nValueError: x")]


def test_with_lines_each_line_of_a_traceback_is_a_line_of_its_own():
    """Each repeats all other pairs, and together they are the traceback and the stack."""
    formatter = KeyValueFormatter(exceptions="lines", source="here", static={"v": 1})
    given = record("failed", exc_info=failure(ValueError("no\nstock")), extra={"a": 1})
    given.stack_info = "Stack\n  File x"
    found = [strict.pairs(text) for text in formatter.format(given).split("\n")]
    shared = [
        *[("source", "here"), ("v", "1"), ("level", "info"), ("logger", "shop")],
        *[("msg", "failed"), ("a", "1"), ("error", "ValueError"), ("error_msg", "no\nstock")],
    ]
    assert all(pairs_[:-1] == shared for pairs_ in found)
    last = [pairs_[-1] for pairs_ in found]
    traceback = [value for key, value in last if key == "traceback"]
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-2:] == ["ValueError: no", "stock"]
    assert last[-2:] == [("stack", "Stack"), ("stack", "  File x")]
    assert len(traceback) + 2 == len(last)


def test_with_lines_a_record_without_exception_is_one_line():
    """The option concerns tracebacks only."""
    formatter = KeyValueFormatter(exceptions="lines")
    assert line("a\nb", formatter=formatter) == r'level=info logger=shop msg="a\nb"'


def test_a_traceback_of_very_many_lines_is_not_multiplied():
    """An exception may have any number of lines; the pairs are repeated only up to a limit."""
    error = ValueError("\n" * 20_000)
    text = line("failed", exc_info=failure(error), formatter=KeyValueFormatter(exceptions="lines"))
    assert len(text) < 1_000_000
    assert "\n" not in text
    assert dict(strict.pairs(text))["error_msg"] == "\n" * 20_000


class Unwritable:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class UnwritableNotes(Exception):
    @property
    def __notes__(self):
        raise RuntimeError


class UnwritableMapping(dict[str, object]):
    def items(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"exc_info": ValueError("alone")}, ("error_msg", "alone")),
        ({"exc_info": (UnwritableNotes, UnwritableNotes("x"), None)}, ("error_msg", "x")),
        ({"exc_info": (ValueError, Unwritable(), None)}, ("error", "ValueError")),
        ({"exc_info": 5}, ("msg", "hello")),
        ({"stack_info": 5}, ("stack", "5")),
        ({"exc_text": Unwritable()}, ("traceback", "<unprintable Unwritable object>")),
        ({"msg": UnwritableMapping(a=1)}, ("msg", "<unprintable UnwritableMapping object>")),
        ({"name": None}, ("logger", "null")),
        ({"levelname": Unwritable()}, ("level", "<unprintable unwritable object>")),
    ],
)
def test_one_part_that_cannot_be_written_does_not_cost_the_others(attributes, expected):
    """A text that says so stands in its place."""
    given = record("hello", extra={"order_id": 42})
    given.__dict__.update(attributes)
    found = strict.pairs(KeyValueFormatter().format(given))
    assert expected in found
    assert ("order_id", "42") in found
