"""`Metrics`: what is recorded is logged once per interval, exactly, in lines that l2met reads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logplex_handler import (
    ConfigurationError,
    KeyValueFormatter,
    Metrics,
    count,
    measure,
    sample,
)
from logplex_handler._process import forks
from logplex_handler._process.periodic import next_time
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.logs import logging_to, wait_until

HOUR = 3600.0


class Lines(logging.Handler):
    """Keeps the lines of key=value text."""

    def __init__(self, **options):
        super().__init__()
        self.setFormatter(KeyValueFormatter(**options))
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def lines(self):
        return [self.format(record) for record in self.records]

    @property
    def read(self):
        """What l2met makes of all lines."""
        return [one for line in self.lines for one in strict.metrics(strict.pairs(line))]

    def sums(self):
        """Counters, added up."""
        sums = Counter()
        for one in self.read:
            if one.kind == "count":
                sums[one.name] += one.value
        return sums


@contextlib.contextmanager
def recording(*, interval=HOUR, source=None, **options):
    """A Metrics, and what it logs."""
    logger = logging.getLogger(f"test.metrics{time.monotonic_ns()}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    lines = Lines(**options)
    logger.addHandler(lines)
    metrics = Metrics(logger, interval=interval, source=source)
    try:
        yield metrics, lines
    finally:
        metrics.close()


def values(lines):
    """Of all samples, by name."""
    return {one.name: (one.value, one.unit) for one in lines.read if one.kind == "sample"}


# The line


def test_counts_add_up_and_are_reported_once():
    """And then begin at nothing again; a count of nothing is not reported."""
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
    """None ends it."""
    with recording() as (metrics, lines):
        metrics.sample("db_size", 21, "MB")
        metrics.sample("db_size", 21.5, "MB")
        metrics.report()
        metrics.report()
        metrics.sample("db_size", None)
        metrics.report()
        assert lines.lines == ["sample#db_size=21.5MB"] * 2


def test_a_function_is_polled_for_each_report():
    """What it says then is reported; None is nothing."""
    said = iter([4, None, Fraction(1, 2)])
    with recording() as (metrics, lines):
        metrics.sample("queue", lambda: next(said))
        for _ in range(3):
            metrics.report()
        assert lines.lines == ["sample#queue=4", "sample#queue=0.5"]


def test_a_function_may_say_a_time():
    """It is in ms."""
    with recording() as (metrics, lines):
        metrics.sample("lag", lambda: timedelta(seconds=2))
        metrics.report()
        assert lines.lines == ["sample#lag=2000ms"]
        with pytest.raises(ValueError, match="the unit 's' must be 'ms'"):
            metrics.sample("lag", lambda: 2, "s")


def test_a_measure_is_a_line_for_each_event():
    """Nothing waits for the report."""
    with recording() as (metrics, lines):
        metrics.measure("web.latency", 4, "ms")
        metrics.measure("web.latency", timedelta(seconds=0.5))
        assert lines.lines == ["measure#web.latency=4ms", "measure#web.latency=500ms"]


def test_an_aggregated_measure_is_seven_samples():
    """Count, least, most, mean and three percentiles, the first without the unit."""
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
    """What a sketch is off does not lead beyond the least and the most."""
    with recording() as (metrics, lines):
        metrics.measure("job", 7, aggregate=True)
        metrics.report()
        named = {name: value for name, (value, _) in values(lines).items()}
        assert named == {"job.count": 1} | {
            f"job.{part}": 7 for part in ("min", "max", "mean", "p50", "p95", "p99")
        }


def test_the_source_replaces_the_formatters():
    """In reports and events; other records keep the formatter's."""
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


def test_without_a_source_it_is_the_formatters():
    """As on any other line."""
    with recording() as (metrics, lines):
        lines.setFormatter(KeyValueFormatter(source="elsewhere"))
        metrics.count("orders")
        metrics.report()
        assert lines.lines == ["source=elsewhere count#orders=1"]


def test_the_source_holds_beside_what_a_filter_adds():
    """The line has a message then, and still one source, which is first."""
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
    """So the metrics are there on stderr or stdout as well."""
    with recording(source="us-east") as (metrics, lines):
        lines.setFormatter(logging.Formatter("%(message)s"))
        metrics.count("orders")
        metrics.sample("load", 0.5)
        metrics.report()
        assert lines.lines == ["source=us-east count#orders=1 sample#load=0.5"]


