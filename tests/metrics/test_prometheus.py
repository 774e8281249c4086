"""Metrics of the real prometheus_client become lines."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading

import numpy
import prometheus_client
import pytest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from logplex_handler import ConfigurationError
from logplex_handler.metrics.bridge import Increments
from logplex_handler.prometheus import PrometheusBridge
from tests.logs import wait_until
from tests.metrics.shared import recording, values


@pytest.fixture
def registry():
    return prometheus_client.CollectorRegistry()


@pytest.fixture
def bridged(registry):
    """A Metrics that reports the registry, and what it logs."""
    with recording(source="web.1") as (metrics, lines):
        yield metrics, lines, PrometheusBridge(metrics, registry)


def test_a_counter_becomes_increments(registry, bridged):
    """The values of its labels follow the name; a counter that did not change is not reported."""
    metrics, lines, _ = bridged
    requests = prometheus_client.Counter(
        "http_requests", "d", ["method", "path"], registry=registry
    )
    requests.labels("get", "/a.html b").inc(3)
    requests.labels("post", "/").inc(0.5)
    metrics.report()
    assert lines.sums() == {"http_requests.get./a_html_b": 3, "http_requests.post./": 0.5}
    requests.labels("get", "/a.html b").inc(4)
    metrics.report()
    metrics.report()
    assert lines.sums() == {"http_requests.get./a_html_b": 7, "http_requests.post./": 0.5}
    assert len(lines.lines) == 2
    assert all(line.startswith("source=web.1 count#") for line in lines.lines)


def test_what_was_counted_before_the_bridge_is_no_increment(registry):
    """A counter that was reset is not lost either."""
    jobs = prometheus_client.Counter("jobs", "d", registry=registry)
    jobs.inc(1000)
    with recording() as (metrics, lines):
        PrometheusBridge(metrics, registry)
        jobs.inc(3)
        metrics.report()
        assert lines.sums() == {"jobs": 3}
        jobs.reset()
        jobs.inc(5)
        metrics.report()
        assert lines.sums() == {"jobs": 8}


def test_labels_with_the_names_of_bounds_are_labels(registry, bridged):
    """Only the buckets of a histogram have bounds, and a summary's quantiles are not reported."""
    metrics, lines, _ = bridged
    shares = prometheus_client.Counter("shares", "d", ["quantile"], registry=registry)
    limits = prometheus_client.Counter("limits", "d", ["le"], registry=registry)
    times = prometheus_client.Histogram("times", "d", ["quantile"], registry=registry)
    sizes = prometheus_client.Summary("sizes", "d", ["le"], registry=registry)
    shares.labels("a").inc(5)
    shares.labels("b").inc(7)
    limits.labels("10").inc(3)
    times.labels("a").observe(2)
    times.labels("b").observe(3)
    sizes.labels("10").observe(4)
    metrics.report()
    assert lines.sums() == {"shares.a": 5, "shares.b": 7, "limits.10": 3}
    found = values(lines)
    means = [found[f"{name}.mean"][0] for name in ("times.a", "times.b", "sizes.10")]
    assert means == [2, 3, 4]


def test_labels_that_no_name_can_tell_apart_are_added(registry, bridged):
    """So that no count is lost."""
    metrics, lines, _ = bridged
    requests = prometheus_client.Counter("r", "d", ["path"], registry=registry)
    requests.labels("a.b").inc(1)
    requests.labels("a b").inc(2)
    metrics.report()
    assert lines.sums() == {"r.a_b": 3}


def test_gauges_and_states_become_samples(registry, bridged):
    """With the metric's unit, if it has one."""
    metrics, lines, _ = bridged
    prometheus_client.Gauge("queue_depth", "d", registry=registry).set(12)
    prometheus_client.Gauge("heap_bytes", "d", registry=registry).set(2**40)
    prometheus_client.Gauge("weight", "d", unit="grams", registry=registry).set(1.5)
    prometheus_client.Enum("phase", "d", states=["a", "b"], registry=registry).state("b")
    prometheus_client.Info("build", "d", registry=registry).info({"version": "1"})
    metrics.report()
    assert values(lines) == {
        "queue_depth": (12, ""),
        "heap_bytes": (2**40, "bytes"),
        "weight_grams": (1.5, "grams"),
        "phase.a": (0, ""),
        "phase.b": (1, ""),
    }


