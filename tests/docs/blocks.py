"""The fenced blocks of a Markdown page, and what the comment before one says of it.

A block that is not code to be run has a comment of its own:

- `<!-- server -->`: a command that runs until it is stopped, and listens on port 8000
- `<!-- worker -->`: a command that runs until it is stopped, and does not listen
- `<!-- server, waited for -->`, `<!-- worker, waited for -->`: is stopped only when all has arrived
- `<!-- client -->`: commands that are run while the server or worker runs
- `<!-- arrives -->`: lines that the receiver gets, as `heroku logs` shows them but for the time;
  `…` stands for any text
- `<!-- sends -->`: texts of lines that the page's Python has sent
- `<!-- prints -->`: what the block before it prints; `…` as above
- `<!-- continues -->`: the names that this block does not import are those of blocks before it
- `<!-- not run: WHY -->`: needs an account, or is no program

A block with a `title="FILE"` is part of that file of the page's example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"<!-- (?P<says>[^>]*?) -->\s*\Z")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file it is part of, its comment, its text."""

    language: str
    title: str | None
    says: str | None
    text: str
    line: int

    @property
    def continues(self) -> bool:
        return self.says == "continues"


def pages() -> list[Path]:
    """Every page of the documentation, and the README."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name(page: Path) -> str:
    """A page as tests name it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(source):
        info = match["info"].strip()
        title = _TITLE.search(info)
        comment = _COMMENT.search(source[: match.start()])
        indent = match["indent"]
        text = "".join(
            line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)
        )
        found.append(
            Block(
                info.split(" ")[0],
                title and title[1],
                comment and comment["says"],
                text,
                source.count("\n", 0, match.start()) + 1,
            )
        )
    return found


def pattern(expected: str) -> str:
    """A regular expression for an expected line in which `…` stands for anything."""
    return ".*".join(re.escape(part) for part in expected.split("…"))
