"""Metrics of a stream go to the customer that owns the stream."""

from __future__ import annotations

import gc

from logplex_handler import (
    KeyValueFormatter,
    Metrics,
    count,
)
from logplex_handler.metrics.metric_pairs import MetricSource
from logplex_handler.testing import LogplexReceiver
from tests.logs import logging_to
from tests.metrics.shared import recording


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
    """Ten thousand streams of one minute cost nothing in the next."""
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
    """So there is one meter for metrics without a stream."""
    with recording() as (metrics, _):
        assert metrics.stream(None) is metrics


def test_a_stream_that_cannot_be_logged_costs_no_other(capsys):
    """Each stream has its own record; a loss is reported."""
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


def test_records_of_one_call_site_keep_their_sources_apart():
    """A call site compiled for records without their own source is not used for others."""
    with (
        LogplexReceiver() as logplex,
        logging_to(logplex.url, formatter=KeyValueFormatter(source="here")) as (logger, handler),
    ):
        expected = []
        for number in range(120):
            own = {"logplex_source": MetricSource(f"s{number}")} if number // 30 % 2 else {}
            logger.info("order %s", number, extra={"city": "berlin"} | own)
            source = own.get("logplex_source", "here")
            expected.append(
                f'source={source} level=info logger={logger.name} msg="order {number}" city=berlin'
            )
        handler.flush()
        assert [line.text for line in logplex.lines] == expected
