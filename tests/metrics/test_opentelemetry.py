"""Metrics exported by the real OpenTelemetry SDK become lines."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy
import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)

from logplex_handler import ConfigurationError, KeyValueFormatter, Metrics
from logplex_handler.opentelemetry import LogplexMetricExporter
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.logs import logging_to, own_logger
from tests.metrics.shared import Lines, values


class Exported:
    """A meter of the real SDK, whose reader exports when it is told."""

    def __init__(self, **options):
        self.lines = Lines()
        self.logger = logging.getLogger(f"test.otel{id(self)}")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.lines)
        self.reader = PeriodicExportingMetricReader(
            LogplexMetricExporter(self.logger, source="web.1"), export_interval_millis=3_600_000
        )
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False, **options)
        self.meter = self.provider.get_meter("test")

    def report(self):
        self.lines.records.clear()
        assert self.reader.force_flush()
        return self.lines


@pytest.fixture
def exported():
    made = []

    def make(**options):
        made.append(Exported(**options))
        return made[-1]

    yield make
    for one in made:
        one.provider.shutdown()


def test_otel_counters_become_increments(exported):
    """Also observable counters; the attributes follow the name."""
    one = exported()
    requests = one.meter.create_counter("http.requests", unit="{request}")
    total = [100]
    one.meter.create_observable_counter(
        "bytes", callbacks=[lambda _: [Observation(total[0])]], unit="By"
    )
    requests.add(3, {"method": "GET", "status": 200})
    requests.add(1, {"method": "GET", "status": 500})
    assert one.report().sums() == {
        "http.requests.GET.200": 3,
        "http.requests.GET.500": 1,
        "bytes": 100,
    }
    assert all(line.startswith("source=web.1 ") for line in one.lines.lines)
    requests.add(4, {"method": "GET", "status": 200})
    total[0] = 130
    assert one.report().sums() == {"http.requests.GET.200": 4, "bytes": 30}


def test_otel_gauges_become_samples(exported):
    """So do up-down counters."""
    one = exported()
    one.meter.create_gauge("temperature", unit="Cel").set(21.5)
    one.meter.create_observable_gauge("load", callbacks=[lambda _: [Observation(0.5)]], unit="1")
    open_now = one.meter.create_up_down_counter("connections")
    open_now.add(5)
    open_now.add(-2)
    assert values(one.report()) == {
        "temperature": (21.5, "Cel"),
        "load": (0.5, ""),
        "connections": (3, ""),
    }
    open_now.add(-1)
    assert values(one.report())["connections"] == (2, "")


def test_otel_attributes_are_written_as_in_log_lines(exported):
    """Bools in lower case, and sequences without Python's quotes."""
    one = exported()
    requests = one.meter.create_counter("requests")
    requests.add(1, {"ok": True, "path": 'a "b".c'})
    requests.add(2, {"ok": False, "tags": ("a", "b c")})
    assert one.report().sums() == {"requests.true.a_b_c": 1, "requests.false.[a,b_c]": 2}


@pytest.mark.parametrize(
    ("unit", "name", "written"),
    [
        ("ms", "x.GET", "ms"),
        ("By", "x.GET", "bytes"),
        ("1", "x.GET", ""),
        ("", "x.GET", ""),
        ("{request}", "x.GET", ""),
        ("By{used}", "x.GET", "bytes"),
        ("%", "x.GET", "percent"),
        ("m/s", "x.m/s.GET", ""),
        ("{request}/s", "x./s.GET", ""),
        ("10*6 a=b", "x.10*6_a_b.GET", ""),
    ],
)
def test_an_otel_unit_that_cannot_be_written_is_in_the_name(exported, unit, name, written):
    """Consumers read letters only."""
    one = exported()
    one.meter.create_gauge("x", unit=unit).set(2, {"method": "GET"})
    assert values(one.report()) == {name: (2, written)}


