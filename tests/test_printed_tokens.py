"""No test prints a token: the check for that, in conftest.py, does find one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture
def run_test(tmp_path):
    """Runs a test of that body beside a copy of conftest.py; gives exit status and output."""
    (tmp_path / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(body, fixtures="receiver"):
        program = f"{HEAD}\ndef test_it({fixtures}):\n    {body}\n"
        (tmp_path / "test_it.py").write_text(program)
        command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"]
        finished = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": PACKAGE_HOME},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return finished.returncode, finished.stdout + finished.stderr

    return run


@pytest.mark.parametrize(
    "body",
    [
        "print(TOKEN)",
        "print('on stderr:', TOKEN, file=sys.stderr)",
        "logging.getLogger('shop').warning('token=%s', TOKEN)",
        "print(quote(TOKEN, safe=''))",
        "print(base64.b64encode(b'token:' + TOKEN.encode()))",
        "receiver.tokens = ('t.rotated',); print(receiver.token)",
        "receiver.tokens = ('t.printed-at-teardown',)",
    ],
)
def test_a_test_that_prints_a_token_fails(run_test, body):
    """On stdout, on stderr, in the log or at teardown; as it is, quoted, encoded or rotated."""
    status, output = run_test(body)
    assert status == 1
    assert "A token was printed: Captured " in output


@pytest.mark.parametrize("fixture", ["capsys", "capfd"])
def test_a_token_that_the_test_reads_from_its_own_output_fails_it(run_test, fixture):
    """What `readouterr()` gives is in no report, and is searched all the same."""
    status, output = run_test(f"print(TOKEN); {fixture}.readouterr()", f"receiver, {fixture}")
    assert status == 1
    assert "A token was printed: in what readouterr() returned" in output


@pytest.mark.parametrize(
    "body", ["print(TOKEN)", "assert receiver.token == ''", "raise ValueError(receiver.token)"]
)
def test_what_holds_the_token_is_not_shown(run_test, body):
    """Neither the output nor the text of a failure passes it on."""
    status, output = run_test(body)
    assert status == 1
    assert "(not shown for that reason)" in output
    # Not asserted as `not in`: a failure would show both.
    assert output.count(TOKEN) == 0, "the token is shown"


def test_a_test_that_prints_no_token_passes(run_test):
    """Other output is no matter of this check, and nor is a receiver that shows itself masked."""
    status, output = run_test("receiver.start(); print(receiver); logging.warning('hello')")
    assert (status, "1 passed" in output) == (0, True)
