"""Output to a terminal: colours, progress, and no raw control characters."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from datetime import datetime, timedelta, timezone
from unittest import mock

import pytest
import requests

from logplex_handler.receiver.brief import Brief, local_time
from logplex_handler.receiver.feed import Feed
from logplex_handler.receiver.json_lines import JsonLines
from logplex_handler.receiver.query import Query
from logplex_handler.receiver.style import Style, harmless
from logplex_handler.receiver.terminal import Filter, Terminal
from logplex_handler.testing import LogplexReceiver
from tests.cli.receiving import TIME, receiving
from tests.commands import call, environment, run, start
from tests.receiver.page import body


def in_a_terminal(*arguments, seconds, environ=None):
    """The command's output to a terminal."""
    parent, child = pty.openpty()
    process = start(
        *arguments,
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
    written = in_a_terminal("demo", "--seconds", "1", seconds=100)
    assert re.search(rf"\x1b\[\d+m{TIME} app\[web\.1\]:\x1b\[0m source=demo", written)
    assert "\x1b[31mlevel=error\x1b[0m" in written
    assert "\x1b[33mlevel=warning\x1b[0m" in written
    assert " level=info " in written
    plain = run("demo", "--seconds", "0.5").stdout.decode()
    assert "\x1b" not in plain


def test_no_color_is_obeyed():
    """As is FORCE_COLOR where there is no terminal."""
    written = in_a_terminal("demo", "--seconds", "0.3", seconds=100, environ={"NO_COLOR": "1"})
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
    monkeypatch.setattr("logplex_handler.receiver.style._is_terminal", lambda stream: is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    feed = Feed([Terminal(Style(sys.stdout), Filter(), quiet=True)])
    with LogplexReceiver(on_arrival=feed) as logplex:
        requests.post(logplex.url, data=body("msg=a"), timeout=100)
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
        feed = Feed([options.pop("kind", Terminal)(style, line_filter, **options)])
        with LogplexReceiver(on_arrival=feed, strict=False) as logplex:
            for number, (text, given) in enumerate(sent):
                requests.post(
                    logplex.url,
                    data=body(text, **{k: v for k, v in given.items() if k != "content_type"}),
                    headers={
                        "Content-Type": given.get("content_type", "application/logplex-1"),
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
    """As soon as there are several, after a note; as wide as the longest name; none is cut."""
    names = ["shop", "warehouse", "shop", "a" * 40, "a\x1bb"]
    first, note, *others = printed(*(("x", {"hostname": name}) for name in names)).splitlines()
    assert note == "  - several streams: the lines so far are of shop"
    lines = [first, *others]
    columns = [line.partition("2026-")[0] for line in lines]
    width = len("shop                     | ")
    assert columns[:4] == ["", "warehouse | ", "shop      | ", "a" * 40 + " | "]
    assert columns[4] == "a\\u001bb".ljust(width - 3) + " | "


def test_streams_have_different_colours():
    """As long as there are colours left, in the order in which the streams come."""
    names = [f"app-{number}" for number in range(11)]
    written = printed(*(("x", {"hostname": name}) for name in ["one", *names]), coloured=True)
    codes = [re.search(rf"\x1b\[(\d+)m{name}\x1b", written)[1] for name in names]
    assert len({*codes[:10]}) == 10
    assert codes[10] == codes[0]


def test_names_of_streams_without_end_take_bounded_memory(monkeypatch):
    """The colours of the first ones are kept; others have the next one."""
    monkeypatch.setattr("logplex_handler.receiver.terminal._MAX_HEADS", 3)
    names = ["one", *(f"app-{number}" for number in range(6)), "app-1", "app-4"]
    written = printed(*(("x", {"hostname": name}) for name in names), coloured=True)
    codes = [re.search(rf"\x1b\[(\d+)m{name}\x1b", written)[1] for name in names[1:]]
    assert len({*codes}) == 4
    assert codes[3:6] == [codes[3]] * 3
    assert (codes[6], codes[7]) == (codes[1], codes[4])


REFUSED = {"content_type": "text/plain"}


def test_a_refused_request_names_its_stream_where_there_are_several():
    """Not where there is one, as every beginner has it; and not if another one is chosen."""
    alone = printed(("x", REFUSED), ("x", {}))
    assert "  - 415: 1 line was not taken\n" in alone
    several = [("x", {}), ("x", {**REFUSED, "hostname": "glo\x1bbex"}), ("y", REFUSED)]
    assert "  - 415: 1 line was not taken (glo\\u001bbex)\n" in printed(*several)
    none_taken = [("x", {**REFUSED, "hostname": name}) for name in ("acme", "globex")]
    again = printed(*none_taken, none_taken[0])
    assert "  - 415: 1 line was not taken (globex)\n" in again
    assert "  - 415: 1 line was not taken (acme)\n" in again
    assert printed(*several, filter={"streams": ("shop",)}).count("415: 1 line") == 1
    assert "415" not in printed(*several, filter={"streams": ("acme",)})


def test_a_request_without_lines_is_not_said_to_have_lost_any():
    """As the one that a browser sends."""
    out, style = [], Style(sys.stdout)
    terminal = Terminal(style, Filter(), printer=mock.Mock(write=out.append))
    with LogplexReceiver(on_arrival=Feed([terminal])) as logplex:
        requests.get(logplex.url, timeout=100)
    assert "".join(out).startswith("  - 405: nothing was taken\n  ! 405: Not a POST\n")


def test_what_is_explained_still_stands_on_the_screen(monkeypatch):
    """The same explanation comes again only when it has left the screen; the finding always."""
    monkeypatch.setenv("LINES", "20")
    monkeypatch.setenv("COLUMNS", "80")
    bad = [("measure#x=1e3", {}), ("measure#x=1e3 measure#y=1e3", {})]
    written = printed(*bad, *[("fine", {})] * 20, *bad[:1])
    assert written.count("Write fixed point") == 2
    assert written.count("  ! text: character") == 4
    assert " ".join(written.split()).count("of letters (see above)") == 2


def test_explanations_are_of_the_lines_that_are_shown():
    """A filter leaves out what is wrong with others, with `quiet` too."""
    sent = [("measure#x=1e3", {}), ("measure#y=1e3", {"hostname": "globex"})]
    for quiet in (False, True):
        written = printed(*sent, filter={"streams": ("shop",)}, quiet=quiet)
        assert "measure#y" not in written
        assert written.count("  ! ") == 1


def a_brief(*sent, **options):
    """What the brief form shows of lines, after their times."""
    time = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3} "
    return re.sub(rf"(?m)^(.* \| )?{time}", r"\1", printed(*sent, kind=Brief, **options))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'source=us level=info logger=shop msg="order shipped" city=oslo',
            "order shipped  city=oslo",
        ),
        ("level=error logger=shop msg=lost n=1", "level=error lost  n=1"),
        ("level=info logger=shop status=200 msg=late", "status=200 msg=late"),
        ("source=us sample#queue=3", "sample#queue=3"),
        ("a free text of logger=shop", "a free text of logger=shop"),
        ("level=info logger=shop", "level=info logger=shop"),
        ('level=info msg="level=error \\u001b[2J"', "level=error \\u001b[2J"),
        ('msg="" a=1', 'msg="" a=1'),
        ("    took  3 s,   size=4", "    took  3 s,   size=4"),
    ],
)
def test_a_brief_line_begins_with_its_message(text, shown):
    """Without the pairs that most lines begin with; what is left of none is the line itself."""
    assert a_brief((text, {})) == f"web.1: {shown}\n"


