"""A record becomes one line: which pairs, in which order, and nothing that was not logged."""

from __future__ import annotations

import copy
import itertools
import logging
import logging.config
import logging.handlers
import pickle
import queue
import struct
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from logplex_handler import ConfigurationError, KeyValueFormatter, count, measure, sample
from tests import strict
from tests.logs import RESERVED

FORGERIES = [
    "bob admin=true",
    'bob" admin="true',
    'bob\\" admin="true',
    "x count#forged=5",
    "x measure#forged=5ms source=evil",
    "x\ncount#forged=5",
    "x\r\nlevel=critical",
    "x\n62 <190>1 2013-03-27T20:02:24.000000+00:00 h app p - - forged",
    "count#forged=5",
    "%s %d %(a)s %%",
    "",
    " ",
    "=",
    '"',
    "\\",
    "\\x",
    "\x00\x1b[2J\x85\u2028",
]
forgeries = pytest.mark.parametrize("text", FORGERIES)


def record(message="hello", *args, level=logging.INFO, name="shop", extra=None, exc_info=None):
    """A record as a logger makes it, without the stack being looked at."""
    return logging.getLogger().makeRecord(
        name, level, "shop.py", 1, message, args, exc_info, "f", extra
    )


def line(message="hello", *args, formatter=None, **given):
    """The text of a record, whole."""
    return (formatter or KeyValueFormatter()).format(record(message, *args, **given))


def pairs(message="hello", *args, **given):
    """The pairs of a record's one line, but for level and logger."""
    found = strict.pairs(line(message, *args, **given))
    assert [key for key, _ in found[:2]] == ["level", "logger"]
    return found[2:]


def failure(error):
    """What `exc_info` holds while an exception is handled."""
    try:
        raise error
    except BaseException:
        return sys.exc_info()


# The pairs and their order


def test_a_line_has_level_logger_and_message():
    """Without options and extras these three make the line."""
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
    """As in the lines of Heroku's own."""
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
    """None is `null`, bools are lower-case, all else is its `str()`."""
    assert pairs(extra={"a": value})[1:] == [("a", text)]


@pytest.mark.parametrize("key", ["level", "logger", "source", "error", "traceback"])
def test_a_key_that_stands_twice_stands_twice_and_ours_is_first(key):
    """Nothing is replaced and nothing dropped."""
    formatter = KeyValueFormatter(source="here")
    text = line(formatter=formatter, extra={key: "mine"}, exc_info=failure(ValueError()))
    found = [value for name, value in strict.pairs(text) if name == key]
    assert len(found) == 2
    assert "mine" in found
    if key in ("level", "logger", "source"):
        assert found[1] == "mine"


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