def test_metrics_are_metrics_behind_a_queue_handler():
    """It merges messages; the line is the same all the same."""
    with recording(source="us-east") as (metrics, lines):
        waiting = queue.SimpleQueue()
        metrics._reporter._logger.addHandler(logging.handlers.QueueHandler(waiting))
        metrics.count("orders", 3)
        metrics.report()
        formatter = KeyValueFormatter(source="elsewhere")
        assert formatter.format(waiting.get()) == "source=us-east count#orders=3" == lines.lines[0]


def test_many_metrics_share_lines_of_at_most_1000_bytes():
    """Each has the source, and no metric is in two."""
    with recording(source="us-east") as (metrics, lines):
        for number in range(500):
            metrics.count(f"shop.orders.of.customer.{number}", number + 1)
        metrics.report()
        assert all(len(line.encode()) <= 1000 for line in lines.lines)
        assert all(line.startswith("source=us-east count#") for line in lines.lines)
        assert len(lines.lines) < 30
        assert [one.value for one in lines.read] == list(range(1, 501))


# What is refused


@pytest.mark.parametrize(
    "value", [-1, float("nan"), float("inf"), 10**309, Decimal("NaN")], ids=str
)
@pytest.mark.parametrize("aggregate", [False, True])
def test_a_value_that_l2met_drops_is_refused_where_it_is_given(value, aggregate):
    """In every call; what was recorded before is not harmed."""
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
    """What is aggregated is reported under longer names."""
    with recording() as (metrics, _):
        metrics.measure("a" * 194, 1, aggregate=True)
        metrics.measure("b" * 200, 1)
        with pytest.raises(ValueError, match="must be 1 to 194 bytes"):
            metrics.measure("c" * 195, 1, aggregate=True)


def test_a_second_unit_for_a_name_is_refused():
    """To a consumer it would be a metric of its own; in every stream."""
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


# A thousand metrics

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="=\"'\\#"),
    min_size=1,
    max_size=40,
).filter(lambda name: len(name.encode()) <= 190)
UNITS = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), max_size=20
)
NUMBERS = (
    st.integers(0, 10**300)
    | st.floats(0, 1.7e308)
    | st.decimals(0, 10**12, allow_nan=False, places=9)
    | st.fractions(0, 10**12)
    | st.integers(0, 2**63 - 1).map(numpy.int64)
    | st.floats(0, 1e6, width=32).map(numpy.float32)
)
SOURCES = st.none() | st.from_regex(r"[a-zA-Z0-9._/-]{1,60}", fullmatch=True)
ONE = st.tuples(st.sampled_from(["measure", "sample", "count"]), NAMES, NUMBERS, UNITS)


@settings(max_examples=1000)
@given(ONE, SOURCES)
def test_l2met_reads_exactly_what_was_meant(metric, source):
    """Name, number, unit and source of any metric, through Metrics and by itself."""
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
    """Whatever is given is either read back as it was meant, or an error of the call."""
    try:
        pairs = measure(name, value, unit)
    except (ValueError, TypeError):
        return
    (one,) = strict.metrics(strict.pairs(" ".join(f"{k}={v}" for k, v in pairs.items())))
    assert (one.name, one.unit) == (name, unit)
    assert one.value == pytest.approx(float(value), abs=6e-7)


# Percentiles

DISTRIBUTIONS = {
    "uniform": lambda generator, n: generator.uniform(0, 1000, n),
    "exponential": lambda generator, n: generator.exponential(50, n),
    "lognormal": lambda generator, n: generator.lognormal(3, 2, n),
    "pareto": lambda generator, n: generator.pareto(1.2, n) + 1,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [1_000, 100_000])
