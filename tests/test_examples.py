"""The examples run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import logplex_handler
from logplex_handler.testing import LogplexReceiver
from tests.commands import run_program

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCS = EXAMPLES.with_name("docs")
PACKAGE_HOME = str(Path(logplex_handler.__file__).parents[1])
OWN_VARIABLES = ("LOGPLEX_", "HEROKU_APP_ID", "DYNO")

# The add-on's customers.
CUSTOMERS = [f"{number}1234567-89ab-cdef-0123-456789abcdef" for number in range(2)]

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 "
A_TOKEN = re.compile(r"t\.[0-9a-f]{8}-")

SUMMARY = r"sample#{0}\.count={1} sample#{0}\..*"

# What the customer sees of each, behind the time.
LINES = {
    "addon_partner": [
        rf'app\[web\.1\]: level=info logger=addon msg="customer added" customer={customer} '
        r"plan=basic"
        for customer in CUSTOMERS
    ]
    + [
        # Either process may be the first to learn the new URL.
        rf'app\[(web|worker)\.1\]: level=info logger=addon msg="URL rotated" '
        rf"customer={CUSTOMERS[0]}",
        rf'app\[web\.1\]: level=info logger=addon msg="customer removed" customer={CUSTOMERS[1]}',
    ],
    "dictconfig": [
        r"app\[dictconfig\]: source=us-east level=info logger=shop\.orders "
        r'msg="order shipped" order_id=42 carrier="DHL Express"',
        r"app\[dictconfig\]: source=us-east level=debug logger=shop\.billing "
        r"invoice=2026-0117 total=19\.90",
    ],
    "existing_loggers": [
        r"app\[existing\.loggers\]: level=warning logger=urllib3\.connectionpool "
        r'msg="Retrying .*/stock/teapot".*',
        r"app\[existing\.loggers\]: level=error logger=shop\.stock "
        r'msg="no answer" item=teapot reason=MaxRetryError',
    ],
    "metrics": [
        r"app\[web\.1\]: source=us-east measure#backup=61500ms",
        r"app\[web\.1\]: source=us-east count#orders=3 count#items=6 "
        + SUMMARY.format("checkout", 3)
        + r" sample#carts=2 sample#memory_total=[0-9.]+MB .*",
    ],
    "opentelemetry_metrics": [
        r"app\[web\.1\]: source=us-east sample#carts=4 "
        + SUMMARY.format("latency", 1)
        + r" sample#latency\.p99=250ms count#http\.requests\.GET\.200=17",
    ],
    "prometheus_metrics": [
        r"app\[web\.1\]: source=us-east sample#carts=4 "
        + SUMMARY.format("latency_seconds", 4)
        + r" count#http_requests\.get\.200=17 count#http_requests\.post\.500=1",
    ],
    "plain": [
        r'app\[web\.1\]: level=info logger=shop msg="order shipped" '
        r'order_id=42 customer="Zoë Ωmega"',
        r'app\[web\.1\]: level=info logger=shop status=delivered order="42 or 43"',
        r'app\[web\.1\]: level=error logger=shop msg="no such item" error=KeyError '
        r"error_msg=\"'kettle'\" traceback=\"Traceback .*KeyError: 'kettle'\"",
        r"app\[web\.1\]: measure#web\.latency=4ms sample#db\.size=21\.5MB",
        r"app\[web\.1\]: level=info logger=shop msg=sold item=teapot count#orders=1",
    ],
}


def _shipped(process, order):
    return rf'{TIME}app\[{process}\.1\]: level=info logger=addon msg="order shipped" order={order}'


PLAN_CHANGED = [
    TIME + r'app\[web\.1\]: level=info logger=addon msg="plan changed" plan=premium',
    _shipped("web", 7),
]
# What each prints besides.
WORDS = {
    "addon_partner": [
        pattern
        for customer, more in zip(CUSTOMERS, (PLAN_CHANGED, []), strict=True)
        for pattern in [
            f"Customer {customer} sees:",
            TIME + r"app\[web\.1\]: level=info logger=addon msg=welcome",
            *[_shipped("web", order) for order in range(1, 7)],
            *more,
            *[_shipped("worker", order) for order in range(11, 14)],
        ]
    ]
    + [r"web\.1: \d+ of \d+ records delivered"],
    "dictconfig": [],
    "existing_loggers": [
        r"INFO    shop\.stock: asking for teapot",
        r"WARNING urllib3\.connectionpool: Retrying .*",
        r"ERROR   shop\.stock: no answer",
    ],
    "plain": [r"5 of 5 records delivered"],
    "metrics": [],
    "opentelemetry_metrics": [],
    "prometheus_metrics": [],
}


# Runs the file that its argument names, with the times of `tests.patience`.
PATIENT = """
import runpy, sys
from pathlib import Path
from tests.patience import be_patient
be_patient()
del sys.argv[0]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(name, **variables):
    """Run an example as a program of its own, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PATIENT, EXAMPLES / f"{name}.py"],
        env=environment(**variables),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


def environment(**variables):
    """An environment that names no Logplex but these."""
    environ = {name: value for name, value in os.environ.items() if OWN_VARIABLES[0] not in name}
    for variable in OWN_VARIABLES[1:]:
        environ.pop(variable, None)
    return environ | {"PYTHONPATH": PACKAGE_HOME, "PYTHONUTF8": "1"} | variables


def matches(patterns, lines):
    """The lines that are not as they should be, each with its pattern; empty if all are."""
    return [
        (pattern, line)
        for pattern, line in zip(patterns, lines, strict=True)
        if not re.fullmatch(pattern, line)
    ]


def test_every_example_is_tested():
    """A new one gets its lines here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_an_example_sends_to_the_url_of_the_environment(name):
    """Its lines arrive there, well formed, and it ends quietly."""
    with LogplexReceiver() as logplex:
        finished = run(name, LOGPLEX_URL=logplex.url)
        lines = [str(line) for line in logplex.lines]
        assert (finished.returncode, finished.stderr) == (0, "")
        assert not logplex.violations
        assert not matches([TIME + line for line in LINES[name]], lines)
        shown = [line for line in finished.stdout.splitlines() if line]
        assert not matches(WORDS[name], shown)
        assert finished.stdout.count(logplex.token) == 0, "the token is shown"