class Unprintable:
    """Something whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


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
    """It is one key, of what is left of it."""
    written = line(extra={text: "v"})
    found = strict.pairs(written)[2:]
    assert [value for _, value in found] == ["hello", "v"]
    assert strict.metrics(found) == []
    assert len(written.split("\n")) == 1


def test_an_extra_that_looks_like_a_metric_is_none():
    """Only what `measure`, `sample` and `count` made is one, whatever the text looks like."""
    assert pairs(extra={"count#x": "5"})[1:] == [("count_x", "5")]


def test_the_value_of_a_metric_under_another_key_is_no_metric():
    """Both have to be as the functions made them."""
    value = measure("x", 4, "ms")["measure#x"]
    assert pairs(extra={"count": value})[1:] == [("count", "4ms")]


# Messages


@pytest.mark.parametrize(
    "message",
    [
        *["order shipped", "100%", "x = y", "a=1 and more", "=x", "a", "", "1=2", 'a="b'],
        *['a="b"c', 'a="\\x"', "see http://x/?a=b", "a=1\nb=2", "a=1\tb=2", "a b=c"],
    ],
)
def test_free_text_is_one_quoted_value(message):
    """What is not key=value throughout stands under `msg`."""
    assert pairs(message) == [("msg", message)]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("status=delivered", [("status", "delivered")]),
        ("status=delivered order=7", [("status", "delivered"), ("order", "7")]),
        ("a=1  b=2", [("a", "1"), ("b", "2")]),
        (" a=1 ", [("a", "1")]),
        ("a= b=2", [("a", ""), ("b", "2")]),
        ('msg="order shipped" id=1', [("msg", "order shipped"), ("id", "1")]),
        (r'a="b \"c\" d\\"', [("a", 'b "c" d\\')]),
        ("path=/x?a=b", [("path", "/x?a=b")]),
        ("a=C:\\temp", [("a", "C:\\temp")]),
        ("rate=100%", [("rate", "100%")]),
        ("at=info method=GET", [("at", "info"), ("method", "GET")]),
        ("@type=x app/web:1=y größe=3", [("@type", "x"), ("app/web:1", "y"), ("größe", "3")]),
        ("measure#web.latency=4ms", [("measure#web.latency", "4ms")]),
    ],
)
def test_a_message_that_is_key_value_stays_pairs(message, found):
    """It is not wrapped in `msg=`, and values that need quotes get them."""
    assert pairs(message) == found


@pytest.mark.parametrize(
    ("template", "args", "found"),
    [
        ("a=%s", ("b",), [("a", "b")]),
        ("a=%s b=%d", ("x y", 7), [("a", "x y"), ("b", "7")]),
        ("a=%s", (None,), [("a", "null")]),
        ("a=%s", (True,), [("a", "true")]),
        ("a=%s", ("",), [("a", "")]),
        ("a=%r", ("x y",), [("a", "'x y'")]),
        ("a=%.2f b=%05d c=%x", (1.005, 42, 255), [("a", "1.00"), ("b", "00042"), ("c", "ff")]),
        ("a=%s-%s b=%s", (1, "2 3", 4), [("a", "1-2 3"), ("b", "4")]),
        ("took=%dms", (4,), [("took", "4ms")]),
        ("a=%*d", (5, 42), [("a", "   42")]),
        ("a=%.*f", (2, 1.005), [("a", "1.00")]),
        ("a=%*.*f b=%s", (6, 2, 1.0, "x"), [("a", "  1.00"), ("b", "x")]),
        ("a=%d%% b=%s", (50, "x"), [("a", "50%"), ("b", "x")]),
        ("a=%-5sx", ("b",), [("a", "b    x")]),
        ('msg="hello %s" id=%s', ("bob x=1", 3), [("msg", "hello bob x=1"), ("id", "3")]),
        (r'msg="say \"%s\""', ('"',), [("msg", 'say """')]),
        ("a=b c=%s", (1,), [("a", "b"), ("c", "1")]),
        ("a=%ld", (3,), [("a", "3")]),
    ],
)
def test_arguments_by_position_become_values(template, args, found):
    """Each goes where its conversion stands, and cannot leave the value."""
    assert pairs(template, *args) == found


@pytest.mark.parametrize(
    ("template", "values", "found"),
    [
        ("a=%(x)s", {"x": "b c"}, [("a", "b c")]),
        ("a=%(x)s", {"x": None}, [("a", "null")]),
        ("a=%(x)s", {"x": False}, [("a", "false")]),
        ("a=%(x)d b=%(y)s", {"x": 1, "y": "2 3", "z": 4}, [("a", "1"), ("b", "2 3")]),
        ("a=%(x)s/%(x)s", {"x": "q r"}, [("a", "q r/q r")]),
        ("a=1 b=%(x).1f%%", {"x": 2.0}, [("a", "1"), ("b", "2.0%")]),
        ("a=%s", {"x": 1}, [("a", "{'x': 1}")]),
        ('msg="hi %(x)s"', {"x": "b c=d"}, [("msg", "hi b c=d")]),
    ],
)
def test_arguments_by_name_become_values(template, values, found):
    """A mapping as the one argument gives values by name."""
    assert pairs(template, values) == found


@forgeries
@pytest.mark.parametrize(
    "template", ["user=%s", "user=%s id=7", 'user="%s"', "id=7 user=%s", "count#real=1 user=%s"]
)
def test_an_argument_cannot_add_a_pair_a_metric_or_a_line(template, text):
    """It is (part of) one value, the same when it is read back."""
    written = line(template, text)
    found = strict.pairs(written)
    assert dict(found)["user"] == text
    assert len(found) == 2 + template.count("=")
    assert [metric.name for metric in strict.metrics(found)] == ["real"] * ("#" in template)


@forgeries
def test_an_argument_by_name_cannot_add_a_pair_either(text):
    """The same holds for mappings as arguments."""
    assert pairs("user=%(user)s id=7", {"user": text}) == [("user", text), ("id", "7")]


