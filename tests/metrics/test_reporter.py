"""`Metrics` logs each recorded value exactly once, in lines that l2met reads."""

from __future__ import annotations

import enum
import logging
import logging.handlers
import queue
import signal
import string
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import (
    KeyValueFormatter,
    count,
    measure,
    sample,
)
from tests import strict
from tests.metrics.shared import FAILED, recording, values


def test_counts_add_up_and_are_reported_once():
    """Then they start at zero again; a count of zero is not reported."""
    with recording() as (metrics, lines):
        for _ in range(1000):
            metrics.count("orders")
        metrics.count("bytes", 10**12)
        metrics.count("half", 0.5)
        metrics.count("half", Decimal("0.25"))
        metrics.count("nothing", 0)
        metrics.report()
        metrics.report()
        assert lines.lines == ["count#orders=1000 count#bytes=1000000000000 count#half=0.75"]


def test_a_value_is_reported_until_there_is_another():
    """None ends the reports."""
    with recording() as (metrics, lines):
        metrics.sample("db_size", 21, "MB")
        metrics.sample("db_size", 21.5, "MB")
        metrics.report()
        metrics.report()
        metrics.sample("db_size", None)
        metrics.report()
        assert lines.lines == ["sample#db_size=21.5MB"] * 2


def test_a_function_is_polled_for_each_report():
    """The value that it returns is reported; None is not."""
    said = iter([4, None, Fraction(1, 2)])
    with recording() as (metrics, lines):
        metrics.sample("queue", lambda: next(said))
        for _ in range(3):
            metrics.report()
        assert lines.lines == ["sample#queue=4", "sample#queue=0.5"]


def test_a_function_may_say_a_time():
    """The time is in ms."""
    with recording() as (metrics, lines):
        metrics.sample("lag", lambda: timedelta(seconds=2))
        metrics.report()
        assert lines.lines == ["sample#lag=2000ms"]
        with pytest.raises(ValueError, match="the unit 's' must be 'ms'"):
            metrics.sample("lag", lambda: 2, "s")


def test_a_measure_is_a_line_for_each_event():
    """The line does not wait for the report."""
    with recording() as (metrics, lines):
        metrics.measure("web.latency", 4, "ms")
        metrics.measure("web.latency", timedelta(seconds=0.5))
        assert lines.lines == ["measure#web.latency=4ms", "measure#web.latency=500ms"]


def test_an_aggregated_measure_is_seven_samples():
    """Count, minimum, maximum, mean and three percentiles; the count has no unit."""
    with recording() as (metrics, lines):
        for value in range(1, 101):
            metrics.measure("job", value, "ms", aggregate=True)
        metrics.report()
        metrics.report()
        assert len(lines.lines) == 1
        read = values(lines)
        assert read["job.count"] == (100, "")
        assert (read["job.min"], read["job.max"]) == ((1, "ms"), (100, "ms"))
        assert read["job.mean"] == (50.5, "ms")
        for name, true in (("p50", 50), ("p95", 95), ("p99", 99)):
            value, unit = read[f"job.{name}"]
            assert unit == "ms"
            assert value == pytest.approx(true, rel=0.011)


def test_the_percentiles_of_one_value_are_that_value():
    """The sketch's error does not exceed the minimum and the maximum."""
    with recording() as (metrics, lines):
        metrics.measure("job", 7, aggregate=True)
        metrics.report()
        named = {name: value for name, (value, _) in values(lines).items()}
        assert named == {"job.count": 1} | {
            f"job.{part}": 7 for part in ("min", "max", "mean", "p50", "p95", "p99")
        }


def test_the_source_replaces_the_formatters():
    """In reports and events; other records keep the formatter's source."""
    with recording(source="us-east") as (metrics, lines):
        lines.setFormatter(KeyValueFormatter(source="elsewhere", static={"app": "shop"}))
        metrics.count("orders")
        metrics.measure("web.latency", 4, "ms")
        metrics.report()
        metrics._reporter._logger.info("hello")
        assert lines.lines[:2] == [
            "source=us-east measure#web.latency=4ms",
            "source=us-east count#orders=1",
        ]
        assert lines.lines[2].startswith("source=elsewhere app=shop level=info")