def test_percentiles_are_within_one_percent_of_numpys(name, n):
    """The bound that is stated, on values spread in four ways; the others are exact."""
    data = DISTRIBUTIONS[name](numpy.random.default_rng(20260101), n)
    with recording() as (metrics, lines):
        for value in data.tolist():
            metrics.measure("job", value, "ms", aggregate=True)
        metrics.report()
        read = {name: value for name, (value, _) in values(lines).items()}
        assert read["job.count"] == n
        assert read["job.min"] == pytest.approx(data.min(), abs=1e-6)
        assert read["job.max"] == pytest.approx(data.max(), abs=1e-6)
        assert read["job.mean"] == pytest.approx(data.mean(), rel=1e-5)
        for percent in (50, 95, 99):
            true = numpy.percentile(data, percent, method="lower")
            # The last six digits are rounded away.
            assert abs(read[f"job.p{percent}"] - true) <= 0.01 * true + 1e-5 * true


# Timers


def taken(lines, name):
    """The times of a name, in ms."""
    found = [one for one in lines.read if one.name == name]
    assert all(one.unit == "ms" for one in found)
    return [one.value for one in found]


def test_a_block_is_timed():
    """In ms, by the line or in the report, also when it fails."""
    with recording() as (metrics, lines):
        with metrics.timer("block"):
            time.sleep(0.02)
        with pytest.raises(KeyError), metrics.timer("block"):
            raise KeyError
        with metrics.timer("often", aggregate=True):
            time.sleep(0.02)
        metrics.report()
        first, second = taken(lines, "block")
        assert first >= 20 > second
        assert values(lines)["often.count"] == (1, "")
        assert values(lines)["often.p50"][0] >= 20


def test_a_function_is_timed_each_time():
    """It keeps its name, arguments and result."""
    with recording() as (metrics, lines):

        @metrics.timer("call")
        def add(a, *, b):
            """Add."""
            return a + b

        assert [add(1, b=2), add(2, b=3)] == [3, 5]
        assert (add.__name__, add.__doc__) == ("add", "Add.")
        assert len(taken(lines, "call")) == 2


def test_a_recursive_function_is_timed_at_each_depth():
    """One timer serves all."""
    with recording() as (metrics, lines):

        @metrics.timer("call")
        def down(n):
            if n:
                time.sleep(0.005)
                down(n - 1)

        down(3)
        times = taken(lines, "call")
        assert times == sorted(times)
        assert times[-1] >= 15 > times[0]


def test_a_coroutine_is_timed_with_what_it_waits_for():
    """Many at once do not disturb each other, and it is a coroutine function still."""
    with recording() as (metrics, lines):

        @metrics.timer("co")
        async def wait(seconds):
            await asyncio.sleep(seconds)
            return seconds

        async def all_of_them():
            return await asyncio.gather(wait(0.01), wait(0.05), wait(0.03))

        assert inspect.iscoroutinefunction(wait)
        assert asyncio.run(all_of_them()) == [0.01, 0.05, 0.03]
        short, middle, long = taken(lines, "co")
        assert 10 <= short < middle < long
        assert long >= 50


def test_a_generator_is_timed_from_its_first_value_to_its_last():
    """What is sent and thrown reaches it; one that is left behind counts when it is closed."""
    with recording() as (metrics, lines):

        @metrics.timer("generator")
        def echo():
            got = yield "first"
            try:
                yield got
            except KeyError:
                yield "caught"
            return "end"

        assert inspect.isgeneratorfunction(echo)
        one = echo()
        assert next(one) == "first"
        assert one.send("sent") == "sent"
        assert one.throw(KeyError()) == "caught"
        with pytest.raises(StopIteration, match="end"):
            next(one)
        assert len(taken(lines, "generator")) == 1
        left = echo()
        next(left)
        left.close()
        assert len(taken(lines, "generator")) == 2
        echo().close()
        assert len(taken(lines, "generator")) == 2


def test_an_async_generator_is_timed_too():
    """With all that can be done to it."""
    with recording() as (metrics, lines):
        closed = []

        @metrics.timer("agen")
        async def echo():
            try:
                got = yield "first"
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        async def use():
            one = echo()
            assert await one.__anext__() == "first"
            assert await one.asend("sent") == "sent"
            assert await one.athrow(KeyError()) == "caught"
            assert [value async for value in one] == []
            left = echo()
            await left.__anext__()
            await left.aclose()
            failing = echo()
            await failing.__anext__()
            with pytest.raises(ZeroDivisionError):
                await failing.athrow(ZeroDivisionError())

        assert inspect.isasyncgenfunction(echo)
        asyncio.run(use())
        assert len(closed) == 3
        assert len(taken(lines, "agen")) == 3


