"""A function, collector, filter or logger that fails costs no other metric."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys
import time

import pytest

from logplex_handler import (
    Metrics,
    count,
    sample,
)
from logplex_handler.metrics import reporter
from tests.logs import wait_until
from tests.metrics.shared import FAILED, Lines, recording, values


def test_a_function_that_fails_is_left_out_counted_and_told_once():
    """All others are reported, and its own value once it works again."""
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
    """The reporting thread is not its own to end."""
    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("exiting", sys.exit)
        metrics.collect(sys.exit)
        metrics.count("x")
        assert wait_until(lambda: lines.sums()["x"] == 1)
        metrics.count("x")
        assert wait_until(lambda: lines.sums()["x"] == 2)


def test_what_is_collected_is_in_the_report():
    """Functions that return several metrics; one that fails does not cost the others."""
    with recording(source="s") as (metrics, lines):
        metrics.collect(lambda: sample("a", 1) | count("b", 2))
        metrics.collect(lambda: 1 / 0)
        metrics.count("c")
        metrics.report()
        assert lines.lines[-1] == (
            "source=s count#c=1 sample#a=1 count#b=2 count#logplex_handler.metrics.failed=1"
        )


def test_a_counter_is_not_lost_to_one_that_is_collected():
    """Both are reported, although not in one line."""
    with recording() as (metrics, lines):
        metrics.collect(lambda: count("x", 5))
        metrics.count("x", 2)
        metrics.report()
        assert lines.sums() == {"x": 7}


def test_counters_that_are_collected_twice_add_up():
    """As those of two registries of Prometheus do; of samples, the last one is reported."""
    with recording() as (metrics, lines):
        for n in (5, 3, 1):
            metrics.collect(lambda n=n: count("x", n) | sample("y", n))
        metrics.count("x", 2)
        metrics.report()
        assert lines.sums() == {"x": 11}
        assert [line for line in lines.lines if "sample#" in line] == ["count#x=1 sample#y=1"]


def test_a_logger_that_is_not_enabled_is_told_and_counts_are_kept(capsys):
    """They are reported once it is enabled."""
    with recording() as (metrics, lines):
        metrics._reporter._logger.setLevel(logging.WARNING)
        metrics.count("x")
        metrics.report()
        assert lines.lines == []
        assert "is not enabled for INFO" in capsys.readouterr().err
        metrics._reporter._logger.setLevel(logging.INFO)
        metrics.report()
        assert lines.sums() == {"x": 1}


def test_a_logger_that_is_not_enabled_keeps_no_more_names_than_a_program_has(monkeypatch):
    """A program may put ids into names, or have a meter for each of them."""
    monkeypatch.setattr(reporter, "_MAX_NAMES_WAITING", 3)
    with recording() as (metrics, lines):
        metrics._reporter._logger.setLevel(logging.WARNING)
        metrics.sample("kept", 1)
        for number in range(2):
            metrics.count(f"a.{number}")
            metrics.stream(number).count("b")
        metrics.report()
        metrics.count("c")
        metrics._reporter._logger.setLevel(logging.INFO)
        metrics.report()
        assert lines.lines == ["count#c=1 sample#kept=1"]


def test_what_a_filter_raises_does_not_end_the_reports(capsys):
    """The failure is reported on stderr, and the next interval is logged."""
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


@pytest.mark.parametrize(
    "returned",
    [
        {1: 2},
        {"a b": "x\ny count#z=1"},
        {"count#q": 5},
        {"count#q": "5"},
        {"name": "of a record's own"},
        {"orders": 5},
        {"sample#x": "1e3ms"},
        None,
        5,
        [("a", "b")],
    ],
)
def test_what_is_collected_and_is_no_metric_costs_no_other(returned):
    """It is left out like a function that fails; the other metrics are reported."""
    with recording() as (metrics, lines):
        metrics.collect(lambda: returned)
        metrics.collect(lambda: sample("fine", 1))
        metrics.count("x")
        metrics.report()
        assert lines.lines[-1] == f"count#x=1 sample#fine=1 count#{FAILED}=1"


def test_a_cancelled_function_does_not_end_the_reports():
    """CancelledError is no Exception, and it must not end the reporting thread."""

    def cancelled():
        raise asyncio.CancelledError

    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("cancelled", cancelled)
        metrics.collect(cancelled)
        for total in (1, 2):
            metrics.count("x")
            assert wait_until(lambda total=total: lines.sums()["x"] == total)


def test_an_interrupt_of_a_report_is_not_taken_for_a_failure():
    """Ctrl-C during a report that the program has asked for reaches the program."""

    def interrupted():
        raise KeyboardInterrupt

    with recording() as (metrics, _):
        metrics.sample("x", interrupted)
        with pytest.raises(KeyboardInterrupt):
            metrics.report()
        metrics.sample("x", None)


def test_a_logger_without_a_handler_is_told_and_counts_are_kept(capsys):
    """They are reported once there is one."""
    logger = logging.getLogger(f"test.bare{time.monotonic_ns()}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    metrics = Metrics(logger, interval=3600)
    metrics.count("x")
    metrics.report()
    assert f"metrics are not logged: {logger.name} has no handler" in capsys.readouterr().err
    lines = Lines()
    logger.addHandler(lines)
    metrics.close()
    assert lines.sums() == {"x": 1}
