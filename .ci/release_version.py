"""Fails unless a tag, the package's version and the changelog name the same release.

`python release_version.py v1.2.0`
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(tag: str) -> str | None:
    source = (ROOT / "logplex_handler" / "_process" / "version.py").read_text(encoding="utf-8")
    found = re.fullmatch(r'__version__ = "([^"]+)"\n', source)
    if found is None:
        return "logplex_handler/_process/version.py is not one line with the version"
    version = found[1]
    if tag != f"v{version}":
        return f"the tag is {tag}, and the version is {version}"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    ):
        return f"CHANGELOG.md has no dated section for {version}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
