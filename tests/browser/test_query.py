"""The query's grammar in JavaScript: the cases that Python's tests run, too."""

from __future__ import annotations

import json
from pathlib import Path

from tests.receiver.page import shown

CASES = json.loads((Path(__file__).parents[1] / "receiver" / "queries.json").read_text("utf-8"))

RUN = """async (cases) => {
    const { parse } = await import("/static/query.js");
    return cases.map(({ query, line }) => {
        const parsed = parse(query);
        if (!line) return parsed.error !== null;
        return parsed.error ?? parsed.test({
            x: line.text, s: line.stream ?? "shop", p: line.process ?? "web.1",
            v: line.severity ?? 6, w: line.violations ?? 0, l: line.text.toLowerCase(),
        });
    });
}"""


def test_queries_match_as_the_table_says(tab):
    """All cases in one page."""
    with shown() as one:
        tab.goto(one.page.url)
        found = tab.evaluate(RUN, CASES["cases"])
    expected = [case.get("matches", True) for case in CASES["cases"]]
    wrong = [case for case, a, b in zip(CASES["cases"], found, expected, strict=True) if a != b]
    assert wrong == []


def test_a_term_is_added_and_replaced(tab):
    """As the menus and the clicks on pairs do."""
    with shown() as one:
        tab.goto(one.page.url)
        changed = tab.evaluate("""async () => {
            const { withTerm, quote } = await import("/static/query.js");
            const level = (term) => term.key === "level";
            return [
                withTerm("a level>=info b", "level>=error", level),
                withTerm("a level>=info b", "", level),
                withTerm("status=5*", "status=5*"),
                withTerm("", "-msg=" + quote('a "b" \\\\')),
                ["", "a b", "a,b", "5*", "x"].map(quote).join(" "),
            ];
        }""")
    assert changed == [
        "a b level>=error",
        "a b",
        "status=5*",
        '-msg="a \\"b\\" \\\\"',
        '"" "a b" "a,b" "5*" x',
    ]
