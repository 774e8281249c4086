"""`logplex-handler demo` shows lines as a customer sees them, and counts what was delivered."""

import os
import re
import subprocess
import sys
from argparse import Namespace

from logplex_handler.cli import _demo
from logplex_handler.handler import LogplexHandler
from tests.commands import run_program


def demo(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "logplex_handler", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,
    )


# Only a flush sends a batch, however long the machine lets the demo stand still between two lines.
WITHOUT_AN_INTERVAL = """
import sys
from functools import partial
from logplex_handler.cli import _demo, main
_demo.LogplexHandler = partial(_demo.LogplexHandler, flush_interval=1000)
sys.exit(main(["demo", "--seconds", "1"]))
"""


def test_demo_shows_what_a_customer_sees_and_what_became_of_it(tmp_path):
    """A shop, a retry, a value that is quoted, a sender that is refused; then the counts."""
    done = run_program("-c", WITHOUT_AN_INTERVAL, env=os.environ, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    shop, failure, nasty, refused, counts, after = (
        scene.splitlines()[1:] for scene in done.stdout.strip("\n").split("\n\n")
    )
    shown = re.compile(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 app\[web\.1\]: source=demo .+"
    )
    assert all(shown.fullmatch(line) for line in [*shop, *nasty])
    assert any(" error=TimeoutError " in line for line in shop)
    assert any(re.search(r" measure#web\.latency=\d+ms count#web\.requests=1$", s) for s in shop)
    assert failure[0] == "  - 503 on purpose: a batch of 2 lines was not taken"
    assert [bool(shown.fullmatch(line)) for line in failure] == [False, True, True, False, False]
    first, second = (re.fullmatch(r"  - (\d+) for frame id (.+)", line) for line in failure[-2:])
    assert (first[1], second[1], first[2] == second[2]) == ("503", "204", True)
    assert nasty[0].endswith(' query="red shoes level=critical user=admin"')
    assert refused[0] == "  - 400: 1 line was not taken (host)"
    assert "    → Count bytes, not characters" in "\n".join(refused)
    books = re.fullmatch(
        r"accepted=(\d+) delivered=(\d+) dropped=0 requests=\d+ retries=1", counts[0]
    )
    assert int(books[1]) == int(books[2]) == len(shop) + 2 + len(nasty)
    assert after[0].startswith("logplex-handler receive")


def test_demo_fails_if_anything_was_lost(monkeypatch, capsys):
    """A handler that loses a record makes it exit with 1."""
    emit = LogplexHandler.emit
    lost = []

    def emit_but_one(handler, record):
        if lost:
            emit(handler, record)
        else:
            lost.append(record)
            handler._pipeline.own_intake.drop("format_error")

    monkeypatch.setattr(LogplexHandler, "emit", emit_but_one)
    assert _demo.run(Namespace(seconds=0.3)) == 1
    assert "dropped=1" in capsys.readouterr().out


def test_demo_needs_a_sensible_number_of_seconds():
    """Any other value is a usage error."""
    done = demo("demo", "--seconds", "soon")
    assert done.returncode == 2
    assert "--seconds: must be a number" in done.stderr


def test_without_a_command_the_usage_is_shown():
    """There is no default command."""
    done = demo()
    assert done.returncode == 2
    assert "usage: python -m logplex_handler" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    """A closed pipe ends the demo without a traceback."""
    done = subprocess.run(
        f"{sys.executable} -m logplex_handler demo --seconds 1 | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
