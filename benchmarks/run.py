"""Compares the handler with the standard library's handlers and with others, and prints tables.

Every measurement runs in its own process. Rounds are interleaved: each round takes all measurements
one after the other, so that the machine's drift affects all of them alike.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import report
from cases import FULL, OWN, QUICK, WITH_PEERS, Run, all_cases
from figures import OURS, Result, Round, delivered
from sinks import Sinks

HERE = Path(__file__).parent
TIMEOUT = 900  # seconds for one measurement


def main() -> None:
    given = _arguments()
    cases = all_cases(largest=given.largest)
    wanted = given.cases.split(",") if given.cases else list(cases)
    if unknown := set(wanted) - set(cases):
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(cases)}")
    pythons = {}
    for path in given.python or [sys.executable]:
        about = json.loads(_script(path, "case.py", "--about"))
        name = ".".join(about["python"].split(".")[:2])
        pythons[name] = {"path": path, "about": about, "rounds": []}
        about["peers"] = {
            peer: version for peer, version in about["peers"].items() if _wants(given.peers, peer)
        }
        about["missing"] = [peer for peer in about["missing"] if _wants(given.peers, peer)]
    with Sinks() as sinks:
        for number in range(1, given.rounds + 1):
            for name, each in pythons.items():
                _say(f"round {number} of {given.rounds}, Python {name}")
                peers = list(each["about"]["peers"])
                one: Round = {"ceiling": {"sink": _ceiling(each["path"], sinks, given.records)}}
                for case in wanted:
                    runs = list(cases[case])
                    if case in WITH_PEERS:
                        runs += [replace(runs[0], subject=peer) for peer in peers]
                    if number % 2 == 0:
                        # Later measurements run on a warmer machine, so each round starts with
                        # another one.
                        runs.reverse()
                    one[case] = {
                        run.name: result
                        for run in runs
                        if (result := _measure(each["path"], sinks, run, given.records))
                    }
                each["rounds"].append(one)
    for each in pythons.values():
        del each["path"]
    results = {
        "command": shlex.join(["python", "benchmarks/run.py", *_shown(sys.argv[1:])]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{_cpu()}",
        "rounds": given.rounds,
        "records": given.records,
        "pythons": pythons,
    }
    text = report.whole(results)
    print(text)
    if given.output:
        given.output.write_text(text)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of 20,000 records without peers: under a minute, and a glimpse only",
    )
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--records", type=int, help=f"default: {FULL:,}; sizes are shares of it")
    parser.add_argument("--cases", help="names, with commas between; default: all")
    parser.add_argument("--largest", action="store_true", help="also 50 times as many records")
    parser.add_argument(
        "--peers", help="all, none, or names with commas between; default: all, none with --quick"
    )
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter that has the package; may be repeated; default: this one",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the tables there too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, for docs.py")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.records = given.records or (QUICK if given.quick else FULL)
    given.peers = given.peers or ("none" if given.quick else "all")
    return given


def _wants(peers: str, name: str) -> bool:
    return peers == "all" or name in peers.split(",")


def _measure(python: str, sinks: Sinks, run: Run, whole: int) -> Result | None:
    records = run.records(whole)
    sink = sinks[run.sink]
    sink.counted()
    _say(f"  {run.measure} {run.kind} {run.name}: {records:,} records")
    command = ["case.py", run.subject, run.measure, run.kind, str(records), sink.url]
    try:
        result: Result = json.loads(_script(python, *command))
    except (subprocess.SubprocessError, ValueError) as error:
        # A peer may fail; the handler and the baselines may not.
        if run.subject in OWN:
            raise
        _say(f"  {run.subject} left out: {error}")
        return None
    result |= {"records": records, **sink.counted()}
    missing = records - delivered(result)
    if run.sink == "fast" and run.name.startswith(OURS) and "whole" in result and missing:
        _say(f"  {missing:,.0f} records did not arrive: the costs of this run are no figures")
    return result


def _ceiling(python: str, sinks: Sinks, records: int) -> Result:
    sink = sinks["fast"]
    sink.counted()
    sent: Result = json.loads(_script(python, "ceiling.py", sink.url, str(records)))
    return {
        "per_second": sent["records"] / sent["wall"],
        "per_cpu_second": sent["records"] / sink.counted()["sink_cpu"],
    }


def _script(python: str, name: str, *arguments: str) -> str:
    """Run a script of this folder with that Python, and return the last line of its output."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LOGPLEX_", "DYNO", "HEROKU_", "OTEL_", "AWS_"))
    }
    done = subprocess.run(
        [python, str(HERE / name), *arguments],
        env=environment,
        # The output of peers is only shown if one fails.
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return done.stdout.splitlines()[-1]


def _shown(arguments: list[str]) -> list[str]:
    """The arguments without paths of this machine."""
    return [re.sub(r"(^|=)/.*/", r"\1", argument) for argument in arguments]


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return ""
    found = re.search(r"^model name\s*:\s*(.+)$", described.read_text(), re.MULTILINE)
    return f", {found[1]}" if found else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