@forgeries
def test_an_argument_of_free_text_stays_in_it(text):
    """The whole message is one value."""
    assert pairs("hello %s!", text) == [("msg", f"hello {text}!")]


@forgeries
def test_an_argument_that_is_the_whole_message_is_free_text(text):
    """A template of `%s` alone has no pairs, whatever the argument looks like."""
    assert pairs("%s", text) == [("msg", text)]


@pytest.mark.parametrize(
    ("template", "args"),
    [
        ("%d", ("x",)),
        ("a=%d", ("x",)),
        ("a=%s", (1, 2)),
        ("a=%s b=%s", (1,)),
        ("hello %s %s", (1,)),
        ("hello", (1,)),
        ("a=1", (1,)),
        ("a=%(x)s", ({"y": 1},)),
        ("a=%(x)s", ("y",)),
        ("a=%y", (1,)),
        ("a=%", (1,)),
        ("a=%s b=%(x)s c=%s", ({"x": 1},)),
        ("a=%s", (Unprintable(),)),
        ("hello %s", (Unprintable(),)),
    ],
)
def test_arguments_that_do_not_fit_leave_the_template_and_a_log_error(template, args):
    """The record is delivered with what is wrong beside it."""
    found = pairs(template, *args)
    assert found[0] == ("msg", template)
    ((key, value),) = found[1:]
    assert key == "log_error"
    assert value.split(": ", 1)[0] in {
        *["TypeError", "ValueError", "KeyError", "RuntimeError"],
    }