# Streams


def test_a_stream_has_metrics_of_its_own():
    """Its records name the stream; the others name none."""
    with recording(source="us-east") as (metrics, lines):
        metrics.count("orders")
        metrics.stream("app1").count("orders", 2)
        metrics.stream("app1").count("orders", 3)
        metrics.stream("app2").measure("latency", 4, "ms")
        with metrics.stream("app2").timer("job", aggregate=True):
            pass
        metrics.stream("app2").sample("carts", 5)
        metrics.report()
        found = [
            (getattr(record, "logplex_stream", None), line)
            for record, line in zip(lines.records, lines.lines, strict=True)
        ]
        assert found[0] == ("app2", "source=us-east measure#latency=4ms")
        by_stream = dict(found[1:])
        assert by_stream[None] == "source=us-east count#orders=1"
        assert by_stream["app1"] == "source=us-east count#orders=5"
        assert "sample#carts=5" in by_stream["app2"]
        assert "sample#job.count=1" in by_stream["app2"]
        assert "logplex_stream" not in "".join(lines.lines)


def test_streams_that_are_silent_are_forgotten():
    """Ten thousand customers of one minute cost nothing in the next."""
    with recording() as (metrics, lines):
        for number in range(10_000):
            metrics.stream(number).count("x")
        kept = metrics.stream("kept")
        metrics.report()
        assert lines.sums() == {"x": 10_000}
        gc.collect()
        assert set(metrics._reporter._meters) == {None, "kept"}
        kept.count("x")
        assert metrics.stream("kept") is kept
        metrics.report()
        assert lines.sums() == {"x": 10_001}


def test_no_stream_is_the_metrics_itself():
    """So there is one place for what belongs to nobody."""
    with recording() as (metrics, _):
        assert metrics.stream(None) is metrics


# What fails


def test_a_function_that_fails_is_left_out_counted_and_told_once():
    """All others are reported; what it says again when it works again."""
    broken = [True]

    def function():
        if broken:
            raise ValueError("no such queue")
        return 4

    with recording() as (metrics, lines):
        metrics.sample("queue.depth", function)
        metrics.sample("fine", lambda: 1)
        metrics.stream("app1").sample("secret", lambda: -1)
        metrics.report()
        metrics.report()
        broken.clear()
        metrics.report()
        warnings = [record for record in lines.records if record.levelno == logging.WARNING]
        told = [(one.metric, type(one.exc_info[1]).__name__) for one in warnings]
        assert sorted(told) == [("queue.depth", "ValueError"), ("secret", "ValueError")]
        assert not any(hasattr(record, "logplex_stream") for record in warnings)
        assert lines.sums() == {"logplex_handler.metrics.failed": 5}
        assert values(lines)["queue.depth"] == (4, "")
        assert sum(one.name == "fine" for one in lines.read) == 3


def test_a_function_that_wants_to_exit_does_not_end_the_reports():
    """It is in a thread that is not its own."""
    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("exiting", sys.exit)
        metrics.collect(sys.exit)
        metrics.count("x")
        assert wait_until(lambda: lines.sums()["x"] == 1)
        metrics.count("x")
        assert wait_until(lambda: lines.sums()["x"] == 2)


def test_what_is_collected_is_in_the_report():
    """Functions that give many metrics at once; one that fails does not cost the others."""
    with recording(source="s") as (metrics, lines):
        metrics.collect(lambda: sample("a", 1) | count("b", 2))
        metrics.collect(lambda: 1 / 0)
        metrics.count("c")
        metrics.report()
        assert lines.lines[-1] == (
            "source=s count#c=1 sample#a=1 count#b=2 count#logplex_handler.metrics.failed=1"
        )


def test_a_counter_is_not_lost_to_one_that_is_collected():
    """Both are reported, if not in one line."""
    with recording() as (metrics, lines):
        metrics.collect(lambda: count("x", 5))
        metrics.count("x", 2)
        metrics.report()
        assert lines.sums() == {"x": 7}


