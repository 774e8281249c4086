"""The benchmarks run, and their guard fails when it must. Nothing here depends on time."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import run_program
from tests.relay.servers import PROGRAM

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name):
    known_as = f"benchmarks.{name}"
    specification = importlib.util.spec_from_file_location(known_as, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    # A dataclass looks its module up.
    sys.modules[known_as] = module
    # It imports its neighbours as a program there does.
    sys.path.insert(0, str(BENCHMARKS))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture(scope="module")
def instructions():
    return load("instructions")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The output and files of a very small run, which starts an interpreter for each figure."""
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        [
            sys.executable,
            BENCHMARKS / "run.py",
            "--quick",
            "--records=500",
            "--cases=burst,pace,waiting,sizes,long",
            f"--output={folder / 'out.md'}",
            f"--json={folder / 'out.json'}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_a_figure_a_tenth_over_the_committed_one_passes(instructions):
    assert instructions.differences({"plain": 10.9}, {"plain": 10.0}) == []


def test_a_figure_more_than_a_tenth_over_fails_and_says_how_to_renew(instructions):
    [problem] = instructions.differences({"plain": 11.1, "extras": 5.0}, {"plain": 10, "extras": 5})
    assert problem.startswith("plain: 11.10 is 11% more than 10.00")
    assert "--renew" in problem


def test_a_figure_more_than_a_tenth_under_fails_too(instructions):
    [problem] = instructions.differences({"plain": 8.9}, {"plain": 10.0})
    assert problem.startswith("plain: 8.90 is 11% less than 10.00")
    assert instructions.differences({"plain": 9.1}, {"plain": 10.0}) == []


@pytest.mark.parametrize(("more", "status"), [([], 1), (["--if-available"], 0)])
def test_without_valgrind_the_guard_fails_unless_told_otherwise(more, status, tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "instructions.py", *more],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == status
    assert "valgrind is not installed" in done.stdout


def test_the_sink_counts_each_record_once_with_a_number_or_without_one():
    """A metric has none, a traceback repeats that of its record, and a long line has parts."""
    texts = [
        "level=info logger=shop measure#web.latency=5ms",
        'level=info logger=shop msg="order 7 shipped"',
        'level=info logger=shop msg="order 8 failed" traceback="no label for order 8"',
        'level=info logger=shop part=1/12 msg="order 9 shipped: the parcel "',
        'level=info logger=shop part=2/12 msg="waits"',
        'level=info logger=shop msg="cart 6 updated"',
    ]
    tally = load("sink").Tally()
    for _ in range(2):
        tally.add("".join([f"{len(text)} {text}\n" for text in texts]).encode(), is_lines=True)
    counted = tally.take()
    assert (counted["distinct"], counted["unnumbered"], counted["repeated"]) == (3, 4, 3)
    assert load("figures").delivered(counted) == 7


def test_a_run_whose_records_were_dropped_is_no_figure():
    """Of our handler; what a peer has lost stands beside its costs."""
    figures = load("figures")

    def result(caller, arrived):
        return {"caller": caller, "records": 10, "distinct": arrived, "unnumbered": 0}

    def one(caller, arrived):
        subjects = {"ours": result(caller, arrived), "peer": result(caller, arrived)}
        case = {"null": result(1, 0), "queue": result(2, 0), **subjects}
        return {"burst": case, "spool": {"ours": result(2, 10), "spool": result(2, arrived)}}

    rounds = [one(1.5, 10), one(1.1, 9)]
    for value, middle in [
        (figures.overhead("burst", "caller"), 0.5),
        (figures.overhead("burst", "caller", "peer"), 0.3),
        (figures.microseconds("burst", "caller", "ours"), 150_000),
        (figures.beside_memory("caller"), 1),
        (figures.lost("burst"), 0.5),
    ]:
        assert figures.spread(value, rounds).middle == pytest.approx(middle)
    assert figures.spread(figures.overhead("burst", "caller"), rounds[1:]) is None


def test_all_that_was_logged_arrives_at_the_sink(run):
    _, folder = run
    results = json.loads((folder / "out.json").read_text())
    [python] = results["pythons"].values()
    [one] = python["rounds"]
    ours = one["burst"]["ours"]
    assert (ours["records"], ours["distinct"], ours["repeated"]) == (500, 500, 0)


def test_the_tables_are_printed_and_written_where_asked_and_nowhere_else(run):
    printed, folder = run
    assert "caller's overhead" in printed
    assert (folder / "out.md").read_text() == printed.removesuffix("\n")
    assert sorted(path.name for path in folder.iterdir()) == ["out.json", "out.md"]


def test_the_costs_of_metrics_are_measured_beside_others():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "metrics.py", "--calls=50", "--rounds=2"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for row in ("| `count` | **Metrics** |", "| prometheus_client |", "| statsd |"):
        assert row in done.stdout
    assert "÷ a locked `d[k] += n`" in done.stdout


def test_each_lever_is_measured():
    """The cases name them without importing the package."""
    check = "import cases, levers; assert cases.LEVERS + cases.MIX_LEVERS == tuple(levers.LEVERS)"
    done = run_program("-c", check, env=os.environ, cwd=BENCHMARKS)
    assert done.returncode == 0, done.stderr


def test_imports_are_compared():
    """Each case has a row, with its time and its ratio."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "imports.py", "--rounds=1"],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    rows = done.stdout.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(load("imports").CASES)
    assert rows[0].endswith("| 1.00 |")


def test_requests_of_sparse_streams_are_compared():
    """Each client has a row, with the first line of a stream and a later one."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "sparse_streams.py", "--streams=20", "--rounds=1"],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    rows = [row.split() for row in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["urllib3", "ours", "requests", "http.client"]
    assert rows[0][2] == rows[0][4] == "1.00"


def test_what_waiting_streams_hold_is_measured():
    """Beside plain objects, of which a program holds one for each."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "waiting_streams.py", "--streams=5000", "--rounds=1"],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    rows = {line[:33].strip(): line[33:].split()[0] for line in done.stdout.splitlines()}
    assert len(rows) == 8
    # What else the process holds or lets go of meanwhile is a few hundred objects at most.
    assert 0.6 < float(rows["objects objects a stream"]) < 1.4
    # Most are parked: all but some hundreds, each of which is four or five objects.
    assert float(rows["ours    objects a stream"]) < 2.2
    assert float(rows["ours    bytes a stream"]) > 200


@pytest.mark.skipif(PROGRAM is None, reason="there is no redis-server here")
def test_a_relay_is_compared():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "relay.py", "--rounds=1", "--calls=1", "--streams=100"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ratio") == 4
    assert "of a core" in done.stdout
    assert "100 streams" in done.stdout


@pytest.mark.skipif(PROGRAM is None, reason="there is no redis-server here")
def test_a_fleet_of_shippers_is_measured():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "relay.py", "--fleet", "saved", "--seconds=0.2"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "40 lines, 10 of a customer in a second: " in done.stdout