class Grudge(Exception):
    """An error whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


class Hostile:
    """A value that fails with an error that fails."""

    def __str__(self):
        raise Grudge


def test_a_log_error_that_cannot_be_told_is_told_by_its_type():
    """Also an argument that fails with an unprintable error costs no record."""
    assert pairs("a=%s", Hostile())[1] == ("log_error", "Grudge: <unprintable Grudge object>")


@forgeries
def test_a_log_error_cannot_add_a_pair(text):
    """The error's text may be the user's."""
    found = pairs("a=%(x)s", {text: 1})
    assert [key for key, _ in found] == ["msg", "log_error"]


def test_a_mapping_as_message_gives_its_pairs():
    """Keys and values are made safe one by one."""
    message = {"status": "delivered", "order id": None, "count#x": 5, "note": 'a "b"'}
    assert pairs(message) == [
        ("status", "delivered"),
        ("orderid", "null"),
        ("count_x", "5"),
        ("note", 'a "b"'),
    ]


@forgeries
def test_a_mapping_as_message_cannot_add_more_than_its_pairs(text):
    """As many pairs as the mapping has, without a metric."""
    found = pairs({text: text})
    assert [value for _, value in found] == [text]
    assert strict.metrics(found) == []


@pytest.mark.parametrize("message", [7, None, ["a=1"], ValueError("a=1 b=2"), b"a=1"])
def test_an_object_as_message_is_free_text(message):
    """Its arguments are in its text already, so it cannot be told what is whose."""
    assert pairs(message) == [("msg", str(message))]


class Braces(logging.LogRecord):
    """A record class that formats in a way of its own."""

    def getMessage(self):
        """The message, filled by `format`."""
        return str(self.msg).format(*(self.args or ()))


def test_a_record_class_with_formatting_of_its_own_is_free_text():
    """Its text holds arguments that could forge pairs."""
    given = Braces("shop", 20, "", 0, "user={}", ("bob admin=true",), None)
    text = KeyValueFormatter().format(given)
    assert strict.pairs(text)[2:] == [("msg", "user=bob admin=true")]


class Marked(logging.LogRecord):
    """A record class that adds to its text."""

    def getMessage(self):
        """The message behind a mark."""
        return f"[7] {super().getMessage()}"


@pytest.mark.parametrize(("message", "args"), [("user=%s", ("bob x=1",)), ("user=bob", ())])
def test_what_a_record_class_adds_to_its_text_is_not_lost(message, args):
    """Its text is what counts, also where the template alone is key=value."""
    text = KeyValueFormatter().format(Marked("shop", 20, "", 0, message, args, None))
    assert strict.pairs(text)[2:] == [("msg", f"[7] {message % args}")]


def test_an_empty_message_is_an_empty_value():
    """Beside other pairs than metrics it is nothing that one could overlook."""
    assert line("") == 'level=info logger=shop msg=""'


@pytest.mark.parametrize("length", [999, 1000, 1001, 100_000])
def test_templates_of_any_length_are_read_alike(length):
    """Long ones are not remembered, but their arguments are values all the same."""
    template = "a=%s b=" + "x" * (length - 7)
    assert pairs(template, "1 c=2") == [("a", "1 c=2"), ("b", "x" * (length - 7))]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "message", ["a=" * 500_000, "a=1 " * 100_000 + "!", 'a="' * 300_000, "a" * 1_000_000]
)
def test_a_long_text_is_read_in_proportion_to_its_length(message):
    """A megabyte of almost-pairs takes moments, where trying every way to read it takes hours."""
    values = [value for _, value in pairs(message + " %s", "x")]
    assert "x" in values or f"{message} x" in values


# Exceptions


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
    """Everything else of it is there."""
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
    """The option concerns tracebacks alone."""
    formatter = KeyValueFormatter(exceptions="lines")
    assert line("a\nb", formatter=formatter) == r'level=info logger=shop msg="a\nb"'


# Metrics

LATENCY = measure("web.latency", 4, "ms")


def test_a_record_of_metrics_alone_is_the_line_of_the_documents():
    """Source and metrics, nothing else, static pairs included."""
    formatter = KeyValueFormatter(source="us-east", static={"service": "shop"})
    assert line("", extra=LATENCY, formatter=formatter) == (
        "source=us-east measure#web.latency=4ms"
    )


def test_without_a_source_metrics_stand_alone():
    """There is nothing to put before them."""
    extra = count("db.queries", 2) | count("db.snapshots", 10)
    assert line("", extra=extra) == "count#db.queries=2 count#db.snapshots=10"


@pytest.mark.parametrize(
    ("message", "args"), [("served", ()), ("a=%s", ("b",)), ({"a": "b"}, ()), ("%d", ("x",))]
)
def test_metrics_stand_beside_a_message(message, args):
    """The line is an ordinary one then, with the metrics as they are."""
    text = line(message, *args, extra=LATENCY)
    assert text.startswith("level=info logger=shop ")
    assert text.endswith(" measure#web.latency=4ms")


def test_metrics_stand_behind_the_extras():
    """With an empty message there is no `msg` pair."""
    extra = LATENCY | {"path": "/a b"}
    assert line("", extra=extra) == 'level=info logger=shop path="/a b" measure#web.latency=4ms'


def test_a_mapping_without_pairs_is_as_an_empty_message():
    """Beside metrics it leaves them alone."""
    assert line({}, extra=LATENCY) == "measure#web.latency=4ms"


@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_metrics_beside_an_exception_count_once(exceptions):
    """A line for each line of the traceback does not multiply them."""
    formatter = KeyValueFormatter(exceptions=exceptions, source="here")
    extra = count("errors") | LATENCY
    text = line("failed", exc_info=failure(ValueError("x")), extra=extra, formatter=formatter)
    lines = [strict.pairs(line_) for line_ in text.split("\n")]
    found = [metric for line_ in lines for metric in strict.metrics(line_)]
    assert [(metric.name, metric.value, metric.source) for metric in found] == [
        ("errors", 1, "here"),
        ("web.latency", 4, "here"),
    ]
    if exceptions == "lines":
        assert len(lines) > 1
        assert len(strict.metrics(lines[-1])) == 2


@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_metrics_and_an_exception_without_a_message_are_an_ordinary_line(exceptions):
    """The exception is not lost for the metrics."""
    formatter = KeyValueFormatter(exceptions=exceptions)
    given = failure(ValueError("x"))
    text = line("", exc_info=given, extra=LATENCY, formatter=formatter)
    assert text.startswith("level=info logger=shop error=ValueError error_msg=x ")


def test_metrics_beside_a_traceback_that_came_as_text_do_not_hide_it():
    """A record that was pickled has its exception as text alone."""
    given = record("", extra=LATENCY)
    given.exc_text = "Traceback:\nValueError: x"
    found = strict.pairs(KeyValueFormatter().format(given))
    assert ("traceback", "Traceback:\nValueError: x") in found
    assert ("measure#web.latency", "4ms") in found


def test_metrics_beside_stack_info_do_not_hide_it():
    """Stack info makes an ordinary line too."""
    given = record("", extra=LATENCY)
    given.stack_info = "Stack"
    assert line_keys(KeyValueFormatter().format(given)) == [
        *["level", "logger", "measure#web.latency", "stack"]
    ]


def line_keys(text):
    """The keys of a line."""
    return [key for key, _ in strict.pairs(text)]


@pytest.mark.parametrize("source", [None, "us-east", "s" * 200], ids=["none", "short", "long"])
@pytest.mark.parametrize("name", ["m", "é" * 95], ids=["short", "long"])
@pytest.mark.parametrize("number", [1, 10, 100, 1000])
def test_a_long_list_of_metrics_goes_on_in_lines_with_the_source(source, name, number):
    """Each line is at most 1,000 bytes, none is empty, and none of the metrics is cut."""
    extra: dict[str, str] = {}
    for index in range(number):
        extra |= sample(f"{name}{index}", index, "MB")
    lines = line("", extra=extra, formatter=KeyValueFormatter(source=source)).split("\n")
    found = [strict.metrics(strict.pairs(text)) for text in lines]
    assert all(found)
    assert [metric.name for metrics in found for metric in metrics] == [
        f"{name}{index}" for index in range(number)
    ]
    assert {metric.source for metrics in found for metric in metrics} == {source or ""}
    assert all(len(text.encode()) <= 1000 for text in lines)
    if number == 1:
        assert len(lines) == 1
    for text, following in itertools.pairwise(lines):
        first = strict.pairs(following)[1 if source else 0]
        assert len(f"{text} {first[0]}={first[1]}".encode()) > 1000


def test_the_largest_metric_has_a_line_of_its_own():
    """One metric with its source is written whole, however long it may be."""
    extra = measure("n" * 200, 1e308, "u" * 20) | sample("n" * 200, 1e308, "u" * 20)
    text = line("", extra=extra, formatter=KeyValueFormatter(source="s" * 200))
    lines = text.split("\n")
    assert len(lines) == 2
    assert [len(strict.metrics(strict.pairs(line_))) for line_ in lines] == [1, 1]
    assert max(len(line_.encode()) for line_ in lines) <= 1000


def through_a_queue(given):
    """The record as a QueueHandler puts it."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.handlers.QueueHandler(records).emit(given)
    return records.get_nowait()


