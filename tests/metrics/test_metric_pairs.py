"""Pairs of metrics: which are accepted, how they look, and how a consumer reads them."""

from __future__ import annotations

import copy
import enum
import pickle
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest

from logplex_handler import count, measure, sample
from tests import strict
from tests.metrics.shared import recording

# measure and sample, which take the same.
WITH_UNIT = pytest.mark.parametrize("metric", [measure, sample])


def read(extra):
    """What l2met makes of metrics."""
    line = " ".join(f"{key}={value}" for key, value in extra.items())
    return strict.metrics(strict.pairs(line))


@pytest.mark.parametrize(
    ("extra", "pair"),
    [
        (measure("web.latency", 4, "ms"), ("measure#web.latency", "4ms")),
        (sample("db_size", 21.50, "MB"), ("sample#db_size", "21.5MB")),
        (sample("tables", 30), ("sample#tables", "30")),
        (count("db.queries", 2), ("count#db.queries", "2")),
        (count("db.snapshots"), ("count#db.snapshots", "1")),
        (count("half", 0.5), ("count#half", "0.5")),
        (measure("zero", 0, "s"), ("measure#zero", "0s")),
        (measure("index-cache-hit-rate", 0.99), ("measure#index-cache-hit-rate", "0.99")),
        (measure("größe", 1), ("measure#größe", "1")),
        (measure("web.latency", timedelta(seconds=1.5)), ("measure#web.latency", "1500ms")),
        (sample("lag", timedelta(microseconds=1), "ms"), ("sample#lag", "0.001ms")),
        (sample("uptime", timedelta(days=999999)), ("sample#uptime", "86399913600000ms")),
        (sample("price", Decimal("19.90")), ("sample#price", "19.9")),
        (measure("ratio", Fraction(1, 3)), ("measure#ratio", "0.333333")),
        (count("rows", numpy.int64(7)), ("count#rows", "7")),
    ],
)
def test_a_metric_is_one_pair_with_the_unit_glued_to_the_number(extra, pair):
    """The three functions make the documented pairs; a count has no unit and is 1 by default."""
    assert list(extra.items()) == [pair]


def test_metrics_join_with_each_other_and_with_other_pairs():
    """They are ordinary dicts."""
    joined = measure("a", 1, "ms") | count("b") | {"path": "/"}
    assert list(joined) == ["measure#a", "count#b", "path"]


@pytest.mark.parametrize(
    ("value", "meant"),
    [(4, 4), (0.000001, 0.000001), (1e3, 1000), (1e-7, 0), (1e300, 1e300), (67448.25, 67448.25)],
)
@WITH_UNIT
def test_l2met_reads_the_value_and_the_unit_that_were_given(metric, value, meant):
    """Nothing of a number is lost to an exponent."""
    (found,) = read(metric("x.y", value, "ms"))
    assert (found.kind, found.name, found.value, found.unit) == (
        metric.__name__,
        "x.y",
        meant,
        "ms",
    )


def test_the_largest_float_is_written_in_full():
    """1e300 has its 301 digits."""
    assert measure("x", 1e300)["measure#x"] == str(int(1e300))


class Size(enum.IntEnum):
    """An int with a str() of its own on some Pythons."""

    LARGE = 3


class Seconds(float):
    """A float with a str() of its own."""

    def __str__(self):
        return "soon"


@pytest.mark.parametrize(("value", "digits"), [(Size.LARGE, "3"), (Seconds(1.5), "1.5")])
def test_subclasses_of_numbers_are_numbers(value, digits):
    """Their value counts, not their own `__str__`."""
    assert sample("x", value) == {"sample#x": digits}


@pytest.mark.parametrize(
    "name",
    [
        *["", "a b", "a=b", 'a"b', "a'b", "a\\b", "a#b", "a\nb", "a\tb", "a\x00b", "a\x7fb"],
        *["a\x85b", "a\n", "x=1 count", "a\ud800", "a" * 201, "é" * 101],
    ],
)
@pytest.mark.parametrize("metric", [measure, sample, count])
def test_a_name_that_a_consumer_would_cut_is_an_error(metric, name):
    """It must be 1 to 200 bytes, without characters that end the name or add a pair."""
    with pytest.raises(ValueError, match=f"^{metric.__name__}: the name .* must be 1 to 200 bytes"):
        metric(name, 1)


@pytest.mark.parametrize("name", ["a" * 200, "é" * 100, "a", "a.b-c/d:e_f@g"])
def test_a_name_may_have_200_bytes(name):
    """The limit itself is allowed."""
    assert count(name) == {f"count#{name}": "1"}


class Named(str, enum.Enum):
    ORDERS = "orders"
    MS = "ms"


class Masked(str):
    """A text that says another one where it is formatted."""

    __slots__ = ()

    def __format__(self, spec):
        return "x=1 count#y"

    __str__ = __repr__ = __add__ = __radd__ = lambda text, *_: text.__format__("")


