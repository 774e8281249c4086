"""Pythons without optional modules, or with another urllib3: each import works, and says what is
missing where it is needed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Without())
"""


def run_without(missing, program, *arguments):
    """What a program prints where these modules are missing."""
    text = f"MISSING = {missing!r}\n{WITHOUT}\n{textwrap.dedent(program)}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


TRY = """
import logplex_handler
from logplex_handler import *
logplex_handler.KeyValueFormatter()
measure("a", 1)
try:
    print(LogplexHandler("https://token:t.hidden-0123@localhost:9/", **OPTIONS))
except ConfigurationError as error:
    print("ConfigurationError:", error)
"""


@pytest.mark.parametrize(
    ("missing", "options", "expected"),
    [
        ("mmap", {}, "<LogplexHandler https://"),
        ("_sqlite3", {}, "<LogplexHandler https://"),
        ("_sqlite3", {"spool": "/tmp/none"}, "ConfigurationError: spool: .*'_sqlite3'"),
        ("fcntl", {"spool": "/tmp/none"}, "ConfigurationError: spool: .*fcntl"),
        ("_ssl", {}, "ConfigurationError: .*'_ssl'"),
        ("zlib", {}, "ConfigurationError: .*'zlib'"),
    ],
)
def test_what_needs_a_missing_module_says_so(missing, options, expected):
    """And nothing else fails, not even the import of all public names."""
    printed = run_without({missing}, TRY.replace("OPTIONS", repr(options)))
    assert re.match(expected, printed), printed


def test_forks_are_noticed_without_mmap():
    program = """
    import os
    from logplex_handler._process import forks
    here = forks.here()
    assert here[0]
    pid = os.fork()
    if not pid:
        os._exit(1 if here[0] else 0)
    print(os.waitpid(pid, 0)[1])
    """
    assert run_without({"mmap"}, program) == "0"


def test_another_package_in_the_place_of_urllib3_is_refused_with_a_cure():
    """As niquests puts one there; connections would fail one by one, in the background."""
    program = """
    import urllib3.connection
    urllib3.connection.HTTPConnection = type("HTTPConnection", (), {})
    from logplex_handler import ConfigurationError, LogplexHandler
    try:
        LogplexHandler("https://token:t.hidden-0123@localhost:9/")
    except ConfigurationError as error:
        print(error)
    """
    printed = run_without(set(), program)
    assert "has replaced urllib3" in printed
    assert "reinstall urllib3" in printed