def through_a_socket(given):
    """The record as a SocketHandler sends it."""
    data = logging.handlers.SocketHandler("localhost", 1).makePickle(given)
    (length,) = struct.unpack(">L", data[:4])
    assert length == len(data) - 4
    return logging.makeLogRecord(pickle.loads(data[4:]))


@pytest.mark.parametrize(
    "way",
    [
        *[copy.copy, copy.deepcopy, through_a_queue, through_a_socket],
        lambda given: pickle.loads(pickle.dumps(through_a_queue(given))),
    ],
    ids=["copy", "deepcopy", "queue", "socket", "process"],
)
@pytest.mark.parametrize("message", ["", "served"])
def test_metrics_survive_the_ways_of_a_record(way, message):
    """Copied, queued or pickled, a record makes the same line."""
    given = record(message, extra=LATENCY | {"path": "/"})
    before = KeyValueFormatter().format(given)
    assert "measure#web.latency=4ms" in before
    assert KeyValueFormatter().format(way(given)) == before


# Options


@pytest.mark.parametrize("fmt", ["%(message)s", "", "{message}"])
def test_a_fmt_is_an_error(fmt):
    """The line has a form of its own, and a format that is ignored would mislead."""
    with pytest.raises(ConfigurationError, match=r"^fmt: "):
        KeyValueFormatter(fmt)


def test_what_dict_config_passes_is_accepted():
    """The `class` form of dictConfig passes fmt, datefmt and style by position."""
    handler = {"class": "logging.NullHandler", "formatter": "kv", "level": "DEBUG"}
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "kv": {"class": "logplex_handler.KeyValueFormatter", "datefmt": "%H", "style": "{"},
        },
        "handlers": {"test_formatter": handler},
        "loggers": {"test_formatter.dict": {"handlers": ["test_formatter"]}},
    }
    logging.config.dictConfig(configuration)
    logger = logging.getLogger("test_formatter.dict")
    (made,) = logger.handlers
    logger.removeHandler(made)
    assert type(made.formatter) is KeyValueFormatter
    assert made.formatter.format(record()) == "level=info logger=shop msg=hello"


