"""Each claim in `docs/reliability.md`, and in `docs/relay.md`, names a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = "".join((ROOT / "docs" / page).read_text() for page in ("reliability.md", "relay.md"))
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGES)))


@cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path, name):
    """In that file, as a function that pytest collects."""
    assert name in functions(path)
    assert name.startswith("test_")


def test_every_row_of_a_fault_names_its_test():
    """Those of the tables with a column for it."""
    rows = 0
    for table in re.findall(r"(?:^\|.*\n)+", PAGES, re.MULTILINE):
        head, _, *lines = table.splitlines()
        if head.endswith(" test |"):
            rows += len(lines)
            assert all(re.search(r"`tests/[\w/]+\.py::\w+` \|$", line) for line in lines)
    assert rows > 30
    assert len(NAMED) > 30
