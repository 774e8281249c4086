"""Metrics at exit, at SIGTERM and in forked children: each is reported once."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import os
import subprocess
import sys
import textwrap
import weakref

import pytest

from logplex_handler import (
    Metrics,
)
from logplex_handler._process import forks
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.commands import ROOT
from tests.metrics.shared import sums


def program(text, url, **variables):
    """Run a program with a root LogplexHandler and Metrics that report at the end."""
    start = """
        import logging, os, signal, sys, threading, time
        import logplex_handler
        from logplex_handler import LogplexHandler, Metrics
        url = os.environ["LOGPLEX_URL"]
        from tests.patience import be_patient
        be_patient()
        logging.getLogger().addHandler(LogplexHandler(streams=lambda stream: url))
        logging.getLogger().setLevel(logging.INFO)
        metrics = Metrics(logging.getLogger("shop"), interval=3600, source="s")
    """
    environ = dict(os.environ) | {"LOGPLEX_URL": url, "PYTHONPATH": str(ROOT)} | variables
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
        timeout=100,
        check=False,
    )


def test_the_end_of_the_program_reports_what_is_left():
    """Without a call, before logging closes the handler."""
    with LogplexReceiver() as logplex:
        done = program("metrics.count('x', 3)", logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.text for line in logplex.lines] == ["source=s count#x=3"]
        assert not logplex.violations


def test_sigterm_reports_what_is_left():
    """If the program has called `flush_on_sigterm`."""
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
    """Only the parent reports what the parent recorded, and once."""
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
    """Not even polled samples when it ends."""
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


@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_a_child_of_multiprocessing_reports_what_is_left(library):
    """Such a child runs no exit functions of its own, and closes the handler at its end.

    One uses the metrics before it logs, one logs first, and one uses the metrics alone.
    """
    text = f"""
        import {library} as library
        def metrics_first():
            metrics.count('metrics.first', 40)
            logging.info('hello')
        def a_line_first():
            logging.info('hello')
            metrics.count('a.line.first', 40)
        def metrics_alone():
            metrics.count('metrics.alone', 40)
        metrics.count('x', 3)
        logging.info("hello")
        for work in (metrics_first, a_line_first, metrics_alone):
            child = library.get_context("fork").Process(target=work)
            child.start()
            child.join()
            assert child.exitcode == 0
    """
    with LogplexReceiver() as logplex:
        done = program(text, logplex.url)
        assert (done.returncode, done.stderr) == (0, "")
        in_children = {"metrics.first": 40, "a.line.first": 40, "metrics.alone": 40}
        assert sums(logplex) == {"x": 3} | in_children
        assert [line.pairs[-1] for line in logplex.lines].count(("msg", "hello")) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_million_counts_of_eight_threads_and_four_forks_are_exact():
    """Meanwhile reports come all the time, and each process calls `close` during one."""
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


def test_meters_are_forgotten_by_the_fork_hook():
    """It does not keep a Metrics alive."""
    metrics = Metrics(logging.getLogger("x"))
    made = [weakref.ref(metrics), weakref.ref(metrics.stream("a"))]
    assert any(one is metrics for one in forks._forkables.all())
    del metrics
    gc.collect()
    assert [one() for one in made] == [None, None]