def test_the_factory_form_of_dict_config_takes_all_options():
    """`()` passes keywords."""
    configurator = logging.config.DictConfigurator({"version": 1})
    options = {"source": "here", "static": {"a": 1}, "message_key": "text", "exceptions": "lines"}
    made = configurator.configure_formatter({"()": "logplex_handler.KeyValueFormatter", **options})
    assert made.format(record()) == "source=here a=1 level=info logger=shop text=hello"


@pytest.mark.parametrize(
    "source",
    [*["a b", "a=b", 'a"b', "a\\b", "a\nb", "\x85", "s" * 201, "é" * 101, " "], 7, ["a"], b"a"],
)
def test_a_source_that_consumers_would_cut_is_an_error(source):
    """It stands on every line, unquoted."""
    with pytest.raises(ConfigurationError, match=r"^source: "):
        KeyValueFormatter(source=source)


@pytest.mark.parametrize("source", ["us-east", "web.1", "é" * 100, "s" * 200, "host:8000/x"])
def test_a_source_stands_first_on_every_line(source):
    """As given, unquoted."""
    assert line(formatter=KeyValueFormatter(source=source)).startswith(f"source={source} level=")


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_there_is_no_such_pair(source):
    """An empty one is none."""
    assert line(formatter=KeyValueFormatter(source=source)).startswith("level=")


def test_a_source_of_the_records_own_can_be_any_object():
    """Also one that is neither true nor false; none and an empty text are none."""

    class Undecided:
        def __bool__(self):
            raise ValueError

        def __str__(self):
            return "a b"

    assert line(extra={"logplex_source": Undecided()}).startswith('source="a b" level=')
    assert line(extra={"logplex_source": "eu"}).startswith("source=eu level=")
    assert line(extra={"logplex_source": None}).startswith("level=")
    assert line(extra={"logplex_source": ""}).startswith("level=")


@pytest.mark.parametrize("static", [[("a", 1)], "a=1", 7])
def test_static_pairs_must_be_a_mapping(static):
    """Anything else is an error that names the option."""
    with pytest.raises(ConfigurationError, match=r"^static: "):
        KeyValueFormatter(static=static)


@forgeries
def test_static_pairs_cannot_add_others(text):
    """They are made safe as extras are."""
    text_ = line(formatter=KeyValueFormatter(static={text: text}))
    found = strict.pairs(text_)
    assert [value for _, value in found] == [text, "info", "shop", "hello"]
    assert strict.metrics(found) == []


@pytest.mark.parametrize("key", ["", "a b", "a=b", 'a"', "a\n", "count#x", None, 7])
def test_a_message_key_that_is_none_is_an_error(key):
    """It must be a key as it stands."""
    with pytest.raises(ConfigurationError, match=r"^message_key: "):
        KeyValueFormatter(message_key=key)


@pytest.mark.parametrize("exceptions", ["", "both", None, True, ["lines"]])
def test_exceptions_must_be_inline_or_lines(exceptions):
    """Anything else is an error that names the option."""
    with pytest.raises(ConfigurationError, match=r"^exceptions: "):
        KeyValueFormatter(exceptions=exceptions)


# Whatever is logged

# Lone surrogates too: what becomes of them is decided in the packet.
WHOLE = st.text(max_size=60) | st.sampled_from(FORGERIES)
NAMES = WHOLE.filter(lambda name: name not in RESERVED)


@settings(max_examples=500)
@given(WHOLE, st.dictionaries(NAMES, WHOLE, max_size=4), st.sampled_from(["msg %s", "%s", "a=%s"]))
def test_whatever_is_logged_comes_back_and_nothing_else(text, extra, template):
    """Arguments and extras of any text are as many pairs, the same when they are read back."""
    written = line(template, text, extra=extra)
    found = strict.pairs(written)[2:]
    values = [f"msg {text}" if template == "msg %s" else text, *extra.values()]
    assert [value for _, value in found] == values
    assert strict.metrics(found) == []
    assert "\n" not in written


