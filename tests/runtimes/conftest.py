"""A fixture that runs a program to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from tests.commands import run_program


@pytest.fixture
def run(tmp_path):
    """Runs a program of that text to its end, in an interpreter of its own or in a fork."""

    def run(url, *parts, timeout=100, forked=False):
        path = tmp_path / "program.py"
        path.write_text("\n".join(textwrap.dedent(part) for part in parts))
        environ = {**os.environ, "LOGPLEX_URL": url}
        if forked:
            done = run_program(path, env=environ, warns=True)
            assert done.returncode == 0, done.stderr
            return done
        done = subprocess.run(
            [sys.executable, str(path)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