def test_a_brief_traceback_is_as_python_prints_it():
    """Below its line, harmless; other pairs stay in the line."""
    text = 'level=error msg=lost traceback="Traceback:\\n  File \\"a\\"\\n\\u009bE: no\\n" n=1'
    shown = '    Traceback:\n      File "a"\n    \\u009bE: no\n'
    assert a_brief((text, {"priority": 187})) == f"web.1: level=error lost  n=1\n{shown}"


def test_a_brief_line_takes_few_rows_of_a_terminal(monkeypatch):
    """And a traceback few lines; in a pipe, nothing is cut."""
    monkeypatch.setenv("COLUMNS", "60")
    traceback = "\\n".join(f"row {number}" for number in range(100))
    sent = [(f'msg={"x" * 500} traceback="{traceback}"', {})]
    assert "x" * 500 in a_brief(*sent)
    monkeypatch.setattr("logplex_handler.receiver.style._is_terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    head, *rows = a_brief(*sent).splitlines()
    assert head == f"web.1: {'x' * 180}... (+320 characters)"
    assert [rows[9:12], rows[-1]] == [
        ["    row 9", "    ... (+60 lines)", "    row 70"],
        "    row 99",
    ]


def test_brief_names_of_streams_are_short_and_processes_without_app():
    """Unless the app is another one, such as the router."""
    sent = [("x", {}), ("y", {"hostname": "search-indexer-production"})]
    assert a_brief(*sent).splitlines()[2] == "search-…oduction | web.1: y"


def test_brief_times_are_local(monkeypatch):
    """With the date only if it is another day; what is no time is shown as it is."""
    now = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
    today = now.astimezone().timetuple()[:3]
    for sent in (now, now - timedelta(days=3)):
        local = sent.astimezone()
        clock = f"{local:%H:%M:%S}.000"
        shown = local_time(sent.isoformat(timespec="microseconds"), today)
        assert shown == (clock if sent == now else f"{local:%Y-%m-%d} {clock}")
    for wrong in ("-", "2026-11-21T12:00:00.123456", "0001-01-01T00:00:00.123456+23:00"):
        assert local_time(wrong, today) == wrong


def test_a_brief_level_has_its_colour():
    """The level's own pair; a message has none of a level that it only names."""
    written = printed(("level=error msg=lost", {}), kind=Brief, coloured=True)
    assert " \x1b[31mlevel=error\x1b[0m lost\n" in written
    written = printed(("level=info msg=level=error", {}), kind=Brief, coloured=True)
    assert " level=error\n" in written


def test_words_with_hyphens_stay_whole(monkeypatch):
    """They are names of headers and of programs."""
    monkeypatch.setenv("COLUMNS", "32")
    written = printed(("x", REFUSED))
    assert "Content-Type" in written
    assert not re.search(r"[a-z]-\n", written)


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


def test_a_line_with_several_violations_is_shown_once():
    """With `quiet` too, before its explanations."""
    written = printed(("measure#x=1e3 measure#y=-1", {}), ("fine", {}), quiet=True)
    assert written.count("measure#x=1e3 measure#y=-1\n") == 1
    assert written.count("  ! ") == 2
    assert "fine" not in written


def test_lines_are_printed_as_json(capsys):
    """An object a line, numbered as the page numbers lines and requests; it is pure ASCII."""
    sent = [
        ("level=info part=1/2 a=1", {}),
        ("status=503", {"hostname": "globex"}),
        ("level=info part=2/2 b=zw\u00f6lf\x9b", {}),
        ("measure#x=1e3", {}),
    ]
    written = printed(*sent, kind=JsonLines, filter={"query": Query("-status=503")})
    assert written.isascii()
    joined, bad = map(json.loads, written.splitlines())
    assert joined["text"] == "level=info a=1 b=zw\u00f6lf\x9b"
    assert joined["pairs"]["a"] == "1"
    # After two requests and a line, which is not printed.
    assert (joined["n"], joined["request"], joined["stream"]) == (3, 4, "shop")
    assert (bad["n"], bad["request"], bad["violations"][0]["rule"]) == (5, 6, "metric.exponent")
    assert "measure#x" not in capsys.readouterr().err


def test_json_with_quiet_is_of_lines_with_violations():
    """Only of these."""
    written = printed(("measure#x=1e3", {}), ("fine", {}), kind=JsonLines, quiet=True)
    assert [json.loads(line)["text"] for line in written.splitlines()] == ["measure#x=1e3"]