@settings(max_examples=500)
@given(WHOLE, st.lists(WHOLE, max_size=3), st.dictionaries(WHOLE, WHOLE, max_size=2))
def test_no_template_makes_a_line_unreadable(template, args, mapping):
    """Any text as a template, with any arguments, is one line of pairs."""
    for given_args in (args, [mapping]):
        text = line(template, *given_args, extra=LATENCY)
        assert "\n" not in text
        strict.pairs(text)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "user", "order.id"]),
            st.sampled_from(["%s", "%s-%s", "<%s>", '"%s"', '"to %s, %s"', "%%%s", "x"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(WHOLE, min_size=8, max_size=8),
)
def test_arguments_stay_in_the_values_where_they_stand(parts, texts):
    """Of any template of pairs each value is the template of it, filled."""
    arguments = iter(texts)
    used: list[str] = []
    values = []
    for _, value in parts:
        own = tuple(next(arguments) for _ in range(value.replace("%%", "").count("%s")))
        used += own
        values.append(value.strip('"') % own)
    assume(used)
    template = " ".join(f"{key}={value}" for key, value in parts)
    found = pairs(template, *used)
    expected = list(zip([key for key, _ in parts], values, strict=True))
    assert found == expected


@pytest.mark.parametrize("forgery", FORGERIES)
def test_behind_a_queue_handler_no_argument_adds_a_pair_either(forgery):
    """Its arguments are in the message by then, so the message is free text."""
    waiting = queue.SimpleQueue()
    given = record("user=%s", forgery, extra={"order_id": 42} | count("orders"))
    logging.handlers.QueueHandler(waiting).handle(given)
    found = strict.pairs(KeyValueFormatter().format(waiting.get()))
    assert found == [
        ("level", "info"),
        ("logger", "shop"),
        ("msg", f"user={forgery}"),
        ("order_id", "42"),
        ("count#orders", "1"),
    ]


def test_a_mapping_of_metrics_as_message_is_metrics():
    """`logger.info(measure(...))` says what it means."""
    assert line(measure("web.latency", 4, "ms")) == "measure#web.latency=4ms"
    assert strict.pairs(line({"path": "/"} | count("hits"))) == [
        ("level", "info"),
        ("logger", "shop"),
        ("path", "/"),
        ("count#hits", "1"),
    ]


@pytest.mark.parametrize("long", ["x" * 9_000, "x " * 5_000, "€" * 400])
def test_metrics_beside_a_long_text_stand_on_a_line_of_their_own(long):
    """A packet's end could cut them, and a number cut short is another number."""
    formatter = KeyValueFormatter(source="here")
    text = line("%s", long, extra=count("orders", 123456), formatter=formatter)
    record_line, metrics_line = text.split("\n")
    assert strict.metrics(strict.pairs(record_line)) == []
    assert metrics_line == "source=here count#orders=123456"


def test_a_traceback_of_very_many_lines_is_not_multiplied():
    """An exception's own text may have any number of lines; the pairs are repeated for some."""
    error = ValueError("\n" * 20_000)
    text = line("failed", exc_info=failure(error), formatter=KeyValueFormatter(exceptions="lines"))
    assert len(text) < 1_000_000
    assert "\n" not in text
    assert dict(strict.pairs(text))["error_msg"] == "\n" * 20_000


class Chameleon(str):
    """Says another thing whenever it is asked."""

    def __str__(self):
        return self

    def __format__(self, spec):
        return "x forged=1\nsecond"

    __slots__ = ()


def test_a_string_that_says_different_things_adds_nothing():
    """What counts is the text that it holds."""
    same = Chameleon("held")
    text = line("a=%s b=%s", same, 1, extra={"c": same, "d": [same]})
    assert strict.pairs(text)[2:] == [("a", "held"), ("b", "1"), ("c", "held"), ("d", "['held']")]


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
    """Something stands in its place."""
    given = record("hello", extra={"order_id": 42})
    given.__dict__.update(attributes)
    found = strict.pairs(KeyValueFormatter().format(given))
    assert expected in found
    assert ("order_id", "42") in found


def test_an_extra_that_changes_its_record_while_it_is_written_is_written():
    """Its record is read before anything of it is written."""
    given = record("hello")

    class Changing:
        def __str__(self):
            given.another = 1
            return "changed"

    given.extra = Changing()
    assert ("extra", "changed") in strict.pairs(KeyValueFormatter().format(given))
