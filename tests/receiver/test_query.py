"""The queries of `--grep` and the API: the same table of cases as for the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logplex_handler.receiver.feed import ReceivedLine
from logplex_handler.receiver.query import Query
from logplex_handler.testing import Line, Violation
from logplex_handler.testing.wire_parser import Packet

CASES = json.loads(Path(__file__).with_name("queries.json").read_text(encoding="utf-8"))["cases"]


def received(text="", stream="shop", process="web.1", severity=6, violations=0):
    packet = Packet(184 + severity, "", stream, "app", process, "-", "-", text)
    found = (Violation("bad", "pair.key"),) * violations
    return ReceivedLine(Line(packet, None, 1, ""), stream, found)


@pytest.mark.parametrize("query", sorted({case["query"] for case in CASES}))
def test_a_query_matches_the_lines_of_the_table(query):
    """And is an error where the table says so."""
    for case in CASES:
        if case["query"] != query:
            continue
        if "error" in case:
            with pytest.raises(ValueError, match=r"no (regular expression|level)"):
                Query(query)
        else:
            assert Query(query).matches(received(**case["line"])) == case["matches"], case


def test_whatever_a_query_and_a_line_hold_is_no_trouble():
    """A number that no float holds, an endless unit, a quote and a backslash at the end."""
    for query in ("x>" + "9" * 400, 'x="\\', '"\\', "x>=1" + "a" * 5_000, "level=", "-", "- -a"):
        one = Query(query)
        for text in ('x="\\', "x=" + "9" * 400, 'x="\\ud800"', "x=1" + "a" * 5_000, "=", "x="):
            assert one.matches(received(text)) in (True, False)
