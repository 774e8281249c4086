"""`ProcessMetrics` reports what this process really uses."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import textwrap
import threading
import time

import pytest

from logplex_handler import ConfigurationError
from logplex_handler.process_metrics import ProcessMetrics
from tests.commands import ROOT, run_program
from tests.logs import wait_until
from tests.metrics.shared import recording, values

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the names are Linux's")


@pytest.fixture
def process():
    """A ProcessMetrics, its Metrics, and what that logs."""
    with recording(source="web.1") as (metrics, lines):
        watched = ProcessMetrics(metrics)
        yield watched, metrics, lines
        watched.close()


@LINUX
def test_one_line_has_it_all_under_herokus_names(process):
    """With their units, and the source."""
    _, metrics, lines = process
    # The system renews it every five seconds.
    load = None
    while load != os.getloadavg()[0]:
        load = os.getloadavg()[0]
        lines.records.clear()
        metrics.report()
    (line,) = lines.lines
    assert line.startswith("source=web.1 sample#memory_total=")
    read = values(lines)
    assert {name: unit for name, (_, unit) in read.items()} == {
        "memory_total": "MB",
        "memory_rss": "MB",
        "memory_swap": "MB",
        "load_avg_1m": "",
        "load_avg_5m": "",
        "load_avg_15m": "",
        "process.cpu_percent": "",
        "process.threads": "",
        "process.open_files": "",
        "process.gc.longest": "ms",
    }
    with open("/proc/self/statm") as statm:
        rss = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2
    assert read["memory_rss"][0] == pytest.approx(rss, rel=0.1)
    assert read["memory_total"][0] >= read["memory_rss"][0]
    assert read["load_avg_1m"][0] == pytest.approx(load, abs=0.01)


@LINUX
def test_threads_and_open_files_are_those_of_now(tmp_path):
    """One more of each adds one to the metric. In this process, those of other tests may end."""
    program = """
    import sys, threading
    from logplex_handler.process_metrics import ProcessMetrics
    from tests.metrics.shared import recording, values
    with recording() as (metrics, lines):
        ProcessMetrics(metrics)
        metrics.report()
        before = values(lines)
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        with open(sys.argv[1], "w"):
            metrics.report()
        end.set()
        thread.join()
        now = values(lines)
    for name in ("process.threads", "process.open_files"):
        assert now[name][0] == before[name][0] + 1, (name, before, now)
    """
    arguments = "-c", textwrap.dedent(program), tmp_path / "file"
    done = run_program(*arguments, env=os.environ, cwd=ROOT, warns=True)
    assert done.returncode == 0, done.stderr


@LINUX
def test_cpu_is_that_since_the_last_report(process):
    """In percent of one core."""
    _, metrics, lines = process
    metrics.report()
    began = time.monotonic()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    percent = 100 * 0.2 / (time.monotonic() - began)
    metrics.report()
    assert values(lines)["process.cpu_percent"][0] > percent / 2
    time.sleep(1)
    metrics.report()
    assert values(lines)["process.cpu_percent"][0] < 50


def test_garbage_collections_are_counted_with_the_longest_pause(process):
    """Since the last report."""
    _, metrics, lines = process
    gc.disable()
    try:
        metrics.report()
        before = lines.sums()["process.gc.collections"]
        gc.collect()
        gc.collect()
        metrics.report()
        assert lines.sums()["process.gc.collections"] == before + 2
        assert values(lines)["process.gc.longest"][0] > 0
        metrics.report()
        assert values(lines)["process.gc.longest"][0] == 0
    finally:
        gc.enable()


def test_the_rest_of_a_garbage_collection_is_no_pause():
    """It was running when the watch began, as where a finalizer or another thread begins it."""
    with recording() as (metrics, lines):
        made = []

        class Circle:
            def __init__(self):
                self.itself = self

            def __del__(self):
                made.append(ProcessMetrics(metrics))

        gc.disable()
        try:
            Circle()
            gc.collect()
            metrics.report()
            assert values(lines)["process.gc.longest"][0] == 0
        finally:
            gc.enable()
            made[0].close()


def test_closing_leaves_no_callback_behind():
    """Garbage collections are no longer watched."""
    before = list(gc.callbacks)
    with recording() as (metrics, _):
        watched = ProcessMetrics(metrics)
        assert len(gc.callbacks) == len(before) + 1
        watched.close()
        watched.close()
        assert gc.callbacks == before


@pytest.mark.parametrize("inside", [True, False])
def test_the_lag_of_an_event_loop_is_what_blocks_it(inside):
    """Of the running loop, or of the loop that is given."""
    with recording() as (metrics, lines):

        async def main():
            watched = ProcessMetrics(metrics) if inside else given
            await asyncio.sleep(0.01)
            time.sleep(1.2)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(metrics.report)
            assert values(lines)["process.loop_lag"][0] >= 600
            # A busy machine may hold the loop up, too.
            for _ in range(100):
                await asyncio.sleep(0.6)
                await asyncio.to_thread(metrics.report)
                if values(lines)["process.loop_lag"][0] < 500:
                    break
            else:
                pytest.fail("the loop is always said to be late")
            watched.close()

        loop = asyncio.new_event_loop()
        given = None if inside else ProcessMetrics(metrics, loop=loop)
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()


def test_a_loop_that_is_blocked_now_is_late_already():
    """The report does not wait for the loop."""
    with recording() as (metrics, lines):
        loop = asyncio.new_event_loop()
        watched = ProcessMetrics(metrics, loop=loop)
        block, blocked = threading.Event(), threading.Event()

        async def main():
            await asyncio.sleep(0.01)
            blocked.set()
            block.wait(100)

        thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
        thread.start()
        blocked.wait(100)

        def late():
            metrics.report()
            return values(lines).get("process.loop_lag", (0, ""))[0] > 100

        assert wait_until(late)
        block.set()
        thread.join()
        watched.close()
        loop.close()


def test_without_a_loop_there_is_no_lag(process):
    """The line does not have the metric."""
    _, metrics, lines = process
    metrics.report()
    assert "loop_lag" not in lines.lines[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_reports_itself(process):
    """It does not report its parent."""
    watched, _, _ = process
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            watched._collect()
            os.write(writer, str(watched._process.pid).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(reader, 100)) == pid
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_counts_its_own_garbage_collections(process):
    """Those that its parent has made, and their pauses, are the parent's to report."""
    _, metrics, lines = process
    gc.disable()
    try:
        gc.collect()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                metrics.report()
                is_zero = lines.sums()["process.gc.collections"] == 0
                status = 0 if is_zero and values(lines)["process.gc.longest"][0] == 0 else 2
            finally:
                os._exit(status)
    finally:
        gc.enable()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    metrics.report()
    assert lines.sums()["process.gc.collections"] >= 1


