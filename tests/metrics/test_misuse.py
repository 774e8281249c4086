"""`Metrics` in hands that mean no good, or know no better: what others recorded is still exact."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time

import pytest

from logplex_handler import Metrics, count, sample
from tests.logs import wait_until
from tests.metrics.shared import Lines, recording, values

FAILED = "logplex_handler.metrics.failed"


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
    """It is left out as a function that fails is; what was counted beside it is reported."""
    with recording() as (metrics, lines):
        metrics.collect(lambda: returned)
        metrics.collect(lambda: sample("fine", 1))
        metrics.count("x")
        metrics.report()
        assert lines.lines[-1] == f"count#x=1 sample#fine=1 count#{FAILED}=1"


def test_a_cancelled_function_does_not_end_the_reports():
    """Cancellation is no Exception, and the thread that asks is not the one to be cancelled."""

    def cancelled():
        raise asyncio.CancelledError

    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("cancelled", cancelled)
        metrics.collect(cancelled)
        for total in (1, 2):
            metrics.count("x")
            assert wait_until(lambda total=total: lines.sums()["x"] == total)


def test_an_interrupt_of_a_report_is_not_taken_for_a_failure():
    """Ctrl-C while the program itself reports is for the program."""

    def interrupted():
        raise KeyboardInterrupt

    with recording() as (metrics, _):
        metrics.sample("x", interrupted)
        with pytest.raises(KeyboardInterrupt):
            metrics.report()
        metrics.sample("x", None)


def test_counts_that_become_too_large_are_told_and_raise_nothing():
    """Whole numbers that no float holds together, and then a part of one."""
    with recording() as (metrics, lines):
        for n in (10**308, 10**308, 0.5, 1, 10**308):
            metrics.count("x", n)
        metrics.count("y")
        metrics.report()
        metrics.report()
        assert lines.sums() == {"y": 1, FAILED: 1}


def test_a_sample_and_a_part_of_an_aggregate_of_one_name_are_told():
    """Only one of the two can be reported."""
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
    """Counts of parts too, which take the longer way."""
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


def test_an_interval_of_next_to_nothing_is_no_error():
    """Nor does the thread spin."""
    with recording(interval=1e-300) as (metrics, lines):
        metrics.count("x")
        assert wait_until(lambda: lines.sums() == {"x": 1})


def test_what_was_taken_just_before_close_is_reported():
    """A meter may have taken a number, and be stopped before it says so to whoever reports."""
    with recording() as (metrics, lines):
        meter = metrics.stream("acme")
        taken, closed = threading.Event(), threading.Event()
        begin = metrics._reporter.begin

        def begin_late(which):
            if which is meter:
                taken.set()
                closed.wait(5)
            begin(which)

        metrics.count("other")
        metrics._reporter.begin = begin_late
        thread = threading.Thread(target=meter.count, args=("x",))
        thread.start()
        assert taken.wait(5)
        metrics.close()
        closed.set()
        thread.join()
        assert lines.sums() == {"other": 1, "x": 1}


def test_closed_twice_and_used_after_it_raises_nothing(capsys):
    """Whatever is asked of it."""
    with recording() as (metrics, lines):
        metrics.count("x")
        metrics.close()
        metrics.close()
        metrics.count("x")
        metrics.sample("y", 1)
        metrics.sample("z", lambda: 1)
        metrics.measure("q", 1, aggregate=True)
        metrics.collect(lambda: count("c"))
        metrics.stream("acme").count("x")
        metrics.report()
        assert lines.sums()["x"] == 1
        assert "after close, and dropped" in capsys.readouterr().err
