"""Output to a terminal: colours, progress, and no raw control characters."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
import requests

from logplex_handler.receiver.feed import Feed
from logplex_handler.receiver.terminal import Filter, Style, Terminal, harmless
from logplex_handler.testing import LogplexReceiver
from tests.cli.receiving import TIME, receiving
from tests.commands import COMMAND, call, environment, run
from tests.receiver.page import body


def in_a_terminal(*arguments, seconds, environ=None):
    """The command's output to a terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=child,
        stderr=child,
        env=environment(TERM="xterm", **(environ or {})),
    )
    os.close(child)
    written = b""
    try:
        while piece := os.read(parent, 65_536):
            written += piece
    except OSError:
        # A terminal whose last program has ended is an error of reading.
        pass
    finally:
        os.close(parent)
    assert process.wait(seconds) == 0
    return written.decode()


def test_the_demo_has_colours_in_a_terminal():
    """For processes and for levels; piped, it is plain."""
    written = in_a_terminal("demo", "--seconds", "1", seconds=20)
    assert re.search(rf"\x1b\[\d+m{TIME} app\[web\.1\]:\x1b\[0m source=demo", written)
    assert "\x1b[31mlevel=error\x1b[0m" in written
    assert "\x1b[33mlevel=warning\x1b[0m" in written
    assert " level=info " in written
    plain = run("demo", "--seconds", "0.5").stdout.decode()
    assert "\x1b" not in plain


def test_no_color_is_obeyed():
    """As is FORCE_COLOR where there is no terminal."""
    written = in_a_terminal("demo", "--seconds", "0.3", seconds=20, environ={"NO_COLOR": "1"})
    assert "\x1b[3" not in written
    done = call("check", environ={"FORCE_COLOR": "1"})
    assert b"\x1b[31mFAIL\x1b[0m" in done.stdout
    done = call("check", environ={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert b"\x1b" not in done.stdout


def test_nothing_that_was_logged_reaches_the_terminal_raw():
    """Neither codes that move the cursor nor those that turn the reading direction."""
    assert harmless("a\x1b[2J\u202e\u200f\x9b\ttab") == "a\\u001b[2J\\u202e\\u200f\\u009b\ttab"


def test_a_terminal_of_another_encoding_is_no_trouble(tmp_path, monkeypatch):
    """Characters that it cannot show are escaped."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with receiving(tmp_path) as local:
        local.post(body("zwölf €"))
        local.post(body("measure#x=1e3"), Logplex_Frame_Id="b")
        shown, _ = local.end()
    assert "zw\\xf6lf \\u20ac" in shown
    assert "-> Write fixed point" in shown


@pytest.mark.parametrize(("columns", "longest"), [(50, 50), (200, 96)])
def test_explanations_fit_into_the_terminal(monkeypatch, capsys, columns, longest):
    """They are wrapped at its width, or at one that can be read if it is wider."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("logplex_handler.receiver.terminal._is_terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    feed = Feed([Terminal(Style(sys.stdout), Filter(), quiet=True)])
    with LogplexReceiver(on_arrival=feed) as logplex:
        requests.post(logplex.url, data=body("msg=a"), timeout=5)
    shown = capsys.readouterr().out.splitlines()
    widths = [len(line) for line in shown if line.startswith(("  !", "    "))]
    assert longest - 20 < max(widths) <= longest


def test_a_process_has_one_colour(monkeypatch):
    """The same in every run, and none where colours are off."""
    import io

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    style = Style(io.StringIO())
    assert style.of_process("x", "web.1") == style.of_process("x", "web.1") != "x"
    assert len({style.of_process("x", f"web.{number}") for number in range(30)}) > 5
    monkeypatch.setenv("NO_COLOR", "1")
    assert Style(io.StringIO()).of_process("x", "web.1") == "x"
