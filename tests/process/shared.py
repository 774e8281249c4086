"""A program with a handler, run by its own interpreter."""

import os
import subprocess
import sys
import textwrap

PREAMBLE = """
import logging, os, sys, threading
from logplex_handler import LogplexHandler
handler = LogplexHandler(flush_interval=60, **OPTIONS)
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
"""


def run(url, script, *, timeout=100, **options):
    """Run a program whose `logger` sends to the URL; its exit status and its output."""
    program = PREAMBLE.replace("OPTIONS", repr(options)) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "LOGPLEX_URL": url},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
