"""Records as programs log them that have call sites, although they are not like each other."""

import sys
from collections import Counter, OrderedDict, UserDict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logplex_handler import measure
from logplex_handler._formatting import message_template, value_text
from logplex_handler._formatting.value_text import text_of
from tests.formatting.call_sites import (
    FORMATTER,
    VALUES,
    Odd,
    Point,
    Sneaky,
    codec_that_knows,
    formatted,
    frames,
    is_compiled,
    known_entry,
    make,
)


def check(*records):
    """Each record has a call site in a codec that knows them, with the formatter's line."""
    codec = codec_that_knows(*records)
    for record in records:
        entry, _ = codec.entry(record, FORMATTER)
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(record)
        assert entry == known_entry(codec, record)


def test_each_set_of_extras_has_call_sites_of_its_own():
    """As metrics with many names have, whose values besides are of different types."""
    check(*[make("", (), measure(f"web.{i}", i)) for i in range(50)])
    check(*[make("done %s", (i,), {f"a{i}": 1, "b": 2}) for i in range(50)])
    types = [1, "a", 1.5, True, Decimal(1), b"a", (1,)]
    check(*[make("done", (), {f"a{i}": value, "b": 2}) for value in types for i in range(3)])


def test_false_in_place_of_an_exception_is_none():
    """`exc_info=settings.DEBUG`, for example."""
    records = [make("done %s", (1,)), make("done %s", (2,)), make("done", ())]
    for record in records[1:]:
        record.exc_info = False
    check(*records)


OBJECTS = [value for value in VALUES if not isinstance(value, dict) and type(value) is not str]
OBJECTS += [ValueError("a=1 b=2"), ValueError(), KeyError("a"), ["a=1", 2], (), set(), object]


@pytest.mark.parametrize("message", OBJECTS, ids=lambda message: type(message).__name__)
def test_the_text_of_an_object_is_free_text(message):
    """`logger.error(error)`, for example; its text may look like pairs."""
    check(make(message), make(message, (), {"a": 1}))


def test_an_object_may_say_a_text_of_a_subclass():
    """Its characters are the message, as they are those of an argument."""

    class Wrapped:
        def __str__(self):
            return Sneaky("characters")

    record = make(Wrapped())
    assert b" msg=characters\n" in formatted(record)[0]
    check(record)


def test_an_object_may_change_after_the_call():
    message = ["a"]
    codec = codec_that_knows(make(message))
    record = make(message)
    entry, _ = codec.entry(record, FORMATTER)
    expected = formatted(record)
    message.append("b")
    assert is_compiled(entry)
    assert frames(codec, entry) == expected


class SaysItIs:
    """A proxy, such as werkzeug's."""

    def __init__(self, value):
        self.value = value

    def __str__(self):
        return str(self.value)

    def __iter__(self):
        return iter(self.value)

    def __len__(self):
        return len(self.value)

    def __getattr__(self, name):
        return getattr(self.value, name)


IN_ITS_CLASS = {"__class__": property(lambda self: type(self.value))}
InItsClass = type("InItsClass", (SaysItIs,), IN_ITS_CLASS)


class OfEachAttribute(SaysItIs):
    def __getattribute__(self, name):
        if name == "__class__":
            return type(object.__getattribute__(self, "value"))
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("proxy", [InItsClass, OfEachAttribute])
def test_what_may_be_a_mapping_is_asked_each_time(proxy):
    records = [make(proxy("text")), make(proxy({"a": 1})), make(OrderedDict(a=1)), make(UserDict())]
    codec = codec_that_knows(*records)
    for record in records:
        entry, _ = codec.entry(record, FORMATTER)
        assert frames(codec, entry) == formatted(record)


@pytest.mark.parametrize("message", ["order shipped", "a=1 b=2", "", Sneaky("a=1 b=2"), {"a": 1}])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_message_with_merged_arguments_is_free_text(message, first):
    """Behind a `QueueHandler`, arguments are None; others of the same logger are not."""
    records = [make(message), make(message), make(message)]
    records[0].args = None
    records[1].args = {}
    records = records[first:] + records[:first]
    check(*records)
    check(*[records[0]] * 3)


def test_a_metric_beside_an_object_is_written():
    records = [
        make(message, (), measure("a", 1)) for message in (Odd(), ValueError(), None, "", "x")
    ]
    for record in records[-2:]:
        record.args = None
    codec = codec_that_knows(*records)
    for record in records:
        entry, _ = codec.entry(record, FORMATTER)
        assert frames(codec, entry) == formatted(record)


@dataclass
class Node:
    inner: object


# Hypothesis warns of trees whose `repr` is very long.
SHORT = [value for value in VALUES if sys.getsizeof(value) < 500]
LEAVES = st.sampled_from([*SHORT, date(2026, 1, 2), Point(1, "x"), Counter(a=1), {1: 2}, object])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        inner.map(lambda one: [one, one]),
        inner.map(Node),
    ),
    max_leaves=12,
)


@given(TREES)
def test_containers_are_written_as_the_general_way_writes_them(tree):
    if value_text._writer(type(tree)) is not value_text._json:
        return
    assert text_of(tree) == value_text._Json().written(tree)
    check(make("done", (), {"tree": tree}))


def test_containers_in_themselves_and_very_long_ones_are_left_to_the_general_way():
    ring = {"a": 1}
    ring["ring"] = [ring]
    deep = []
    for _ in range(50):
        deep = [deep]
    # Ten million characters in a few objects.
    wide = ["x"]
    for _ in range(7):
        wide = [wide] * 10
    assert text_of(ring) == '{"a":1,"ring":["..."]}'
    assert text_of(deep) == "[" * 51 + "]" * 51
    assert text_of(wide) == "<unprintable list object>"


def test_a_value_in_a_container_may_log():
    """It is asked like any other value, so that it does not log for ever."""
    asked = []

    class Logs:
        def __str__(self):
            asked.append(1)
            codec.entry(record, FORMATTER)
            return "logs"

    codec = codec_that_knows(make("done %s", (1,), {"who": ["a"]}))
    record = make("done %s", (1,), {"who": [Logs()]})
    entry, _ = codec.entry(record, FORMATTER)
    (frame,) = frames(codec, entry)
    assert frame.endswith(b'who="[\\"logs\\"]"\n')
    assert len(asked) < 20


PIECES = [
    "a",
    "level",
    "b2",
    "=",
    '"',
    " ",
    "'",
    "\\",
    "é",
    "\x85",
    "\n",
    "#",
    '="x y"',
    'k="a=b" ',
]
PIECES += ["k=v ", "k=v", "q='w ", 'w=""', "  ", "level=x ", '"level=x "']


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_pairs_that_stay_as_they_are_are_those_that_would_be_written_so(message):
    own = frozenset({"level", "logger", "part"})
    written = message_template.written_pairs(message, own)
    with mock.patch.object(message_template, "_stays", return_value=False):
        assert message_template.written_pairs(message, own) == written
