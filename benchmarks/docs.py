"""Writes the results of `run.py --json` into docs/performance.md, and draws docs/performance.svg.

In the page, the text between `<!-- NAME -->` and `<!-- end -->` is replaced for each NAME below.
All other text is written by hand, and stays.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import plot
import report

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = {
    "targets": report.targets,
    "peers": report.peers,
    "mix peers": report.mix_peers,
    "kinds": report.kinds,
    "levers": report.levers,
    "mix levers": report.mix_levers,
    "made": report.made,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, metavar="FILE", help="what run.py --json has written")
    parser.add_argument("--page", type=Path, default=DOCS / "performance.md")
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    page = given.page.read_text()
    for name, generate in GENERATED.items():
        page = replaced(page, name, generate(results))
    given.page.write_text(page)
    plot.draw(results, given.page.with_suffix(".svg"))


def replaced(page: str, name: str, text: str) -> str:
    """The page with a new text between the two marks of that name."""
    begin, end = f"<!-- {name} -->\n", "\n<!-- end -->"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    found, times = re.subn(pattern, lambda _: begin + text + end, page, flags=re.DOTALL)
    if times != 1:
        raise SystemExit(f"the page has {times} places for {name}, and needs one")
    return found


if __name__ == "__main__":
    main()
