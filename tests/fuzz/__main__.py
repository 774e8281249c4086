"""`python -m tests.fuzz TARGET [libFuzzer's options]`, with atheris installed."""

import sys

import atheris

with atheris.instrument_imports(include=["logplex_handler"]):
    from tests.fuzz.targets import TARGETS

if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
    sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [-max_total_time=60] ...")
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, target)
atheris.Fuzz()