@pytest.mark.parametrize("name", LINES)
def test_an_example_without_a_url_shows_what_the_customer_would_see(name):
    """The lines are printed as `heroku logs` prints them, and nowhere a token."""
    # An interpreter of its own has run it above.
    finished = run_program(EXAMPLES / f"{name}.py", env=environment())
    assert (finished.returncode, finished.stderr) == (0, "")
    assert not A_TOKEN.search(finished.stdout), "a token is shown"
    printed = [line for line in finished.stdout.splitlines() if line]
    printed = [line for line in printed if line != "The customer sees:"]
    assert not matches(WORDS[name] + [TIME + line for line in LINES[name]], printed)


def test_the_page_on_metrics_runs(tmp_path):
    """Its blocks make one program, and the lines are those that it shows."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "metrics.md").read_text(), re.DOTALL)
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks))
    with LogplexReceiver() as logplex:
        finished = run_program(program, env=environment(LOGPLEX_URL=logplex.url))
        assert (finished.returncode, finished.stderr) == (0, "")
        texts = [line.text for line in logplex.lines]
    # The customer's, from a handler of its own.
    texts.remove("source=us-east count#orders=1")
    assert texts[:4] == [
        "measure#web.latency=4ms",
        'level=info logger=shop msg="order shipped" order_id=42 count#orders=1',
        "sample#db.size=21.5MB sample#db.age=3600000ms",
        "source=us-east measure#backup=61.5s",
    ]
    assert re.fullmatch(r"source=us-east measure#checkout=[0-9.]+ms", texts[4])
    assert texts[5] == "source=us-east count#http.requests.GET=17"
    reports = " ".join(texts[6:])
    for metric in (
        "count#items=3",
        "sample#carts=4",
        "sample#db.size=21.5MB",
        "sample#query.p99=0.8ms",
        "sample#price.count=2",
        "sample#memory_total=",
        "count#http_requests.get.200=17",
    ):
        assert f" {metric}" in reports


def test_the_page_on_streams_runs(tmp_path):
    """Its blocks make one program, whose lines come to their streams."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "streams.md").read_text(), re.DOTALL)
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks))
    with LogplexReceiver() as logplex:
        environ = environment(LOGPLEX_URL=logplex.url, LOGPLEX_HOSTNAME="own")
        finished = run_program(program, env=environ)
        assert (finished.returncode, finished.stderr) == (0, "")
        lines = [(line.packet.hostname, dict(line.pairs)["msg"]) for line in logplex.lines]
        assert not logplex.violations
    assert sorted(lines) == [
        ("app-of-acme", "with a hostname"),
        ("own", "add-on started"),
        ("own", "order paid"),
        ("own", "order received"),
        ("own", "order returned"),
        ("own", "order shipped"),
        ("own", "welcome"),
    ]
