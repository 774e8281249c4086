"""How a message becomes pairs: free text, templates with arguments, mappings."""

from __future__ import annotations

import json
import logging
import logging.config
import logging.handlers
from collections import UserDict
from decimal import Decimal
from pathlib import Path

import pytest

from logplex_handler import KeyValueFormatter, measure
from tests import strict
from tests.formatting.call_sites import FORMATTER, codec_that_knows, is_compiled, make
from tests.formatting.shared import Grudge, Unprintable, forgeries, line, pairs


@pytest.mark.parametrize(
    "message",
    [
        *["order shipped", "100%", "x = y", "a=1 and more", "=x", "a", "", "1=2", 'a="b'],
        *["aGVsbG8=", "aGVsbG8gd28==", "x==1", "http://example.com/a=b", "@type=x", "a/b=c d=e"],
        *["k" * 101 + "=x", "5=x", "a:b=c"],
        *['a="b"c', 'a="\\x"', "see http://x/?a=b", "a=1\nb=2", "a=1\tb=2", "a b=c"],
    ],
)
def test_free_text_is_one_quoted_value(message):
    """A message that is not key=value throughout is the value of `msg`."""
    assert pairs(message) == [("msg", message)]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("status=delivered", [("status", "delivered")]),
        ("status=delivered order=7", [("status", "delivered"), ("order", "7")]),
        ("a=1  b=2", [("a", "1"), ("b", "2")]),
        (" a=1 ", [("a", "1")]),
        ("a= b=2", [("a", ""), ("b", "2")]),
        ("a='b' c='", [("a", "'b'"), ("c", "'")]),
        ('msg="order shipped" id=1', [("msg", "order shipped"), ("id", "1")]),
        (r'a="b \"c\" d\\"', [("a", 'b "c" d\\')]),
        ("path=/x?a=b", [("path", "/x?a=b")]),
        ("a=C:\\temp", [("a", "C:\\temp")]),
        ("rate=100%", [("rate", "100%")]),
        ("at=info method=GET", [("at", "info"), ("method", "GET")]),
        ("_type=x web.1-a=y größe=3", [("_type", "x"), ("web.1-a", "y"), ("größe", "3")]),
        ("a=", [("msg", "a=")]),
        ('a=""', [("msg", 'a=""')]),
        ('a="" b=1', [("a", ""), ("b", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("measure#web.latency=4ms", [("measure#web.latency", "4ms")]),
    ],
)
def test_a_message_that_is_key_value_stays_pairs(message, found):
    """It is not wrapped in `msg=`, and values are quoted if necessary."""
    assert pairs(message) == found


@pytest.mark.parametrize(
    ("template", "args", "found"),
    [
        ("a=%s", ("b",), [("a", "b")]),
        ("a=%s b=%d", ("x y", 7), [("a", "x y"), ("b", "7")]),
        ("a=%s", (None,), [("a", "null")]),
        ("a=%s", (True,), [("a", "true")]),
        ("a=%s", ("",), [("a", "")]),
        ("a=%s", ("=",), [("a", "=")]),
        ("http://x/a=%s", ("b",), [("msg", "http://x/a=b")]),
        ("a=%%", (), [("a", "%%")]),
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
    """Each is in the value of its conversion, and cannot leave it."""
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
        ("a=%s", {"x": 1}, [("a", '{"x":1}')]),
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
    """It is one value or part of it, and is the same when it is read back."""
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
        ("a=<%s>", (Unprintable(),)),
        ("hello %s", (Unprintable(),)),
    ],
)
def test_arguments_that_do_not_fit_leave_the_template_and_a_log_error(template, args):
    """The record is delivered, and `log_error` has the reason."""
    found = pairs(template, *args)
    assert found[0] == ("msg", template)
    ((key, value),) = found[1:]
    assert key == "log_error"
    assert value.split(": ", 1)[0] in {
        *["TypeError", "ValueError", "KeyError", "RuntimeError"],
    }


class Hostile:
    """A value that fails with an error that fails."""

    def __str__(self):
        raise Grudge


def test_a_log_error_that_cannot_be_told_is_told_by_its_type():
    """An argument that fails with an unprintable error does not cost the record."""
    assert pairs("hello %s", Hostile())[1] == ("log_error", "Grudge: <unprintable Grudge object>")


@forgeries
def test_a_log_error_cannot_add_a_pair(text):
    """The error's text may come from a user."""
    found = pairs("a=%(x)s", {text: 1})
    assert [key for key, _ in found] == ["msg", "log_error"]


@pytest.mark.parametrize("arguments", [(), ({"a": 1},)])
def test_the_text_of_an_object_as_message_is_asked_for_once(arguments):
    """To ask may have effects."""
    asked = []

    class Message:
        def __str__(self):
            asked.append(None)
            return f"asked {len(asked)}"

    assert pairs(Message(), *arguments) == [("msg", "asked 1")]


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
    """Its arguments are in its text already, where nothing tells them apart."""
    assert pairs(message) == [("msg", str(message))]


def test_an_object_that_fails_to_say_its_class_is_free_text():
    """As a proxy of werkzeug does outside of a request."""

    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self):
            raise RuntimeError("outside of a request")

        def __str__(self):
            return "a=1"

    assert pairs(Proxy()) == [("msg", "a=1")]