@pytest.mark.parametrize("name", [Named.ORDERS, Masked("orders")])
@pytest.mark.parametrize("unit", [Named.MS, Masked("ms")])
def test_a_name_is_the_text_that_it_is(name, unit):
    """`format` says something else, for a member of an Enum from Python 3.11 on."""
    assert sample(name, 1, unit) == {"sample#orders": "1ms"}
    with recording() as (metrics, lines):
        metrics.count(name)
        metrics.sample(name, 2, unit)
        metrics.report()
        assert lines.lines == ["count#orders=1 sample#orders=2ms"]
        metrics.sample(name, None, unit)
        metrics.report()
        assert len(lines.lines) == 1
        metrics.measure(name, 3, unit, aggregate=True)
        metrics.report()
        assert "sample#orders.max=3ms" in lines.lines[1].split()


@pytest.mark.parametrize("name", [None, 1, b"x", ["x"]])
def test_a_name_must_be_a_string(name):
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="the name must be a string, not "):
        measure(name, 1)


@pytest.mark.parametrize("unit", ["m s", "ms ", "%", "µs", "m2", "/s", "ms\n", "x=1", "a" * 21])
@WITH_UNIT
def test_a_unit_of_other_than_letters_is_an_error(metric, unit):
    """The documents allow a-z and A-Z; 20 of them are enough."""
    with pytest.raises(ValueError, match=f"^{metric.__name__} x: the unit .* letters a-z or A-Z"):
        metric("x", 1, unit)


@pytest.mark.parametrize("unit", [None, 1, b"ms"])
def test_a_unit_must_be_a_string(unit):
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="measure x: the unit must be a string, not "):
        measure("x", 1, unit)


@pytest.mark.parametrize("value", [True, False, "4", "4ms", None, 4j, b"4"])
@pytest.mark.parametrize("metric", [measure, sample, count])
def test_a_value_that_is_no_number_is_an_error(metric, value):
    """A bool or a string in place of a number is probably a mistake."""
    with pytest.raises(TypeError, match=f"^{metric.__name__} x: the value .* must be a number"):
        metric("x", value)


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("metric", [measure, sample, count])
def test_a_value_that_l2met_drops_is_an_error(metric, value):
    """The error is raised at the call; the consumer would drop the value silently."""
    with pytest.raises(ValueError, match=f"^{metric.__name__} x: the value .* finite and not neg"):
        metric("x", value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**309, "1000"),
        (10**5000, "of type int"),
        (-(10**5000), "of type int"),
    ],
    ids=["309 zeros", "5,000 zeros", "minus 5,000 zeros"],
)
def test_a_huge_int_is_an_error_that_can_be_shown(value, shown):
    """Also if Python refuses to convert it to text."""
    with pytest.raises(ValueError, match=f"^count x: the value {shown}.*must ") as caught:
        count("x", value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("unit", ["s", "m", "MS"])
@WITH_UNIT
def test_a_timedelta_is_written_in_ms_only(metric, unit):
    """Another unit would be wrong."""
    with pytest.raises(ValueError, match=f"x: a timedelta is written in ms, not in {unit}"):
        metric("x", timedelta(seconds=1), unit)


def test_a_timedelta_cannot_be_negative():
    """As no value can be."""
    with pytest.raises(ValueError, match="must be finite and not negative"):
        measure("x", timedelta(seconds=-1))


def test_a_count_is_no_time():
    """Only numbers add up."""
    with pytest.raises(TypeError, match="must be a number, not timedelta"):
        count("x", timedelta(seconds=1))  # type: ignore[arg-type]


class Unprintable:
    """Something whose text cannot be had."""

    def __repr__(self):
        raise RuntimeError("no")


def test_a_value_without_a_repr_is_a_type_error_all_the_same():
    """Making the error does not fail."""
    with pytest.raises(TypeError, match="the value of type Unprintable must be a number"):
        count("x", Unprintable())  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [("a" * 9000, 1), ("x", 1, "a" * 9000), ("x", "a" * 9000)])
def test_errors_stay_short(arguments):
    """A long argument is shown in part."""
    with pytest.raises((ValueError, TypeError)) as caught:
        measure(*arguments)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_metric_is_still_one_after_pickling(protocol):
    """Every protocol keeps the mark that sets it apart from a plain string."""
    extra = pickle.loads(pickle.dumps(measure("x", 4, "ms"), protocol))
    assert extra == {"measure#x": "4ms"}
    assert type(extra["measure#x"]) is type(measure("x", 4, "ms")["measure#x"])


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_metric_is_still_one_after_copying(duplicate):
    """Copies keep the mark as well."""
    value = measure("x", 4, "ms")["measure#x"]
    assert type(duplicate(value)) is type(value)
