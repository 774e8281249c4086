"""When metrics are reported: at each interval, and once more at the end."""

from __future__ import annotations

import logging
import logging.handlers
import threading
from collections import Counter
from functools import partial

import pytest

from logplex_handler import (
    Metrics,
    count,
)
from logplex_handler._process.periodic import next_time
from tests.logs import threads_started_here, wait_until
from tests.metrics.shared import recording


@pytest.mark.parametrize(
    ("now", "due"), [(0.0, 3.0), (2.9, 3.0), (3.0, 63.0), (62.9, 63.0), (63.0, 123.0), (1e9, None)]
)
def test_reports_are_aligned_to_the_interval(now, due):
    """At whole multiples plus the process's own offset, and always in the future."""
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
    """No thread lives on after close, either."""
    with threads_started_here() as started:
        with recording() as (metrics, _):
            assert not started
            metrics.count("x")
            [thread] = started
        assert wait_until(lambda: not thread.is_alive())
        assert started == [thread]


def test_close_reports_the_last_interval_once(capsys):
    """Polled functions are called once more; later metrics are dropped, which is reported."""
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


def test_a_report_does_not_wait_for_ever_for_one_that_needs_a_lock_of_its_caller(
    monkeypatch, capsys
):
    """What is asked for is left to that one; counts are reported by both."""
    monkeypatch.setattr("logplex_handler.metrics.reporter._PATIENCE", 0.1)
    lock = threading.RLock()
    asked = threading.Event()

    def function():
        asked.set()
        with lock:
            return 5

    with recording(interval=0.05) as (metrics, lines):
        with lock:
            metrics.sample("size", function)
            assert asked.wait(100)
            metrics.count("x", 3)
            metrics.report()
            assert lines.sums() == {"x": 3}
            assert "takes longer than 0.1 s" in capsys.readouterr().err
        assert wait_until(lambda: any("sample#size=5" in line for line in lines.lines))


def test_close_does_not_wait_for_ever_for_what_hangs(monkeypatch, capsys):
    """Counts are reported anyway."""
    monkeypatch.setattr("logplex_handler.metrics.reporter._PATIENCE", 0.1)
    hang = threading.Event()
    asked = threading.Event()

    def function():
        asked.set()
        hang.wait(100)

    with recording(interval=0.05) as (metrics, lines):
        metrics.sample("hanging", function)
        assert asked.wait(100)
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


def test_counts_during_close_are_reported_or_said():
    """Each count is one or the other, whenever close comes."""
    for _ in range(20):
        with recording(interval=0.01) as (metrics, lines):
            # Appending is atomic, adding to a number is not.
            rejected = []
            metrics._reporter.warn_closed = partial(rejected.append, 1)
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
            assert lines.sums()["x"] + len(rejected) == 6000


def test_an_interval_of_next_to_nothing_is_no_error():
    """The thread does not spin."""
    with recording(interval=1e-300) as (metrics, lines):
        metrics.count("x")
        assert wait_until(lambda: lines.sums() == {"x": 1})


def test_what_was_taken_just_before_close_is_reported():
    """A meter may have recorded a number, and be interrupted before the reporter knows of it."""
    with recording() as (metrics, lines):
        meter = metrics.stream("acme")
        taken, closed = threading.Event(), threading.Event()
        begin = metrics._reporter.begin

        def begin_late(which):
            if which is meter:
                taken.set()
                closed.wait(100)
            begin(which)

        metrics.count("other")
        metrics._reporter.begin = begin_late
        thread = threading.Thread(target=meter.count, args=("x",))
        thread.start()
        assert taken.wait(100)
        metrics.close()
        closed.set()
        thread.join()
        assert lines.sums() == {"other": 1, "x": 1}


def test_closed_twice_and_used_after_it_raises_nothing(capsys):
    """Whichever method is called."""
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
