"""The check in conftest.py finds a token that a test prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import logplex_handler

CONFTEST = Path(__file__).with_name("conftest.py")
PACKAGE_HOME = str(Path(logplex_handler.__file__).parents[1])

TOKEN = "t.planted@by/this-test"
HEAD = f"""
import base64, logging, sys
from urllib.parse import quote
import pytest
from logplex_handler.testing import LogplexReceiver

TOKEN = {TOKEN!r}

@pytest.fixture
def receiver():
    receiver = LogplexReceiver(tokens=[TOKEN])
    yield receiver
    if receiver.tokens == ("t.printed-at-teardown",):
        print(receiver.token)
"""


# Each is the body of a test in one run of pytest.
PRINTED = [
    "print(TOKEN)",
    "print('on stderr:', TOKEN, file=sys.stderr)",
    "logging.getLogger('shop').warning('token=%s', TOKEN)",
    "print(quote(TOKEN, safe=''))",
    "print(base64.b64encode(b'token:' + TOKEN.encode()))",
    "receiver.tokens = ('t.rotated',); print(receiver.token)",
    "receiver.tokens = ('t.printed-at-teardown',)",
]
READ = {name: f"print(TOKEN); {name}.readouterr()" for name in ("capsys", "capfd")}
HELD = ["print(TOKEN)", "assert receiver.token == ''", "raise ValueError(receiver.token)"]
HARMLESS = "receiver.start(); print(receiver); logging.warning('hello')"
BODIES = list(dict.fromkeys([*PRINTED, *READ.values(), *HELD, HARMLESS]))


class Run(NamedTuple):
    """The outcomes that pytest reports for each body, and the text that it shows."""

    outcomes: dict[str, set[str]]
    shown: dict[str, str]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All bodies as tests, next to a copy of conftest.py."""
    folder = tmp_path_factory.mktemp("printing")
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (folder / "pytest.ini").write_text("[pytest]\n")
    fixtures = {body: f", {name}" for name, body in READ.items()}
    tests = [
        f"def test_{number}(receiver{fixtures.get(body, '')}):\n    {body}\n"
        for number, body in enumerate(BODIES)
    ]
    (folder / "test_it.py").write_text("\n\n".join([HEAD, *tests]))
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": PACKAGE_HOME},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert finished.returncode == 1
    run = Run({body: set() for body in BODIES}, dict.fromkeys(BODIES, ""))
    for outcome, number in re.findall(
        r"^(\w+) test_it\.py::test_(\d+)", finished.stdout, re.MULTILINE
    ):
        run.outcomes[BODIES[int(number)]].add(outcome)
    parts = re.split(r"^_+ .*?test_(\d+) _+$", finished.stdout, flags=re.MULTILINE)
    for number, text in zip(parts[1::2], parts[2::2], strict=True):
        run.shown[BODIES[int(number)]] += text
    return run


@pytest.mark.parametrize("body", PRINTED)
def test_a_test_that_prints_a_token_fails(run, body):
    """On stdout, on stderr, in the log or at teardown; as it is, quoted, encoded or rotated."""
    assert run.outcomes[body] & {"FAILED", "ERROR"}
    assert "A token was printed: Captured " in run.shown[body]


@pytest.mark.parametrize("fixture", READ)
def test_a_token_that_the_test_reads_from_its_own_output_fails_it(run, fixture):
    """Text that `readouterr()` returns is in no report, and is searched all the same."""
    assert "FAILED" in run.outcomes[READ[fixture]]
    assert "A token was printed: in what readouterr() returned" in run.shown[READ[fixture]]


@pytest.mark.parametrize("body", HELD)
def test_what_holds_the_token_is_not_shown(run, body):
    """Neither the output nor the text of a failure passes it on."""
    assert "FAILED" in run.outcomes[body]
    assert "(not shown for that reason)" in run.shown[body]
    # Not asserted as `not in`: a failure would show both.
    assert run.shown[body].count(TOKEN) == 0, "the token is shown"


def test_a_test_that_prints_no_token_passes(run):
    """Other output is no matter of this check, and nor is a receiver that shows itself masked."""
    assert run.outcomes[HARMLESS] == {"PASSED"}
