"""A fixture that runs a program to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    """Runs a program of that text to its end."""

    def run(url, *parts, timeout=100):
        path = tmp_path / "program.py"
        path.write_text("\n".join(textwrap.dedent(part) for part in parts))
        done = subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "LOGPLEX_URL": url},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