@pytest.mark.parametrize("name", ["uniform", "lognormal"])
def test_otel_histograms_become_percentiles_of_the_interval(exported, name):
    """Within five percent of numpy's; the next report starts at zero."""
    one = exported()
    histogram = one.meter.create_histogram("latency", unit="ms")
    generator = numpy.random.default_rng(1)
    data = {
        "uniform": generator.uniform(1, 100, 20_000),
        "lognormal": generator.lognormal(3, 1, 20_000),
    }[name]
    for value in data.tolist():
        histogram.record(value, {"route": "home"})
    read = values(one.report())
    assert read["latency.home.count"] == (20_000, "")
    assert read["latency.home.min"][0] == pytest.approx(data.min(), rel=1e-5)
    assert read["latency.home.max"][0] == pytest.approx(data.max(), rel=1e-5)
    assert read["latency.home.mean"] == (pytest.approx(data.mean(), rel=1e-5), "ms")
    for percent in (50, 95, 99):
        assert read[f"latency.home.p{percent}"][0] == pytest.approx(
            numpy.percentile(data, percent), rel=0.05
        )
    histogram.record(7, {"route": "home"})
    read = values(one.report())
    assert read["latency.home.count"] == (1, "")
    assert read["latency.home.p99"] == (7, "ms")


def test_otel_histograms_with_buckets_of_their_own_work_too(exported):
    """As a view of the application may configure."""
    view = View(
        instrument_name="latency", aggregation=ExplicitBucketHistogramAggregation([10, 20, 30])
    )
    one = exported(views=[view])
    histogram = one.meter.create_histogram("latency", unit="ms")
    for value in (5, 15, 15, 25, 99):
        histogram.record(value)
    read = values(one.report())
    assert read["latency.count"] == (5, "")
    assert 10 <= read["latency.p50"][0] <= 20
    assert read["latency.max"] == (99, "ms")
    assert 30 <= read["latency.p99"][0] <= 99


@pytest.mark.parametrize(
    "aggregation",
    [
        ExplicitBucketHistogramAggregation([10, 20, 30], record_min_max=False),
        ExponentialBucketHistogramAggregation(record_min_max=False),
    ],
)
def test_an_otel_histogram_without_a_minimum_and_a_maximum_has_percentiles(exported, aggregation):
    """The SDK then gives infinite ones."""
    one = exported(views=[View(instrument_name="latency", aggregation=aggregation)])
    histogram = one.meter.create_histogram("latency", unit="ms")
    for value in (5, 15, 15, 15, 25):
        histogram.record(value)
    lines = one.report()
    assert lines.sums() == {}
    read = values(lines)
    assert sorted(read) == [f"latency.{part}" for part in ("count", "mean", "p50", "p95", "p99")]
    assert 10 <= read["latency.p50"][0] <= 20


