"""How values of all types are written, as extras, in mappings, and as arguments of pairs."""

from __future__ import annotations

import enum
import functools
import json
from collections import Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting.value_text import text_of
from tests import strict
from tests.formatting.call_sites import codec_that_knows, formatted, frames, is_compiled, make
from tests.formatting.shared import line, pairs

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@dataclass
class Order:
    number: int
    items: list[object]
    token: str = field(default="s3cret", repr=False)


@dataclass
class Own:
    password: str

    def __repr__(self):
        return "Own(***)"


@dataclass
class Shown:
    password: str

    def __str__(self):
        return "shown"


@dataclass(repr=False)
class Silent:
    password: str


@dataclass(eq=False)
class Named:
    name: str


@dataclass(eq=False)
class City:
    roads: dict[object, object] = field(default_factory=dict)


@dataclass(repr=False)
class Account(Named):
    password: str


def decorated(function):
    @functools.wraps(function)
    def wrapped(self):
        return function(self)

    return wrapped


@dataclass
class Card:
    number: str

    @decorated
    def __repr__(self):
        return "Card(****)"


class Masked(str):
    def __str__(self):
        return "***"


class Secrets(dict[str, object]):
    def __repr__(self):
        return "Secrets(***)"


class Moment(datetime):
    def __str__(self):
        return "a moment"


class Numpy:
    """A bool of numpy, as far as its text goes."""

    __module__ = "numpy"

    def __init__(self, value):
        self.value = value

    def __str__(self):
        return str(self.value)


Numpy.__name__ = "bool_"
Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


KEYED = """{"Named(name='x')":1,"(1, '2')":2,"2026-01-02T03:04:05+00:00":3,"true":4}"""
SELF: list[object] = [1]
SELF.append(SELF)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (MOMENT.replace(tzinfo=None), "2026-01-02T03:04:05"),
        (MOMENT.replace(tzinfo=None, microsecond=678), "2026-01-02T03:04:05.000678"),
        (Moment(2026, 1, 2), "a moment"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(days=1), "1 day, 0:00:00"),
        (Numpy(True), "true"),
        (Numpy(False), "false"),
        ({}, "{}"),
        ({"a": 1, "b": [True, None, 1.5]}, '{"a":1,"b":[true,null,1.5]}'),
        ({1: {"ü": "x y"}, None: 2}, '{"1":{"ü":"x y"},"null":2}'),
        ([1, "two"], '[1,"two"]'),
        ((1, MOMENT, Decimal("1.50")), '[1,"2026-01-02T03:04:05+00:00","1.50"]'),
        ({1}, "[1]"),
        ([float("inf"), float("nan"), 1e300, -0.0], '["inf","nan",1e+300,-0.0]'),
        (frozenset(), "[]"),
        (deque([1]), "[1]"),
        (OrderedDict(a=1), '{"a":1}'),
        (defaultdict(int, a=1), '{"a":1}'),
        (Counter("aa"), '{"a":2}'),
        (Order(7, [Point(1, 2)]), '{"number":7,"items":["Point(x=1, y=2)"]}'),
        (Own("x"), "Own(***)"),
        (Shown("x"), "shown"),
        (Secrets(a=1), "Secrets(***)"),
        ([Secrets(a=1), Own("x"), Masked("x")], '["Secrets(***)","Own(***)","***"]'),
        (Masked("x"), "***"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (UserDict(a=1), "{'a': 1}"),
        (Colour.RED, "Colour.RED"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("/a b"), "/a b"),
        (b"x", "b'x'"),
        (Order, str(Order)),
        ({Named("x"): 1, (1, "2"): 2, MOMENT: 3, True: 4}, KEYED),
        (SELF, '[1,"..."]'),
    ],
)
def test_a_value_is_written_alike_wherever_it_is_a_value(value, text):
    """As an extra, in a mapping, as an argument of a pair, and in compiled call sites."""
    assert text_of(value) == text
    expected = [("v", text)]
    assert pairs("hello", extra={"v": value})[1:] == expected
    assert pairs({"v": value}) == expected
    assert pairs("v=%s a=1", value)[:1] == expected
    assert pairs("v=%(x)s", {"x": value}) == expected
    formatter = KeyValueFormatter(static={"v": lambda: value})
    assert pairs("hello", formatter=formatter)[:1] == expected
    made = [
        make("hello %s", ("x",), {"v": value}),
        make("v=%s a=%s", (value, 1)),
        make("v=<%s> a=%s", (value, 1)),
        make("see %s, %s", (value, 1)),
        make("%s/%s", (value, 1)),
        make({"v": value}),
    ]
    for given_record in made:
        formatter = KeyValueFormatter()
        codec = codec_that_knows(given_record, formatter=formatter)
        entry, _ = codec.entry(given_record, formatter)
        assert is_compiled(entry)
        assert frames(codec, entry) == formatted(given_record, formatter)


def test_a_datetime_and_a_list_of_numbers_need_no_quotes():
    """So they are easy to search for."""
    written = line(extra={"at": MOMENT, "ids": [1, 2]})
    assert written.endswith(" at=2026-01-02T03:04:05+00:00 ids=[1,2]")


