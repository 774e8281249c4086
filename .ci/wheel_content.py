"""Fails unless a wheel holds what it must, and nothing else: `python wheel_content.py WHEEL`."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "logplex_handler"


def main(wheel: str) -> str | None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    sources = [path for path in PACKAGE.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    expected = {str(path.relative_to(PACKAGE.parent)) for path in sources}
    packed = {name for name in names if ".dist-info/" not in name}
    metadata = {name.rpartition("/")[2] for name in names - packed}
    if missing := expected - packed:
        return f"not in the wheel: {sorted(missing)}"
    if more := packed - expected:
        return f"should not be in the wheel: {sorted(more)}"
    if not {"METADATA", "RECORD", "WHEEL", "LICENSE"} <= metadata:
        return f"dist-info holds only {sorted(metadata)}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