def test_a_logger_that_is_not_enabled_is_told_and_counts_are_kept(capsys):
    """They are reported once it is."""
    with recording() as (metrics, lines):
        metrics._reporter._logger.setLevel(logging.WARNING)
        metrics.count("x")
        metrics.report()
        assert lines.lines == []
        assert "is not enabled for INFO" in capsys.readouterr().err
        metrics._reporter._logger.setLevel(logging.INFO)
        metrics.report()
        assert lines.sums() == {"x": 1}


def test_a_stream_that_cannot_be_logged_costs_no_other(capsys):
    """Each is a record of its own; what is lost is said."""
    with recording() as (metrics, lines):

        def fail(record):
            if getattr(record, "logplex_stream", None) == "bad":
                raise RuntimeError
            return True

        metrics._reporter._logger.addFilter(fail)
        for stream in ("a", "bad", "b", "c", None):
            metrics.stream(stream).count("x")
        metrics.report()
        assert lines.sums() == {"x": 4}
        assert "metrics could not be logged: RuntimeError" in capsys.readouterr().err
        metrics._reporter._logger.removeFilter(fail)
        for stream in ("a", "bad", "b", "c", None):
            metrics.stream(stream).count("x")
        metrics.report()
        assert lines.sums() == {"x": 9}


def test_what_a_filter_raises_does_not_end_the_reports(capsys):
    """It is said on stderr, and the next interval is reported."""
    with recording(interval=0.05) as (metrics, lines):

        def fail(record):
            raise RuntimeError

        metrics._reporter._logger.addFilter(fail)
        metrics.count("x")
        assert wait_until(lambda: not metrics._counts)
        said = []
        assert wait_until(lambda: said.append(capsys.readouterr().err) or any(said))
        assert "metrics could not be logged: RuntimeError" in "".join(said)
        metrics._reporter._logger.removeFilter(fail)
        metrics.count("y")
        assert wait_until(lambda: lines.sums() == {"y": 1})


# When


@pytest.mark.parametrize(
    ("now", "due"), [(0.0, 3.0), (2.9, 3.0), (3.0, 63.0), (62.9, 63.0), (63.0, 123.0), (1e9, None)]
)
def test_reports_are_aligned_to_the_interval(now, due):
    """Whole multiples and the process's own offset; always in the future."""
    found = next_time(now, 60.0, 3.0)
    assert now < found <= now + 60
    assert found % 60 == 3
    assert due is None or found == due


def test_a_thousand_processes_do_not_speak_at_once():
    """Each has an offset of its own, within a tenth of the interval."""
    offsets = [Metrics(logging.getLogger("x"))._reporter._periodic._offset for _ in range(1000)]
    assert all(0 <= offset <= 6 for offset in offsets)
    busiest = Counter(int(offset * 10) for offset in offsets).most_common(1)[0][1]
    assert busiest < 50


def test_reports_come_by_themselves():
    """Once per interval, with what was recorded in it."""
    with recording(interval=0.1) as (metrics, lines):
        metrics.count("x")
        assert wait_until(lambda: lines.sums() == {"x": 1})
        metrics.count("x")
        assert wait_until(lambda: lines.sums() == {"x": 2})
        assert len(lines.lines) == 2


def test_nothing_runs_before_something_is_recorded():
    """Nor does a thread live on after close."""
    before = set(threading.enumerate())
    with recording() as (metrics, _):
        assert set(threading.enumerate()) == before
        metrics.count("x")
        assert len(set(threading.enumerate()) - before) == 1
    assert wait_until(lambda: set(threading.enumerate()) <= before)


def test_close_reports_the_last_interval_once(capsys):
    """What is polled is asked a last time; what comes later is dropped and said."""
    with recording() as (metrics, lines):
        metrics.count("x", 3)
        metrics.sample("held", 1)
        metrics.sample("polled", lambda: 2)
        stream = metrics.stream("app1")
        metrics.close()
        metrics.close()
        assert lines.lines == ["count#x=3 sample#held=1 sample#polled=2"]
        assert capsys.readouterr().err == ""
        metrics.count("x")
        stream.count("x")
        metrics.stream("app2").measure("x", 1, aggregate=True)
        metrics.report()
        assert len(lines.lines) == 1
        assert "metrics are recorded after close, and dropped" in capsys.readouterr().err