def test_a_part_of_a_text_is_written_as_python_does():
    """As the standard library fills a template."""
    assert pairs("at %s: %s", MOMENT, [True]) == [("msg", "at 2026-01-02 03:04:05+00:00: [True]")]
    assert pairs("a=<%s>", MOMENT) == [("a", "<2026-01-02 03:04:05+00:00>")]


def test_a_field_that_the_repr_hides_is_not_written():
    """It may be a secret."""
    hidden = Silent("s3cret"), Order(1, []), [Own("s3cret")]
    assert "s3cret" not in line(extra={"a": hidden[0], "b": hidden[1], "c": hidden[2]})


@pytest.mark.parametrize("value", [Account("ann", "s3cret"), Card("s3cret")], ids=["base", "own"])
def test_a_repr_that_is_inherited_or_decorated_is_used(value):
    """The fields that it leaves out stay hidden."""
    assert "s3cret" not in line(extra={"a": value, "b": [value], "c": {"d": value}})
    assert repr(value).replace("'", "")[:6] in line(extra={"a": value})


def test_a_bool_of_numpy_is_written_like_any_other():
    """In each of its versions, and in a list."""
    numpy = pytest.importorskip("numpy")
    assert text_of(numpy.bool_(True)) == "true"
    assert text_of(numpy.float64(1.5)) == "1.5"
    assert text_of([numpy.bool_(False)]) == '["false"]'


def test_a_value_that_holds_itself_many_times_comes_to_an_end():
    """Each time it is `...`."""
    twice: list[object] = []
    twice += [twice, twice]
    assert text_of(twice) == '["...","..."]'
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert text_of(deep) == "<unprintable list object>"


def test_keys_within_keys_have_their_escapes_once():
    """JSON in JSON would have twice as many at each level, and a cycle no end."""
    chain = City()
    for _ in range(20):
        chain = City({chain: 1})
    assert len(text_of(chain)) < 2 * len(repr(chain))
    one, other = City(), City()
    one.roads[other] = other.roads[one] = 7
    assert text_of(one) == '{"roads":{"City(roads={City(roads={...: 7}): 7})":7}}'


def _doubled(make, levels):
    inner: object = make(1, 2)
    for _ in range(levels):
        inner = make(inner, inner)
    return inner


def _connected():
    cities = [City() for _ in range(12)]
    for city in cities:
        city.roads.update(enumerate(cities))
    return cities[0]


@pytest.mark.parametrize(
    "value",
    [
        _doubled(lambda *both: [*both], 40),
        _doubled(lambda one, other: {"a": one, "b": other}, 40),
        _doubled(Order, 40),
        _doubled(lambda *both: [[], *both], 900),
        _connected(),
        [["x" * 1_000_000]] * 3,
    ],
    ids=["lists", "dicts", "dataclasses", "deep", "a graph", "long texts"],
)
def test_a_value_whose_text_has_no_end_is_not_written(value):
    """A few objects that hold each other several times have texts that no memory holds."""
    assert text_of(value) == f"<unprintable {type(value).__name__} object>"


def test_a_key_whose_text_has_no_end_is_not_written():
    """The hash of a frozenset is kept, so it may be a key."""
    key, other = frozenset([0]), frozenset([1])
    for _ in range(60):
        key, other = frozenset([key, other]), key
    assert text_of({key: 1, (1, 2): 3}) == '{"<unprintable frozenset object>":1,"(1, 2)":3}'


def test_a_container_that_is_in_another_twice_is_written_twice():
    """It does not hold itself."""
    inner = [1]
    assert text_of([inner, {"a": inner}]) == '[[1],{"a":[1]}]'


class Nameless(type):
    @property
    def __name__(cls):
        raise RuntimeError


class Broken(metaclass=Nameless):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("name", ["Broken", "int"])
def test_a_value_whose_text_fails_costs_no_other_value(name):
    """Wherever it is a whole value, also in compiled call sites."""
    value = {"Broken": Broken(), "int": 2**20000}[name]
    expected = [("user", "bob"), ("at", f"<unprintable {name} object>")]
    assert pairs("user=%s at=%s", "bob", value) == expected
    assert pairs("user=%(u)s at=%(v)s", {"u": "bob", "v": value}) == expected
    assert pairs({"user": "bob", "at": value}) == expected
    made = make("user=%s at=%s", ("bob", value))
    formatter = KeyValueFormatter()
    codec = codec_that_knows(made, formatter=formatter)
    entry, _ = codec.entry(made, formatter)
    assert is_compiled(entry)
    assert frames(codec, entry) == formatted(made, formatter)
    assert text_of([value, 1]) == f'["<unprintable {name} object>",1]'


TEXTS = st.text(max_size=9)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200)
@given(JSON.filter(lambda value: isinstance(value, list | dict)))
def test_what_json_can_express_is_read_back(value):
    """Through the quotes and escapes of the line."""
    (found,) = [v for k, v in strict.pairs(line(extra={"v": value})) if k == "v"]
    assert json.loads(found) == value