def test_what_otel_has_and_l2met_could_not_read_is_left_out_and_told(exported):
    """All other metrics are reported."""
    one = exported()
    one.meter.create_gauge("temperature").set(-4)
    one.meter.create_gauge("fine").set(1)
    lines = one.report()
    assert [r.metric for r in lines.records if r.levelno == logging.WARNING] == ["temperature"]
    assert lines.sums() == {"logplex_handler.metrics.failed": 1}
    assert values(lines) == {"fine": (1, "")}
    lines = one.report()
    assert not [r for r in lines.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize("buckets", [160, 2])
def test_otel_histograms_hold_the_largest_floats(exported, buckets):
    """Their last bucket ends beyond them; with few buckets, each is wider than all floats."""
    view = View(
        instrument_name="size",
        aggregation=ExponentialBucketHistogramAggregation(max_size=buckets),
    )
    one = exported(views=[view])
    histogram = one.meter.create_histogram("size")
    one.meter.create_counter("orders").add(5)
    for value in (1e-300, 1.7e308):
        histogram.record(value)
    lines = one.report()
    assert lines.sums() == {"orders": 5}
    read = values(lines)
    assert read["size.count"] == (2, "")
    assert read["size.max"][0] == pytest.approx(1.7e308)
    assert 1e307 < read["size.p99"][0] <= 1.7e308


def test_an_otel_point_that_fails_costs_no_other(exported):
    """It is counted, and told once."""
    one = exported()
    one.meter.create_histogram("latency").record(1)
    one.meter.create_gauge("fine").set(1)
    one.meter.create_counter("orders").add(5)
    exporter = one.reader._exporter
    export = exporter.export

    def break_and_export(data, **kwargs):
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            if metric.name == "latency":
                (point,) = metric.data.data_points
                object.__setattr__(point, "positive", None)
        return export(data, **kwargs)

    exporter.export = break_and_export
    lines = one.report()
    assert [r.metric for r in lines.records if r.levelno == logging.WARNING] == ["latency"]
    assert lines.sums() == {"orders": 5, "logplex_handler.metrics.failed": 1}
    assert values(lines) == {"fine": (1, "")}


def test_otel_metrics_arrive_at_the_receiver_at_shutdown():
    """The provider's shutdown exports the remaining metrics."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(source="elsewhere")) as (
            logger,
            handler,
        ),
    ):
        reader = PeriodicExportingMetricReader(LogplexMetricExporter(logger, source="web.1"))
        provider = MeterProvider([reader], shutdown_on_exit=False)
        provider.get_meter("shop").create_counter("orders").add(17)
        provider.shutdown()
        handler.flush()
        assert [line.text for line in logplex.lines] == ["source=web.1 count#orders=17"]
        assert strict.metrics(strict.pairs(logplex.lines[0].text))[0].source == "web.1"


def test_without_the_sdk_the_error_names_the_extra():
    """When the module is imported."""
    text = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\nimport logplex_handler.opentelemetry"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=100, check=False
    )
    assert "pip install 'logplex-handler[opentelemetry]'" in done.stderr


def test_an_exporter_checks_its_arguments():
    """As Metrics does."""
    with pytest.raises(ConfigurationError, match=r"^source: "):
        LogplexMetricExporter(logging.getLogger("x"), source="a b")
    with pytest.raises(ConfigurationError, match=r"^logger: "):
        Metrics("x")


def test_an_export_that_nobody_logs_is_a_failure_and_said(capsys):
    """For example, if the logger has no handler."""
    logger = logging.getLogger("test.bridges.bare")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    exporter = LogplexMetricExporter(logger)
    assert exporter.export(None) is MetricExportResult.FAILURE
    assert "metrics are not logged: test.bridges.bare has no handler" in capsys.readouterr().err


def test_an_export_that_a_filter_ends_is_a_failure(exported):
    """The application's filters may fail."""
    one = exported()
    exporter, results = one.reader._exporter, []
    export = exporter.export
    exporter.export = lambda data, **kwargs: results.append(export(data, **kwargs))
    one.meter.create_counter("orders").add(1)
    for fails in (True, False):
        one.logger.filters = [lambda record, fails=fails: 1 / 0 if fails else True]
        one.meter.create_counter("orders").add(1)
        one.reader.force_flush()
    assert results == [MetricExportResult.FAILURE, MetricExportResult.SUCCESS]


def test_totals_of_two_meters_with_one_name_are_told_apart():
    """Some readers give totals, not increments; the sum of both meters' increments is reported."""
    reader, lines = InMemoryMetricReader(), Lines()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counters = [provider.get_meter(name).create_counter("jobs") for name in ("a", "b")]
    with own_logger(logging.INFO) as logger:
        logger.addHandler(lines)
        exporter = LogplexMetricExporter(logger)
        for _ in range(3):
            counters[0].add(100)
            counters[1].add(1)
            exporter.export(reader.get_metrics_data())
    provider.shutdown()
    assert lines.lines == ["count#jobs=101"] * 3