def test_close_does_not_wait_for_ever_for_what_hangs(monkeypatch, capsys):
    """Counts are reported all the same."""
    monkeypatch.setattr("logplex_handler.metrics.reporter._PATIENCE", 0.1)
    hang = threading.Event()
    asked = threading.Event()

    def function():
        asked.set()
        hang.wait(20)

    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("hanging", function)
        assert asked.wait(5)
        metrics.count("x", 3)
        metrics.close()
        assert lines.sums() == {"x": 3}
        assert "takes longer than 0.1 s" in capsys.readouterr().err
        hang.set()


def test_close_from_a_polled_function_ends_it():
    """It does not wait for itself."""
    with recording(interval=0.05) as (metrics, lines):
        metrics.count("x")
        metrics.sample("closing", lambda: metrics.close() or 1)
        assert wait_until(lambda: lines.sums() == {"x": 1})


def test_a_collection_of_garbage_under_the_lock_may_record():
    """The lock is re-entrant."""
    with recording() as (metrics, lines):
        with metrics._lock:
            metrics.count("x")
        metrics.report()
        assert lines.sums() == {"x": 1}


# Processes


def program(text, url, **variables):
    """Run a program with a LogplexHandler on the root logger and a Metrics of an hour."""
    start = """
        import logging, os, signal, sys, threading, time
        import logplex_handler
        from logplex_handler import LogplexHandler, Metrics
        url = os.environ["LOGPLEX_URL"]
        logging.getLogger().addHandler(LogplexHandler(streams=lambda stream: url))
        logging.getLogger().setLevel(logging.INFO)
        metrics = Metrics(logging.getLogger("shop"), interval=3600, source="s")
    """
    environ = dict(os.environ) | {"LOGPLEX_URL": url} | variables
    return subprocess.run(
        [
            sys.executable,
            # Of forks beside threads, which is what is tested.
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            textwrap.dedent(start) + textwrap.dedent(text),
        ],
        env=environ,
        capture_output=True,
        text=True,
        timeout=28,
        check=False,
    )


def sums(logplex):
    """Counters of all lines that arrived, added up."""
    totals = Counter()
    for line in logplex.lines:
        for one in strict.metrics(strict.pairs(line.text)):
            if one.kind == "count":
                totals[one.name] += one.value
    return totals


def test_the_end_of_the_program_reports_what_is_left():
    """Without a call, before logging closes the handler."""
    with LogplexReceiver() as logplex:
        done = program("metrics.count('x', 3)", logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.text for line in logplex.lines] == ["source=s count#x=3"]
        assert not logplex.violations


def test_sigterm_reports_what_is_left():
    """Where the program has asked for it."""
    text = """
        logplex_handler.flush_on_sigterm()
        metrics.count('x', 3)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert done.returncode == -15
        assert sums(logplex) == {"x": 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_starts_at_zero_and_keeps_what_is_polled():
    """What the parent has recorded, it alone reports, and once."""
    text = """
        metrics.count('x', 3)
        metrics.sample('held', 1)
        metrics.sample('pid', os.getpid)
        metrics.measure('job', 1, aggregate=True)
        if not os.fork():
            metrics.count('x', 40)
            sys.exit()
        os.wait()
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(logplex) == {"x": 43}
        read = [one for line in logplex.lines for one in strict.metrics(strict.pairs(line.text))]
        assert len({one.value for one in read if one.name == "pid"}) == 2
        assert sum(one.name == "held" for one in read) == 1
        assert sum(one.name == "job.count" for one in read) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_that_records_nothing_reports_nothing():
    """Not even what is polled, as it ends."""
    text = """
        metrics.sample('pid', os.getpid)
        if not os.fork():
            sys.exit()
        os.wait()
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(logplex.lines) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_that_python_is_not_told_of_starts_at_zero_too():
    """uWSGI forks without the hook, and perhaps while a lock is held."""
    text = """
        from logplex_handler._process import forks
        metrics.count('x', 3)
        other = metrics.stream('other')
        other.sample('polled', lambda: None)
        other.count('z', 5)
        forks._forkables.__init__()
        held = threading.Event()
        def hold():
            with metrics._lock, metrics._reporter._lock:
                held.set()
                time.sleep(1)
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        if not os.fork():
            metrics.count('x', 40)
            metrics.stream('a').count('y')
            sys.exit()
        if not os.fork():
            sys.exit()
        os.wait()
        os.wait()
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(logplex) == {"x": 43, "y": 1, "z": 5}