def test_a_histogram_becomes_percentiles_of_the_interval(registry, bridged):
    """As exact as its buckets; the next report starts at zero."""
    metrics, lines, _ = bridged
    histogram = prometheus_client.Histogram(
        "latency_seconds", "d", ["route"], registry=registry, buckets=[n / 100 for n in range(101)]
    )
    data = numpy.random.default_rng(1).uniform(0, 1, 10_000)
    for value in data:
        histogram.labels("home").observe(value)
    metrics.report()
    read = values(lines)
    assert read["latency_seconds.home.count"] == (10_000, "")
    assert read["latency_seconds.home.mean"][0] == pytest.approx(data.mean(), rel=1e-4)
    for percent in (50, 95, 99):
        value, unit = read[f"latency_seconds.home.p{percent}"]
        assert unit == "s"
        assert value == pytest.approx(numpy.percentile(data, percent), abs=0.01)
    lines.records.clear()
    histogram.labels("home").observe(0.001)
    metrics.report()
    assert values(lines)["latency_seconds.home.count"] == (1, "")
    assert values(lines)["latency_seconds.home.p99"][0] <= 0.01
    lines.records.clear()
    metrics.report()
    assert lines.lines == []


def test_values_beyond_the_last_bucket_are_where_it_begins(registry, bridged):
    """Only the lower bound of that bucket is known."""
    metrics, lines, _ = bridged
    histogram = prometheus_client.Histogram("x", "d", registry=registry, buckets=[1, 10])
    histogram.observe(500)
    metrics.report()
    assert values(lines)["x.p50"] == (10, "")


def test_a_summary_becomes_count_and_mean(registry, bridged):
    """It has nothing else."""
    metrics, lines, _ = bridged
    summary = prometheus_client.Summary("body_bytes", "d", registry=registry)
    summary.observe(10)
    summary.observe(20)
    metrics.report()
    assert values(lines) == {"body_bytes.count": (2, ""), "body_bytes.mean": (15, "bytes")}


def test_what_l2met_could_not_read_is_left_out_counted_and_told_once(registry, bridged):
    """All other metrics are reported."""
    metrics, lines, _ = bridged
    prometheus_client.Gauge("temperature", "d", registry=registry).set(-4)
    prometheus_client.Gauge("unknown", "d", registry=registry).set(float("nan"))
    prometheus_client.Gauge("fine", "d", registry=registry).set(1)
    metrics.report()
    metrics.report()
    warnings = [one.metric for one in lines.records if one.levelno == logging.WARNING]
    assert sorted(warnings) == ["temperature", "unknown"]
    assert lines.sums() == {"logplex_handler.metrics.failed": 4}
    assert values(lines) == {"fine": (1, "")}


def test_the_librarys_own_registry_is_the_default():
    """It has metrics of the process."""
    with recording() as (metrics, lines):
        PrometheusBridge(metrics)
        metrics.report()
        assert values(lines)["process_resident_memory_bytes"][1] == "bytes"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_behind_a_fork_nothing_is_counted_twice(registry, bridged):
    """The parent reports what it counted; the child's first report is its starting point."""
    _, _, bridge = bridged
    jobs = prometheus_client.Counter("jobs", "d", registry=registry)
    jobs.inc(1000)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            first = bridge._collect()
            jobs.inc(3)
            os.write(writer, repr([first, bridge._collect()]).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 1000).decode() == "[{}, {'count#jobs': '3'}]"
    os.close(reader)
    os.close(writer)


class _Interrupted:
    """A collector in the middle of which something else happens, once."""

    def __init__(self):
        self.happens = None

    def collect(self):
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return []


