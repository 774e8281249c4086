"""Compares the processor instructions of a record, counted by callgrind, with committed figures.

Counts do not depend on how fast or busy the machine is, so CI can detect a slower hot path. The
figure of a kind of record is the number of instructions that the handler adds to 10,000 records, in
the caller and the worker together, until all are delivered, divided by their cost with a
NullHandler. Of `request`, each record is sent alone, over a socket. Pythons without committed
figures are skipped. 10 % more is an error. So is 10 % less, because a later change could then waste
the difference unnoticed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sinks import Sinks

HERE = Path(__file__).parent
COMMITTED = HERE / "instructions.json"

RECORDS = 10_000
ROOM = 0.10
# The groups are counted at the same time, so the first two have as many of the expensive kinds.
GROUPS = (
    ("plain", "exception", "metric", "mapping", "accented", "medium"),
    ("extras", "template", "metrics", "values", "long", "web_mix"),
    ("request",),
)

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", help="write the figures for this Python")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--if-available", action="store_true", help="no valgrind is no error")
    given = parser.parse_args()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: nothing was counted")
        sys.exit(0 if given.if_available else 1)
    committed: dict[str, Figures] = json.loads(COMMITTED.read_text())
    if version not in committed and not given.renew:
        print(f"Python {version} has no figures: nothing was counted")
        return
    with Sinks() as sinks, ThreadPoolExecutor() as pool:
        url = sinks["fast"].url
        counted: Figures = {}
        for figures in pool.map(lambda kinds: count(kinds, given.records, url), GROUPS):
            counted.update(figures)
    for kind, figure in counted.items():
        was = committed.get(version, {}).get(kind)
        print(f"Python {version} {kind}: {figure:.2f} of NullHandler's more", f"(committed: {was})")
    if given.renew:
        committed[version] = {kind: round(figure, 2) for kind, figure in counted.items()}
        COMMITTED.write_text(json.dumps(committed, indent=2, sort_keys=True) + "\n")
    elif problems := differences(counted, committed[version]):
        sys.exit("\n".join(problems))


def differences(counted: Mapping[str, float], committed: Mapping[str, float]) -> list[str]:
    """Describe the kinds whose cost differs too much from the committed figure."""
    return [
        f"{kind}: {counted[kind]:.2f} is {abs(counted[kind] / figure - 1):.0%}"
        f" {'more' if counted[kind] > figure else 'less'} than {figure:.2f};"
        " if that is meant, renew the figures with benchmarks/instructions.py --renew"
        for kind, figure in committed.items()
        if abs(counted[kind] / figure - 1) > ROOM
    ]


def count(kinds: tuple[str, ...], records: int, url: str) -> Figures:
    """Count the instructions that the handler adds, as a share of NullHandler's, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        done = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                # A function of the C library that nothing else calls; it marks where to write a
                # profile.
                "--dump-before=getloadavg",
                f"--callgrind-out-file={profile}",
                sys.executable,
                str(HERE / "counted.py"),
                str(records),
                url,
                *kinds,
            ],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stderr)
            done.check_returncode()
        # The first profile is the start-up; then parts and the gaps between them alternate.
        totals = [
            _total(profile.with_name(f"profile.{number}"))
            for number in range(2, 2 * 2 * len(kinds) + 1, 2)
        ]
    null, ours = totals[: len(kinds)], totals[len(kinds) :]
    return {kind: ours[i] / null[i] - 1 for i, kind in enumerate(kinds)}


def _total(profile: Path) -> int:
    found = re.search(r"^totals: (\d+)", profile.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError("callgrind wrote a profile without totals")
    return int(found[1])


if __name__ == "__main__":
    main()