IN_CHILDREN = {
    "metrics first": "metrics.count('x', 40); logging.info('hello')",
    "a line first": "logging.info('hello'); metrics.count('x', 40)",
    "metrics alone": "metrics.count('x', 40)",
}


@pytest.mark.parametrize("work", IN_CHILDREN.values(), ids=IN_CHILDREN)
@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_a_child_of_multiprocessing_reports_what_is_left(library, work):
    """Such a child runs no exit functions of its own, and closes the handler at its end."""
    text = f"""
        import {library} as library
        def work():
            {work}
        metrics.count('x', 3)
        logging.info("hello")
        child = library.get_context("fork").Process(target=work)
        child.start()
        child.join()
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(logplex) == {"x": 43}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_million_counts_of_eight_threads_and_four_forks_are_exact():
    """Reports come all the time meanwhile, and each process closes in the midst of the last."""
    text = """
        metrics = Metrics(logging.getLogger("shop"), interval=0.02, source="s")
        def work(n):
            for _ in range(n):
                metrics.count("x")
        def threads(n):
            all_of_them = [threading.Thread(target=work, args=(n,)) for _ in range(8)]
            [one.start() for one in all_of_them]
            return all_of_them
        running = threads(25_000)
        for _ in range(4):
            if not os.fork():
                for one in threads(25_000):
                    one.join()
                metrics.close()
                sys.exit()
        for one in running:
            one.join()
        for _ in range(4):
            assert os.wait()[1] == 0
        metrics.close()
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(logplex) == {"x": 1_000_000}
        assert not logplex.violations
        assert len(logplex.lines) > 5


def test_counts_during_close_are_reported_or_said():
    """Each of them one of the two, whenever close comes."""
    for _ in range(20):
        with recording(interval=0.01) as (metrics, lines):
            refused = Counter()
            metrics._reporter.count_rejected = lambda refused=refused: refused.update(n=1)
            going = threading.Event()

            def work(metrics=metrics, going=going):
                for _ in range(3000):
                    metrics.count("x")
                    going.set()

            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            going.wait()
            metrics.close()
            for thread in threads:
                thread.join()
            assert lines.sums()["x"] + refused["n"] == 6000


def test_a_customers_report_reaches_the_handler(tmp_path):
    """Through the real handler: source, metrics and nothing else on the line."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(source="elsewhere")) as (
            logger,
            handler,
        ),
    ):
        metrics = Metrics(logger, source="us-east")
        metrics.measure("web.latency", 4, "ms")
        logger.info("order shipped", extra=count("orders"))
        metrics.count("orders", 17)
        metrics.close()
        handler.flush()
        assert [line.text for line in logplex.lines] == [
            "source=us-east measure#web.latency=4ms",
            f'source=elsewhere level=info logger={logger.name} msg="order shipped" count#orders=1',
            "source=us-east count#orders=17",
        ]


def test_records_of_one_shape_keep_their_sources_apart():
    """What the handler learns of records without a source of their own does not hold for others."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(source="here")) as (logger, handler),
    ):
        expected = []
        for number in range(120):
            own = {"logplex_source": f"s{number}"} if number // 30 % 2 else {}
            logger.info("order %s", number, extra={"city": "berlin"} | own)
            source = own.get("logplex_source", "here")
            expected.append(
                f'source={source} level=info logger={logger.name} msg="order {number}" city=berlin'
            )
        handler.flush()
        assert [line.text for line in logplex.lines] == expected


def test_meters_are_forgotten_by_the_fork_hook():
    """A Metrics that nobody has any more is not kept alive by it."""
    before = len(forks._forkables.all())
    Metrics(logging.getLogger("x")).stream("a")
    gc.collect()
    assert len(forks._forkables.all()) <= before