@pytest.fixture
def jobs_and_interrupted(registry, bridged):
    """A counter of which a thousand are reported, and a collector behind it."""
    jobs = prometheus_client.Counter("jobs", "d", registry=registry)
    interrupted = _Interrupted()
    registry.register(interrupted)
    jobs.inc(1000)
    bridged[0].report()
    return jobs, interrupted


def test_a_report_in_the_middle_of_another_one_counts_nothing_twice(bridged, jobs_and_interrupted):
    """As that of a signal handler, whose totals are later than those that are just being read."""
    metrics, lines, _ = bridged
    jobs, interrupted = jobs_and_interrupted

    def report():
        jobs.inc(5)
        metrics.count("own")
        metrics.report()

    jobs.inc(10)
    interrupted.happens = report
    metrics.report()
    metrics.report()
    assert lines.sums() == {"jobs": 1015, "own": 1}


def test_a_report_of_another_thread_meanwhile_counts_nothing_twice(
    bridged, jobs_and_interrupted, monkeypatch
):
    """It waits until the first one has read all totals."""
    monkeypatch.setattr("logplex_handler.metrics.reporter._PATIENCE", 100.0)
    metrics, lines, _ = bridged
    jobs, interrupted = jobs_and_interrupted
    other = threading.Thread(target=metrics.report)

    def report():
        jobs.inc(5)
        other.start()
        assert wait_until(lambda: not other.is_alive() or _place_of(other) == "holding")

    jobs.inc(10)
    interrupted.happens = report
    metrics.report()
    other.join(100)
    assert lines.sums() == {"jobs": 1015}


def _place_of(thread):
    """The name of the function in which a thread is, empty if it is just ending."""
    frame = sys._current_frames().get(thread.ident)
    return "" if frame is None else frame.f_code.co_name


