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
from logplex_handler.receiver.query import Query
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


@pytest.mark.parametrize(("columns", "longest"), [("50", 50), ("200", 96), (None, 96)])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_explanations_fit_into_the_terminal(monkeypatch, capsys, columns, longest, is_terminal):
    """They are wrapped at its width, or at one that can be read if it is wider."""
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(
        "logplex_handler.receiver.terminal._is_terminal", lambda stream: is_terminal
    )
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


def printed(*sent, coloured=False, **options):
    """What the terminal prints of these lines: texts with options of `body`."""
    import io
    from contextlib import redirect_stdout

    out = io.StringIO()
    style = Style(out)
    style.is_on = coloured
    line_filter = Filter(**options.pop("filter", {}))
    with redirect_stdout(out):
        feed = Feed([Terminal(style, line_filter, **options)])
        with LogplexReceiver(on_arrival=feed, strict=False) as logplex:
            for number, (text, given) in enumerate(sent):
                requests.post(
                    logplex.url,
                    data=body(text, **given),
                    headers={
                        "Content-Type": "application/logplex-1",
                        "Logplex-Frame-Id": str(number),
                    },
                    timeout=100,
                )
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "priority", "shown"),
    [
        ("level=error a=1", 190, "\x1b[31mlevel=error\x1b[0m a=1"),
        ("source=us level=warning", 190, "source=us \x1b[33mlevel=warning\x1b[0m"),
        ("at=error code=H12", 190, "\x1b[31mat=error\x1b[0m code=H12"),
        ("level=CRITICAL", 190, "\x1b[31mlevel=CRITICAL\x1b[0m"),
        ("level=own a=1", 187, "\x1b[31mlevel=own\x1b[0m a=1"),
        ("level=debug", 191, "\x1b[2mlevel=debug\x1b[0m"),
        ("it broke", 187, "\x1b[31mit broke\x1b[0m"),
        ("level=info a=1", 190, "level=info a=1"),
        ("it works", 190, "it works"),
    ],
)
def test_a_level_has_its_colour(text, priority, shown):
    """That of the text, or of the packet; a text without a level has it as a whole."""
    written = printed((text, {"priority": priority}), coloured=True)
    assert written.rstrip("\n").endswith(f"\x1b[0m {shown}")


def test_streams_stand_in_a_column():
    """As soon as there are several, as wide as the longest name; no name is cut."""
    names = ["shop", "warehouse", "shop", "a" * 40, "a\x1bb"]
    lines = printed(*(("x", {"hostname": name}) for name in names)).splitlines()
    columns = [line.partition("2026-")[0] for line in lines]
    width = len("shop                     | ")
    assert columns[:4] == ["", "warehouse | ", "shop      | ", "a" * 40 + " | "]
    assert columns[4] == "a\\u001bb".ljust(width - 3) + " | "


def test_a_customers_view_is_what_heroku_logs_shows():
    """Each packet, none that Logplex hides, no explanation, and no name of a stream."""
    sent = [
        ("level=info part=1/2 a=1", {"hostname": "acme"}),
        ("other", {"hostname": "globex"}),
        ("level=info part=2/2 b=2", {"hostname": "acme"}),
        ("measure#x=1e3", {"hostname": "acme"}),
    ]
    head = "2026-11-21T12:00:00.000000+00:00 app[web.1]: "
    written = printed(*sent, filter={"streams": ("acme",)}, exact=True)
    assert written == "".join(
        f"{head}{text}\n"
        for text in ("level=info part=1/2 a=1", "level=info part=2/2 b=2", "measure#x=1e3")
    )


def test_grep_takes_the_queries_of_the_page():
    """All terms must match."""
    sent = [
        ("status=503 path=/orders", {}),
        ("status=503 path=/health", {}),
        ("status=503 path=/orders", {"hostname": "globex"}),
        ("status=200", {}),
    ]
    query = Query("status=5* -path=/health stream=shop")
    assert printed(*sent, filter={"query": query}).count("\n") == 1