def test_what_a_platform_does_not_have_is_left_out(process, monkeypatch):
    """Without a warning, as nothing is wrong."""
    _, metrics, lines = process
    monkeypatch.delattr(os, "getloadavg")
    monkeypatch.delattr("psutil.Process.num_fds")
    monkeypatch.setattr("psutil.Process.memory_full_info", _denied)
    metrics.report()
    read = values(lines)
    assert not {"load_avg_1m", "process.open_files"} & set(read)
    assert read["memory_swap"][0] == 0
    assert "left out" not in " ".join(lines.lines)


def _denied(self):
    import psutil

    raise psutil.AccessDenied(self.pid)


def test_without_psutil_the_error_names_the_extra(monkeypatch):
    """At construction, not a minute later."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    with (
        recording() as (metrics, _),
        pytest.raises(ConfigurationError, match=r"logplex-handler\[psutil\]"),
    ):
        ProcessMetrics(metrics)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_an_event_loop_has_no_lag():
    """The parent's loop does not run in the child, so its lag would only grow."""

    async def fork_in_it():
        with recording() as (metrics, lines):
            watched = ProcessMetrics(metrics)
            await asyncio.sleep(0)
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    metrics.report()
                    status = 0 if "process.loop_lag" not in values(lines) else 2
                finally:
                    os._exit(status)
            metrics.report()
            assert "process.loop_lag" in values(lines)
            watched.close()
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert asyncio.run(fork_in_it()) == 0


@LINUX
def test_a_value_that_cannot_be_reported_costs_no_other(process, monkeypatch):
    """It is counted, and told once."""
    watched, metrics, lines = process
    monkeypatch.setattr(watched._process, "num_threads", lambda: -1)
    metrics.report()
    assert lines.sums()["logplex_handler.metrics.failed"] == 1
    read = values(lines)
    assert "process.threads" not in read
    assert {"memory_rss", "process.open_files", "process.gc.longest"} <= read.keys()