def test_without_prometheus_client_the_error_names_the_extra(monkeypatch):
    """When the bridge is made."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with (
        recording() as (metrics, _),
        pytest.raises(ConfigurationError, match=r"logplex-handler\[prometheus\]"),
    ):
        PrometheusBridge(metrics)


def test_what_cannot_be_reported_costs_no_other_counter(registry, bridged):
    """Two counters with one name whose sum is too large do not cost a third."""
    metrics, lines, _ = bridged
    counter = prometheus_client.Counter("c", "d", ["l"], registry=registry)
    counter.labels("a.b").inc(1.7e308)
    counter.labels("a_b").inc(1.7e308)
    counter.labels("fine").inc(5)
    metrics.report()
    metrics.report()
    assert lines.sums() == {"c.fine": 5, "logplex_handler.metrics.failed": 1}


def test_counters_are_kept_where_a_function_of_the_registry_fails(registry, bridged):
    """The registry returns nothing; the next report has the increments."""
    metrics, lines, _ = bridged
    counter = prometheus_client.Counter("c", "d", registry=registry)
    gauge = prometheus_client.Gauge("g", "d", registry=registry)
    gauge.set_function(lambda: 1 / 0)
    counter.inc(7)
    metrics.count("own")
    metrics.report()
    assert lines.sums()["own"] == 1
    gauge.set_function(lambda: 1)
    metrics.report()
    assert lines.sums()["c"] == 7
    assert values(lines)["g"] == (1, "")


def test_a_registry_that_fails_at_first_is_bridged_later(registry):
    """Its totals at its first success are the starting point."""
    counter = prometheus_client.Counter("c", "d", registry=registry)
    gauge = prometheus_client.Gauge("g", "d", registry=registry)
    gauge.set_function(lambda: 1 / 0)
    counter.inc(3)
    with recording() as (metrics, lines):
        PrometheusBridge(metrics, registry)
        gauge.set_function(lambda: 1)
        metrics.report()
        counter.inc(2)
        metrics.report()
        assert lines.sums()["c"] == 2


def test_two_gauges_of_one_name_are_told(registry, bridged):
    """Labels that differ only in characters that no name can have, or only near the end."""
    metrics, lines, _ = bridged
    gauge = prometheus_client.Gauge("g", "d", ["l"], registry=registry)
    for label in ("p.q", "p_q", "z" * 300 + "1", "z" * 300 + "2"):
        gauge.labels(label).set(1)
    metrics.report()
    assert sum(record.levelno == logging.WARNING for record in lines.records) == 2
    assert values(lines)["g.p_q"] == (1, "")
    assert lines.sums() == {"logplex_handler.metrics.failed": 2}


def test_a_histogram_without_a_mean_keeps_its_other_parts(registry, bridged):
    """After one infinite value its sum stays infinite."""
    metrics, lines, _ = bridged
    histogram = prometheus_client.Histogram("h", "d", registry=registry, buckets=[1, 2])
    histogram.observe(float("inf"))
    metrics.report()
    histogram.observe(0.5)
    metrics.report()
    parts = values(lines)
    assert parts["h.count"] == (1, "")
    assert float(parts["h.p50"][0]) == pytest.approx(0.5)
    assert "h.mean" not in parts


class Collector:
    """A collector of the application, whose families are given, and which may fail."""

    def __init__(self, *families, error=None):
        self.families = families
        self.error = error

    def collect(self):
        if self.error is not None:
            raise self.error
        yield from self.families


def counter_family(total, name="remote"):
    """A counter that does not say when it was created."""
    return CounterMetricFamily(name, "d", value=total)


def histogram_family(n, total):
    return HistogramMetricFamily("lat", "d", buckets=[("1", 1.0), ("+Inf", n)], sum_value=total)


@pytest.mark.parametrize("broken", [float("inf"), float("nan"), "x", None])
def test_a_total_that_is_no_finite_number_costs_its_own_metric_alone(registry, bridged, broken):
    """Once it is a number again, the increments since the last number are reported."""
    metrics, lines, _ = bridged
    collector = Collector(counter_family(5), histogram_family(4.0, 8.0))
    registry.register(collector)
    counter = prometheus_client.Counter("c", "d", registry=registry)
    counter.inc(5)
    metrics.report()
    assert lines.sums() == {"remote": 5, "c": 5}
    lines.records.clear()

    bad = counter_family(1)
    bad.samples[0] = bad.samples[0]._replace(value=broken)
    bad_histogram = histogram_family(1.0, 100.0)
    at = next(i for i, one in enumerate(bad_histogram.samples) if one.labels.get("le") == "+Inf")
    bad_histogram.samples[at] = bad_histogram.samples[at]._replace(value=broken)
    collector.families = (bad, bad_histogram)
    counter.inc(2)
    metrics.report()
    assert lines.sums() == {"c": 2, "logplex_handler.metrics.failed": 2}
    assert not values(lines)
    lines.records.clear()

    collector.families = (counter_family(6), histogram_family(6.0, 14.0))
    metrics.report()
    assert lines.sums() == {"remote": 1}
    assert values(lines)["lat.count"] == (2, "")
    assert values(lines)["lat.mean"] == (3, "")


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError()])
def test_a_collector_that_fails_costs_its_own_metrics_alone(registry, error):
    """Its increments are those since its last success; the totals of its first are their start."""
    failing = Collector(counter_family(1000), error=error)
    registry.register(failing)
    counter = prometheus_client.Counter("c", "d", registry=registry)
    with recording() as (metrics, lines):
        PrometheusBridge(metrics, registry)
        counter.inc(5)
        metrics.report()
        assert lines.sums() == {"c": 5, "logplex_handler.metrics.failed": 2}
        failing.error = None
        metrics.report()
        failing.families = [counter_family(1003)]
        metrics.report()
        assert lines.sums()["remote"] == 3
        failing.error = error
        counter.inc(1)
        metrics.report()
        failing.error, failing.families = None, [counter_family(1007)]
        metrics.report()
        assert lines.sums() == {"c": 6, "remote": 7, "logplex_handler.metrics.failed": 3}


def test_a_registry_of_another_class_is_bridged_as_a_whole(registry):
    """It may have no list of collectors."""
    counter = prometheus_client.Counter("c", "d", registry=registry)
    prometheus_client.Counter("other", "d", registry=registry).inc(1)
    with recording() as (metrics, lines):
        PrometheusBridge(metrics, registry.restricted_registry(["c_total"]))
        counter.inc(5)
        metrics.report()
        assert lines.sums() == {"c": 5}


def test_labels_that_are_removed_and_made_again_are_counted_from_zero(registry, bridged):
    """Also within one interval, and if the new total is larger than the old one."""
    metrics, lines, _ = bridged
    counter = prometheus_client.Counter("c", "d", ["room"], registry=registry)
    histogram = prometheus_client.Histogram("h", "d", ["room"], registry=registry, buckets=[1, 2])
    counter.labels("a").inc(5)
    histogram.labels("a").observe(0.5)
    metrics.report()
    for n in (7, 100):
        counter.remove("a")
        histogram.remove("a")
        counter.labels("a").inc(n)
        for _ in range(n):
            histogram.labels("a").observe(1.5)
        lines.records.clear()
        metrics.report()
        assert lines.sums() == {"c.a": n}
        assert values(lines)["h.a.count"] == (n, "")
        assert values(lines)["h.a.mean"] == (1.5, "")
        if n == 7:
            counter.remove("a")
            histogram.remove("a")
            metrics.report()


def test_a_counter_that_was_absent_goes_on_from_its_total(registry, bridged):
    """A total that was reported is not reported again."""
    metrics, lines, _ = bridged
    collector = Collector(counter_family(1000))
    registry.register(collector)
    own = prometheus_client.Counter("own", "d", registry=registry)
    own.inc(50)
    metrics.report()
    collector.families = []
    registry.unregister(own)
    metrics.report()
    collector.families = [counter_family(1003)]
    registry.register(own)
    own.inc(2)
    metrics.report()
    assert lines.sums() == {"remote": 1003, "own": 52}


def test_totals_of_removed_labels_are_forgotten(registry, bridged, monkeypatch):
    """All but a limited number, those that were seen last; a failing collector's are all kept."""
    monkeypatch.setattr("logplex_handler.metrics.bridge._MAX_UNSEEN", 10)
    metrics, lines, bridge = bridged
    names = [f"remote{n}" for n in range(30)]
    collector = Collector(*[counter_family(1000, name) for name in names])
    registry.register(collector)
    metrics.report()
    collector.error = ValueError("x")
    counter = prometheus_client.Counter("c", "d", ["room"], registry=registry)
    for start in range(0, 100, 20):
        for room in range(start, start + 20):
            counter.labels(str(room)).inc()
        metrics.report()
        assert len(bridge._increments._seen) <= 30 + 20 + 10
        for room in range(start, start + 20):
            counter.remove(str(room))
    lines.records.clear()
    collector.error = None
    metrics.report()
    assert lines.sums() == {}


@pytest.mark.parametrize(
    ("totals", "created", "increments"),
    [
        ({"_count": 7, "_sum": 30}, 0, {"_count": 2, "_sum": 10}),
        ({"_count": 5, "_sum": 20}, 0, {"_count": 0, "_sum": 0}),
        # Values may be negative.
        ({"_count": 6, "_sum": 15}, 0, {"_count": 1, "_sum": -5}),
        ({"_count": 4, "_sum": 30}, 0, {"_count": 4, "_sum": 30}),
        # The time of creation varies, or is after the first report began, or is a new one.
        ({"_count": 7, "_sum": 30}, 90.001, {"_count": 2, "_sum": 10}),
        ({"_count": 7, "_sum": 30}, 100.5, {"_count": 2, "_sum": 10}),
        ({"_count": 7, "_sum": 30}, 101, {"_count": 7, "_sum": 30}),
    ],
)
def test_increments_since_the_last_report_or_the_creation(totals, created, increments):
    """The previous report began at 100."""
    found = Increments()
    before = 100.5 if created == 100.5 else 90.0
    assert found.of("x", {"_count": 5, "_sum": 20}, 100, before) == {"_count": 5, "_sum": 20}
    assert found.of("x", totals, 200, created) == increments
