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
from tests import forks

# A program of its own.
COMMAND = [sys.executable, "-W", "error", "-m", "logplex_handler"]
ROOT = Path(__file__).parents[1]
# What a developer's own environment must not change.
_OWN = re.compile("LOGPLEX_|HEROKU_|DYNO|NO_COLOR|FORCE_COLOR|.*_PROXY|PYTEST", re.IGNORECASE)

_PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def environment(url="", **more):
    """This process's environment without the variables that the package reads, but with a URL."""
    plain = {name: value for name, value in os.environ.items() if not _OWN.match(name)}
    return plain | ({"LOGPLEX_URL": url} if url else {}) | {"PYTHONPATH": str(ROOT)} | more


def start(*arguments, env, **options):
    """The command as it starts, with an interpreter of its own only if it needs one."""
    if forks.may_be_forked(env):
        return forks.Fork([*arguments], env=env, **options)
    return subprocess.Popen([*COMMAND, *arguments], env=env, **options)


def run(*arguments, url="", stdin=b"", environ=None):
    """The finished command."""
    return _finished(start(*arguments, env=environment(url, **(environ or {})), **_PIPES), stdin)


def run_in_shell(line, url, **options):
    """The finished command line, in which `COMMAND` stands for the command."""
    line = line.replace("COMMAND", " ".join(COMMAND))
    return subprocess.run(
        line, shell=True, env=environment(url), timeout=100, check=False, **options
    )


def run_program(*arguments, env, stdin="", **options):
    """A finished program of Python, for which these arguments are, as text; see `tests.forks`.

    Its environment has the package's folder and encoding of this interpreter, whatever is given.
    """
    ours = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    env = {name: value for name, value in env.items() if not name.startswith("PYTHON")} | ours
    process = forks.Fork([*map(str, arguments)], env=env, **_PIPES, **options)
    done = _finished(process, stdin.encode())
    return subprocess.CompletedProcess(
        arguments, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def _finished(process, stdin):
    with process:
        try:
            stdout, stderr = process.communicate(stdin, 100)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


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
    process = start(*arguments, env=environment(url), **(_PIPES | options))
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait(100)