def test_a_member_of_an_enum_as_source_is_the_text_that_it_is():
    """As in the formatter."""
    with recording(source=enum.Enum("Region", {"EU": "eu-west"}, type=str).EU) as (metrics, lines):
        metrics.count("orders")
        metrics.report()
        assert lines.lines == ["source=eu-west count#orders=1"]


def test_a_source_that_is_not_utf_8_costs_no_metric():
    """As the environment may hold any bytes."""
    with recording(source="a\udcff") as (metrics, lines):
        metrics.count("orders")
        metrics.report()
        assert lines.lines == ["source=a\udcff count#orders=1"]


def test_without_a_source_it_is_the_formatters():
    """As on any other line."""
    with recording() as (metrics, lines):
        lines.setFormatter(KeyValueFormatter(source="elsewhere"))
        metrics.count("orders")
        metrics.report()
        assert lines.lines == ["source=elsewhere count#orders=1"]


def test_the_source_holds_beside_what_a_filter_adds():
    """The line then has a message, and still one source, which is first."""
    with recording(source="us-east") as (metrics, lines):
        lines.setFormatter(KeyValueFormatter(source="elsewhere"))

        def add(record):
            record.request_id = 7
            return True

        lines.addFilter(add)
        metrics.count("orders")
        metrics.report()
        read = strict.pairs(lines.lines[0])
        assert read[0] == ("source", "us-east")
        assert [value for key, value in read if key == "source"] == ["us-east"]
        assert ("request_id", "7") in read
        assert ("count#orders", "1") in read


def test_another_formatter_shows_the_same_text():
    """So stderr or stdout has the metrics too."""
    with recording(source="us-east") as (metrics, lines):
        lines.setFormatter(logging.Formatter("%(message)s"))
        metrics.count("orders")
        metrics.sample("load", 0.5)
        metrics.report()
        assert lines.lines == ["source=us-east count#orders=1 sample#load=0.5"]


def test_metrics_are_metrics_behind_a_queue_handler():
    """It merges messages, and the line is the same."""
    with recording(source="us-east") as (metrics, lines):
        waiting = queue.SimpleQueue()
        metrics._reporter._logger.addHandler(logging.handlers.QueueHandler(waiting))
        metrics.count("orders", 3)
        metrics.report()
        formatter = KeyValueFormatter(source="elsewhere")
        assert formatter.format(waiting.get()) == "source=us-east count#orders=3" == lines.lines[0]


def test_many_metrics_share_lines_of_at_most_1000_bytes():
    """Each line has the source, and no metric is in two lines."""
    with recording(source="us-east") as (metrics, lines):
        for number in range(500):
            metrics.count(f"shop.orders.of.customer.{number}", number + 1)
        metrics.report()
        assert all(len(line.encode()) <= 1000 for line in lines.lines)
        assert all(line.startswith("source=us-east count#") for line in lines.lines)
        assert len(lines.lines) < 30
        assert [one.value for one in lines.read] == list(range(1, 501))


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="=\"'\\#"),
    min_size=1,
    max_size=40,
).filter(lambda name: len(name.encode()) <= 190)
UNITS = st.text(string.ascii_letters, max_size=20)
NUMBERS = (
    st.integers(0, 10**300)
    | st.floats(0, 1.7e308)
    | st.decimals(0, 10**12, allow_nan=False, places=9)
    | st.fractions(0, 10**12)
    | st.integers(0, 2**63 - 1).map(numpy.int64)
    | st.floats(0, 1e6, width=32).map(numpy.float32)
)
SOURCES = st.none() | st.text(
    string.ascii_letters + string.digits + "._/-", min_size=1, max_size=60
)
ONE = st.tuples(st.sampled_from(["measure", "sample", "count"]), NAMES, NUMBERS, UNITS)


