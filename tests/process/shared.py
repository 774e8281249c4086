"""A program with a handler, run by its own interpreter or in a fork."""

import os
import subprocess
import sys
import textwrap

from tests.commands import run_program

PREAMBLE = """
import logging, os, sys, threading
from logplex_handler import LogplexHandler
# No load makes an answer, or a delivery at the end, take so long.
patient = {"timeout": 60, "shutdown_timeout": 60}
handler = LogplexHandler(**{"flush_interval": 60, **patient, **OPTIONS})
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
"""


def run(url, script, *, timeout=100, **options):
    """Run a program whose `logger` sends to the URL; its exit status and its output."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", _program(script, options)],
        env={**os.environ, "LOGPLEX_URL": url},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_forked(url, script, **options):
    """Run a program for which the order of imports does not matter; see `tests.forks`."""
    return run_program("-c", _program(script, options), env={**os.environ, "LOGPLEX_URL": url})


def _program(script, options):
    return PREAMBLE.replace("OPTIONS", repr(options)) + textwrap.dedent(script)
