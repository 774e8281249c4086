"""Takes one measurement in this process, and prints its figures as one line of JSON.

With --about, prints the packages that this Python has installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata

import peers
from kinds import KINDS
from measures import MEASURES
from subjects import SUBJECTS, Subject


def about() -> dict[str, object]:
    """The relevant packages that this Python has installed."""
    installed = {}
    for name in ("logplex-handler", "requests", "urllib3"):
        installed[name] = metadata.version(name)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": installed,
        "peers": peers.installed(),
        "missing": peers.missing(),
    }


def make(name: str, url: str) -> Subject:
    """Create the subject of that name, without importing anything for the others."""
    if name in SUBJECTS:
        return SUBJECTS[name](url)
    if name in peers.PEERS:
        return peers.PEERS[name].make(url)
    from levers import LEVERS

    return LEVERS[name](url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--about", action="store_true")
    parser.add_argument("subject", nargs="?")
    parser.add_argument("measure", nargs="?", choices=MEASURES)
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("records", nargs="?", type=int)
    parser.add_argument("url", nargs="?")
    given = parser.parse_args()
    if given.about:
        print(json.dumps(about()))
        return
    subject = make(given.subject, given.url)
    result = MEASURES[given.measure](subject, KINDS[given.kind], given.records)
    print(json.dumps(result), flush=True)
    # Records that wait for a sink that never answers must not delay the exit.
    os._exit(0)


if __name__ == "__main__":
    main()
