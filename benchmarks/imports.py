"""What importing the package costs, beside importing requests.

    python benchmarks/imports.py --rounds 15

Each figure is the CPU time of one fresh interpreter with cached bytecode, without that of `import
logging`, which every program that logs has paid. The cases take turns in each round, and each is
divided by `import requests` of the same round; the table shows the medians. `-X importtime` shows
where the time goes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

REQUESTS = "import requests"
# The package alone, what most programs name, what metrics need, and the first handler, which
# imports the HTTP libraries too.
CASES = {
    REQUESTS: REQUESTS,
    "import logplex_handler": "import logplex_handler",
    "from logplex_handler import measure": "from logplex_handler import measure",
    "from logplex_handler import LogplexHandler": "from logplex_handler import LogplexHandler",
    "LogplexHandler(url)": (
        "from logplex_handler import LogplexHandler; LogplexHandler('http://u:t@127.0.0.1:9/')"
    ),
    "LogplexHandler(url, spool=path)": (
        "from logplex_handler import LogplexHandler;"
        "LogplexHandler('http://u:t@127.0.0.1:9/', spool='never-opened')"
    ),
}


def seconds(statement: str) -> float:
    """The CPU seconds of a statement in an interpreter of its own."""
    program = (
        "import logging, os, time; began = time.process_time(); "
        f"{statement}; print(time.process_time() - began, flush=True); os._exit(0)"
    )
    environ = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    # Writes the bytecode.
    seconds("; ".join(CASES.values()))
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, statement in CASES.items():
            found[name].append(seconds(statement))
    print("| | ms | ÷ `import requests` |\n|---|---|---|")
    for name, values in found.items():
        pairs = zip(values, found[REQUESTS], strict=True)
        ratio = statistics.median(one / beside for one, beside in pairs)
        print(f"| `{name}` | {statistics.median(values) * 1000:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