@settings(max_examples=1000)
@given(ONE, SOURCES)
def test_l2met_reads_exactly_what_was_meant(metric, source):
    """Name, number, unit and source of any metric, logged by Metrics or alone."""
    kind, name, value, unit = metric
    unit = "" if kind == "count" else unit
    with recording(source=source) as (metrics, lines):
        getattr(metrics, kind)(name, value, *([unit] if unit else []))
        metrics.report()
        alone = {"measure": measure, "sample": sample, "count": count}[kind]
        extra = alone(name, value, *([unit] if unit else []))
        metrics._reporter._logger.info("order shipped", extra=extra)
        meant = Fraction(value) if not isinstance(value, numpy.generic) else Fraction(value.item())
        if kind == "count" and not isinstance(value, int | numpy.integer):
            meant = Fraction(float(value))
        *reported, beside = lines.read
        if kind == "count" and meant == 0:
            assert not reported
        else:
            (one,) = reported
            assert (one.kind, one.name, one.unit, one.source) == (kind, name, unit, source or "")
            assert abs(Fraction(one.value) - meant) <= Fraction(6, 10**7) + meant / 2**52
        assert (beside.kind, beside.name, beside.unit, beside.source) == (kind, name, unit, "")
        assert abs(Fraction(beside.value) - meant) <= Fraction(6, 10**7) + meant / 2**52


@settings(max_examples=300)
@given(st.text(max_size=12), st.text(max_size=4), st.integers() | st.floats() | st.decimals())
def test_anything_else_is_refused_where_it_is_written(name, unit, value):
    """Any arguments are either read back as they were meant, or an error at the call."""
    try:
        pairs = measure(name, value, unit)
    except (ValueError, TypeError):
        return
    (one,) = strict.metrics(strict.pairs(" ".join(f"{k}={v}" for k, v in pairs.items())))
    assert (one.name, one.unit) == (name, unit)
    assert one.value == pytest.approx(float(value), abs=6e-7)


def test_counts_that_become_too_large_are_told_and_raise_nothing():
    """Whole numbers whose sum no float can have, and then a fraction."""
    with recording() as (metrics, lines):
        for n in (10**308, 10**308, 0.5, 1, 10**308):
            metrics.count("x", n)
        metrics.count("y")
        metrics.report()
        metrics.report()
        assert lines.sums() == {"y": 1, FAILED: 1}


def test_a_sample_and_a_part_of_an_aggregate_of_one_name_are_told():
    """Only one of the two is reported."""
    with recording() as (metrics, lines):
        metrics.sample("query.count", 5)
        metrics.measure("query", 4, aggregate=True)
        metrics.report()
        metrics.report()
        assert [record.metric for record in lines.records if record.levelno == logging.WARNING] == [
            "query.count"
        ]
        assert values(lines)["query.count"] == (5, "")
        assert lines.sums() == {FAILED: 1}


def test_what_a_signal_counts_in_the_middle_of_a_count_is_not_lost():
    """Also fractions, which take the slower path."""
    with recording() as (metrics, lines):
        metrics.measure("q", 1, aggregate=True)
        signals = [0]

        def strike(number, frame):
            signals[0] += 1
            metrics.count("parts", 0.5)
            metrics.count("whole")
            metrics.measure("q", signals[0], aggregate=True)

        before = signal.signal(signal.SIGALRM, strike)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        done = 0
        try:
            while signals[0] < 300:
                metrics.count("parts", 0.5)
                metrics.count("whole")
                metrics.measure("q", done, aggregate=True)
                done += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        metrics.report()
        total = done + signals[0]
        assert lines.sums() == {"parts": total / 2, "whole": total}
        assert values(lines)["q.count"] == (total + 1, "")