class Braces(logging.LogRecord):
    """A record class that formats in a way of its own."""

    def getMessage(self):
        """The message, filled by `format`."""
        return str(self.msg).format(*(self.args or ()))


def test_a_record_class_with_formatting_of_its_own_is_free_text():
    """Its text has arguments that could forge pairs."""
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
    """Its text counts, even if the template alone is key=value."""
    text = KeyValueFormatter().format(Marked("shop", 20, "", 0, message, args, None))
    assert strict.pairs(text)[2:] == [("msg", f"[7] {message % args}")]


def test_an_empty_message_is_an_empty_value():
    """With pairs other than metrics it is written, so that nobody overlooks it."""
    assert line("") == 'level=info logger=shop msg=""'


def test_a_message_of_very_many_pairs_is_one_value():
    """Each pair takes fifty times the memory of its text, and a user may have written them."""
    assert len(pairs(" ".join(["a=1"] * 1000))) == 1000
    text = " ".join(["a=1"] * 1001)
    assert pairs(text) == [("msg", text)]
    template = " ".join(["a=%s"] * 1001)
    assert pairs(template, *["x"] * 1001) == [("msg", template.replace("%s", "x"))]
    keys = {f"k{number}": number for number in range(1001)}
    [(key, value)] = pairs(keys)
    assert (key, json.loads(value)) == ("msg", keys)
    keys.popitem()
    assert len(pairs(keys)) == 1000
    with_metric = line(keys | {"b": 1} | measure("a", 1)).split("\n")
    assert with_metric[0].endswith(" b=1")
    assert with_metric[1] == "measure#a=1"


class Money(Decimal):
    def __str__(self):
        return f"{super().__str__()} EUR"


@pytest.mark.parametrize(
    ("template", "argument"),
    [
        ("total %d", Decimal("1e999999")),
        ("total=%d", Decimal("-1e4300")),
        ("%(total)i", {"total": Decimal("1e999999")}),
        ("%(total)i", UserDict(total=Decimal("1e999999"))),
        ("total %d", Money("1e999999")),
    ],
)
def test_a_decimal_is_not_converted_to_a_million_digits(template, argument):
    """Nine characters of a user's would take half a minute, and end in the same error."""
    found = dict(pairs(template, argument))
    assert found["msg"] == template
    assert found["log_error"] == "ValueError: the number has more than 4300 digits"


class Hiding(logging.LogRecord):
    def getMessage(self):
        return super().getMessage().replace("secret", "***")


class Template(str):
    """As those of translations often are."""


