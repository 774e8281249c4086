"""The queries of `--grep` and the API: the same table of cases as for the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logplex_handler.receiver.feed import ReceivedLine
from logplex_handler.receiver.query import Query
from logplex_handler.testing import Line, Violation
from logplex_handler.testing.wire_parser import Packet

TABLE = json.loads(Path(__file__).with_name("queries.json").read_text(encoding="utf-8"))
CASES = TABLE["cases"]


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


def test_a_regular_expression_that_may_take_for_ever_is_refused():
    """Whose time grows exponentially; the page has the same table."""
    for source in TABLE["regexps"]["refused"]:
        with pytest.raises(ValueError, match="may take for ever: "):
            Query(f"/{source}/")
    for source in TABLE["regexps"]["accepted"]:
        assert Query(f"-/{source}/ no").matches(received("")) is False


def test_a_leading_wildcard_and_a_long_text_take_no_longer():
    """They would take the square of the line's length, or a power of the value's length."""
    text = "a" * 200_000 + "="
    assert not Query("/.*b/").matches(received(text))
    assert not Query("/.*?.*b/").matches(received(text))
    assert not Query("x=*a*a*a*a*a*b*c").matches(received(f"x={text}"))
    assert Query("x=*a*aa*=").matches(received(f"x={text}"))
    assert Query("/.*|b/").matches(received())
    assert Query("x=ab*ba").matches(received("x=abba"))
    assert not Query("x=ab*ba").matches(received("x=aba"))


@pytest.mark.parametrize(
    "source", ["a.*b.*c.*d", "(.*)x.*y.*=!", r"\d*\d*\d*\d*!", "(a+a+){2}!", "a?" * 16 + "a" * 16]
)
def test_a_hostile_line_holds_up_no_regular_expression(source):
    """It would take hours, in which `receive` does not even answer; only a part is searched."""
    query = Query(f"/{source}/")
    for text in ("a" * 9_999 + "b" * 9_999 + "c" * 9_999, "xy" * 15_000, "1" * 30_000):
        query.matches(received(text))
    assert query.matches(received("a b c d xyxy=! 123! aaaa! " + "a" * 16))


def test_whatever_a_query_and_a_line_hold_is_no_trouble():
    """A number that no float holds, an endless unit, a quote and a backslash at the end."""
    for query in ("x>" + "9" * 400, 'x="\\', '"\\', "x>=1" + "a" * 5_000, "level=", "-", "- -a"):
        one = Query(query)
        for text in ('x="\\', "x=" + "9" * 400, 'x="\\ud800"', "x=1" + "a" * 5_000, "=", "x="):
            assert one.matches(received(text)) in (True, False)
