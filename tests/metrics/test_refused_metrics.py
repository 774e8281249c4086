"""A value, name or unit that a consumer would misread raises an error at the call."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from decimal import Decimal

import pytest

from logplex_handler import (
    ConfigurationError,
    Metrics,
)
from tests.metrics.shared import recording


@pytest.mark.parametrize(
    "value", [-1, float("nan"), float("inf"), 10**309, Decimal("NaN")], ids=str
)
@pytest.mark.parametrize("aggregate", [False, True])
def test_a_value_that_l2met_drops_is_refused_where_it_is_given(value, aggregate):
    """At every call; metrics recorded before are not harmed."""
    with recording() as (metrics, lines):
        metrics.count("x")
        metrics.measure("y", 1, aggregate=aggregate)
        with pytest.raises(ValueError, match=r"count x: the value .* must be"):
            metrics.count("x", value)
        with pytest.raises(ValueError, match=r"sample z: the value .* must be"):
            metrics.sample("z", value)
        with pytest.raises(ValueError, match=r"measure y: the value .* must be"):
            metrics.measure("y", value, aggregate=aggregate)
        metrics.report()
        assert lines.sums() == {"x": 1}


@pytest.mark.parametrize("value", [True, "4", None, b"4", [4]])
def test_a_value_that_is_no_number_is_refused(value):
    """A bool too, though Python could add it."""
    with recording() as (metrics, _):
        metrics.count("x")
        for call in (
            lambda: metrics.count("x", value),
            lambda: metrics.measure("y", value),
            lambda: metrics.measure("y", value, aggregate=True),
        ):
            with pytest.raises(TypeError, match="must be a number"):
                call()


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a#b", 'a"b', "a" * 201, "a\n"])
def test_a_name_that_a_consumer_would_cut_is_refused(name):
    """Before anything is recorded under it."""
    with recording() as (metrics, lines):
        for call in (
            lambda: metrics.count(name),
            lambda: metrics.sample(name, 1),
            lambda: metrics.sample(name, lambda: 1),
            lambda: metrics.measure(name, 1),
            lambda: metrics.measure(name, 1, aggregate=True),
            lambda: metrics.timer(name),
            lambda: metrics.timer(name, aggregate=True),
        ):
            with pytest.raises(ValueError, match=r"the name .* must be 1 to"):
                call()
        metrics.report()
        assert lines.lines == []


def test_a_name_whose_parts_would_be_too_long_is_refused():
    """Aggregated values are reported under longer names."""
    with recording() as (metrics, _):
        metrics.measure("a" * 194, 1, aggregate=True)
        metrics.measure("b" * 200, 1)
        with pytest.raises(ValueError, match="must be 1 to 194 bytes"):
            metrics.measure("c" * 195, 1, aggregate=True)


def test_a_second_unit_for_a_name_is_refused():
    """To a consumer it would be another metric. This holds across streams."""
    with recording() as (metrics, _):
        metrics.measure("web.latency", 4, "ms")
        metrics.stream("a").measure("web.latency", 4, "ms")
        for call in (
            lambda: metrics.measure("web.latency", 4, "s"),
            lambda: metrics.measure("web.latency", 4),
            lambda: metrics.stream("b").measure("web.latency", 4, "s", aggregate=True),
            lambda: metrics.sample("web.latency", 4, "s"),
        ):
            with pytest.raises(ValueError, match="must be 'ms', as it was before"):
                call()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"interval": 0}, "interval"),
        ({"interval": -1}, "interval"),
        ({"interval": 86_401}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": "60"}, "interval"),
        ({"source": "a b"}, "source"),
        ({"source": 5}, "source"),
        ({"source": ""}, "source"),
        ({"logger": "shop"}, "logger"),
        ({"logger": logging.LoggerAdapter(logging.getLogger("x"))}, "logger"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(options, named):
    """It is a ConfigurationError."""
    arguments = {"logger": logging.getLogger("x")} | options
    with pytest.raises(ConfigurationError, match=f"^{named}: "):
        Metrics(arguments.pop("logger"), **arguments)


def test_percentiles_without_their_library_are_refused_at_once(monkeypatch):
    """The error names what to install."""
    monkeypatch.setitem(sys.modules, "ddsketch", None)
    with recording() as (metrics, _):
        for call in (
            lambda: metrics.measure("x", 1, aggregate=True),
            lambda: metrics.timer("x", aggregate=True),
        ):
            with pytest.raises(ConfigurationError, match=r"logplex-handler\[percentiles\]"):
                call()
        metrics.measure("x", 1)
