"""The query's grammar in JavaScript: the cases that Python's tests run, too."""

from __future__ import annotations

import json
from pathlib import Path

CASES = json.loads((Path(__file__).parents[1] / "receiver" / "queries.json").read_text("utf-8"))

RUN = """async ({ cases, regexps }) => {
    const { parse } = await import("/static/query.js");
    const isRefused = (source) => parse(`/${source}/`).error !== null;
    const refused = regexps && [regexps.refused.every(isRefused), regexps.accepted.some(isRefused)];
    const matches = cases.map(({ query, line }) => {
        const parsed = parse(query);
        if (!line) return parsed.error !== null;
        return parsed.error ?? parsed.test({
            x: line.text, s: line.stream ?? "shop", p: line.process ?? "web.1",
            v: line.severity ?? 6, w: line.violations ?? 0, l: line.text.toLowerCase(),
        });
    });
    return { matches, refused };
}"""


def test_queries_match_as_the_table_says(tab, local):
    """All cases in one page."""
    tab.goto(local.page.url)
    answer = tab.evaluate(RUN, CASES)
    found = answer["matches"]
    expected = [case.get("matches", True) for case in CASES["cases"]]
    wrong = [case for case, a, b in zip(CASES["cases"], found, expected, strict=True) if a != b]
    assert wrong == []
    assert answer["refused"] == [True, False]


def test_a_term_is_added_and_replaced(tab, local):
    """As the menus and the clicks on pairs do."""
    tab.goto(local.page.url)
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


def test_a_search_in_slices_finds_the_lines_in_their_order(tab, local):
    """It begins where the reader is, and goes on through lines that come meanwhile."""
    tab.goto(local.page.url)
    found = tab.evaluate("""async () => {
        const { Search } = await import("/static/search.js");
        const { parse } = await import("/static/query.js");
        const line = (i) => ({ i, x: `n=${i % 10} i=${i}`, l: `n=${i % 10} i=${i}` });
        const all = Array.from({ length: 5_000 }, (_, i) => line(i));
        const { test } = parse("n=7");
        const find = (one, found) => { if (test(one)) found.push(one); };
        const search = new Search(all, find, 3_000);
        const first = search.goOn(0);
        const part = search.found().map((one) => one.i);
        all.push(line(5_007));
        const last = search.goOn(Infinity);
        // What is remembered of a term is right for the next query.
        const again = parse("-n=7 i=1*").test;
        return [first, part[0], part.at(-1), last, search.found().map((one) => one.i),
            all.filter((one) => again(one)).length];
    }""")
    sevens = list(range(7, 5_008, 10))
    others = [i for i in range(5_000) if i % 10 != 7 and str(i).startswith("1")]
    assert found == [False, 2_507, 3_497, True, sevens, len(others)]