@pytest.mark.parametrize("kind", [logging.LogRecord, Hiding])
@pytest.mark.parametrize("template", [Template("total %d"), Path("total %d"), "secret %d"])
def test_no_record_or_template_of_another_class_converts_it_either(kind, template):
    """Whatever makes the message, and whatever compares it with what `logging` would make."""
    arguments = (Decimal("1e999999"),)
    record = kind("shop", logging.INFO, "", 1, template, arguments, None)
    text = FORMATTER.format(record)
    assert text.endswith('log_error="ValueError: the number has more than 4300 digits"')
    assert record.args is arguments
    record.args = (Decimal("12.7"),)
    shown = str(template).replace("secret", "***") if kind is Hiding else str(template)
    assert FORMATTER.format(record).endswith(f' msg="{shown % 12}"')


def test_records_with_another_style_take_huge_numbers():
    """They write no digits of one."""
    arguments = (Decimal("1e999999"), Decimal("1e999999"))
    record = Braces("shop", logging.INFO, "", 1, "{:.1e}|{}", arguments, None)
    assert FORMATTER.format(record).endswith(" msg=1.0e+999999|1E+999999")


def test_a_replaced_method_is_asked_though_the_number_is_huge():
    """Its text is compared with that of `logging`, which is not computed."""
    record = make("total %d", (Decimal("1e999999"),))
    record.getMessage = lambda: "hidden"
    assert FORMATTER.format(record).endswith(" msg=hidden")


def test_a_decimal_of_many_digits_is_written_as_any_other():
    """By `%s`, `%r` and `%e`, and by `%d` if it has fewer."""
    huge = Decimal("1e999999")
    assert pairs("a=%s b=%r c=%s", huge, huge, 1) == [
        ("a", "1E+999999"),
        ("b", "Decimal('1E+999999')"),
        ("c", "1"),
    ]
    assert pairs("%d|%5.1f", Decimal("12.7"), Decimal("1.25")) == [("msg", "12|  1.2")]
    assert pairs("%s", Decimal("sNaN")) == [("msg", "sNaN")]
    assert pairs("%s %d", Money("1e999999"), Money("12")) == [("msg", "1E+999999 EUR 12")]
    assert pairs("%g", Decimal("1e4300")) == [("msg", "inf")]


def test_a_call_site_that_converts_decimals_is_not_compiled():
    """A worker would convert them, for as long."""
    for template, is_light in [("total %d", False), ("total=%i", False), ("total %s", True)]:
        small = make(template, (Decimal("1.5"),))
        codec = codec_that_knows(small)
        assert is_compiled(codec.entry(small, FORMATTER)[0]) == is_light, template


@pytest.mark.parametrize("length", [999, 1000, 1001, 100_000])
def test_templates_of_any_length_are_read_alike(length):
    """Long templates are not cached, but their arguments become values too."""
    template = "a=%s b=" + "x" * (length - 7)
    assert pairs(template, "1 c=2") == [("a", "1 c=2"), ("b", "x" * (length - 7))]


@pytest.mark.parametrize(
    "message", ["a=" * 500_000, "a=1 " * 100_000 + "!", 'a="' * 300_000, "a" * 1_000_000]
)
def test_a_long_text_is_read_in_proportion_to_its_length(message):
    """A megabyte of almost-pairs takes moments; trying every way to read it would take hours."""
    values = [value for _, value in pairs(message + " %s", "x")]
    assert "x" in values or f"{message} x" in values


class Chameleon(str):
    """Says another thing whenever it is asked."""

    def __str__(self):
        return self

    def __format__(self, spec):
        return "x forged=1\nsecond"

    __slots__ = ()


def test_a_string_that_says_different_things_adds_nothing():
    """The text that the string has counts."""
    same = Chameleon("held")
    text = line("a=%s b=%s", same, 1, extra={"c": same, "d": [same]})
    assert strict.pairs(text)[2:] == [("a", "held"), ("b", "1"), ("c", "held"), ("d", '["held"]')]
