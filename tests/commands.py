"""The command, in a process of its own or in this one, with warnings as errors."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from logplex_handler.cli import main

COMMAND = [sys.executable, "-W", "error", "-m", "logplex_handler"]
ROOT = Path(__file__).parents[1]
# What a developer's own environment must not change.
_OWN = re.compile("LOGPLEX_|HEROKU_|DYNO|NO_COLOR|FORCE_COLOR|.*_PROXY|PYTEST", re.IGNORECASE)


def environment(url="", **more):
    """This process's environment without the variables that the package reads, but with a URL."""
    plain = {name: value for name, value in os.environ.items() if not _OWN.match(name)}
    return plain | ({"LOGPLEX_URL": url} if url else {}) | {"PYTHONPATH": str(ROOT)} | more


def run(*arguments, url="", stdin=b"", environ=None, **options):
    """The finished command."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(url, **(environ or {})),
        timeout=100,
        check=False,
        **options,
    )


def call(*arguments, url="", environ=None):
    """The finished command, which ran in this process: an interpreter takes long to start."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, environment(url, **(environ or {})), clear=True),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            status = main(list(arguments))
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(
        arguments, status, stdout.buffer.getvalue(), stderr.buffer.getvalue()
    )


@contextmanager
def started(*arguments, url="", **options):
    """The command while it runs; it is ended at the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*COMMAND, *arguments], env=environment(url), **(pipes | options))
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait(100)
