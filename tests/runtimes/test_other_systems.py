"""Windows and macOS, as far as they can be simulated: nobody has run the package there.

Each program runs in an interpreter that lacks what those systems lack, before anything is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.pace import far_interval

# What the standard library and the HTTP libraries ask the platform for has been asked by then.
WINDOWS = """
import asyncio, multiprocessing, os, signal, sqlite3, ssl, subprocess, sys, time, uuid
import logging.handlers, requests
for name in ("fork", "register_at_fork", "getuid", "geteuid", "getloadavg", "fchmod", "fchown",
             "O_NOFOLLOW", "O_CLOEXEC", "killpg", "WNOHANG"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "alarm", "setitimer", "pthread_sigmask", "SIGKILL", "SIGUSR1"):
    if hasattr(signal, name):
        delattr(signal, name)
class Without:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "pwd", "grp"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Without())
sys.platform = "win32"
"""

# Of Windows: steps of 16 ms.
COARSE = """
import time
monotonic, wall = time.monotonic, time.time
time.monotonic = lambda: monotonic() // 0.016 * 0.016
time.time = lambda: wall() // 0.016 * 0.016
"""

LOGGING = """
import logging
from logplex_handler import LogplexHandler, Metrics, flush_on_sigterm, use_stream
logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
"""


def run(program, url="", **environ):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**os.environ, "LOGPLEX_URL": url, **environ},
        capture_output=True,
        timeout=100,
        check=False,
    )


PROGRAM = (
    LOGGING
    + f"INTERVAL = {far_interval()}\n"
    + """
patience = {"timeout": 60, "shutdown_timeout": 60}
handler = LogplexHandler(streams={1: os.environ["LOGPLEX_URL"]}, compress=True, **patience)
logger.addHandler(handler)
flush_on_sigterm()
metrics = Metrics(logger, interval=INTERVAL)
for number in range(300):
    logger.info("number %d", number)
    metrics.count("numbers")
with use_stream(1):
    logger.info("in a stream")
try:
    raise KeyError("nothing")
except KeyError:
    logger.exception("failed")
"""
)


@pytest.mark.parametrize(
    "system", [WINDOWS, COARSE, WINDOWS + COARSE, "import os"], ids=lambda _: ""
)
def test_lines_arrive_on_a_system_without_forks(system):
    """With clocks of 16 ms too; at the end of the program, without a word on stderr."""
    with LogplexReceiver() as logplex:
        done = run(system + "\nimport os\n" + PROGRAM, logplex.url)
        assert (done.returncode, done.stderr) == (0, b"")
        texts = [line.text for line in logplex.lines]
        assert not logplex.violations
    assert [text for text in texts if "number " in text] == [
        f'level=info logger=app msg="number {number}"' for number in range(300)
    ]
    assert sum("in a stream" in text for text in texts) == 1
    assert sum("error=KeyError" in text for text in texts) == 1
    assert "count#numbers=300" in texts


def test_a_spool_is_refused_where_there_are_no_record_locks():
    """The error names the option and what is missing."""
    done = run(
        WINDOWS
        + LOGGING
        + "\ntry: LogplexHandler('http://u:t@localhost:9/', spool='spool')"
        + "\nexcept ValueError as error: print(error)"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"spool: ")
    assert b"fcntl" in done.stdout


def test_children_of_multiprocessing_deliver_where_there_is_no_fork(tmp_path):
    """They are spawned."""
    program = tmp_path / "work.py"
    program.write_text(
        "import os\n"
        # Its own `multiprocessing` needs what this system has.
        + WINDOWS.replace('sys.platform = "win32"', "").replace(', "WNOHANG"', "")
        + LOGGING
        + textwrap.dedent(
            """
            def work():
                logger.addHandler(LogplexHandler(timeout=60, shutdown_timeout=60))
                logger.info("child")
            if __name__ == "__main__":
                child = multiprocessing.get_context("spawn").Process(target=work)
                child.start()
                child.join()
                sys.exit(child.exitcode)
            """
        )
    )
    with LogplexReceiver() as logplex:
        done = subprocess.run(
            [sys.executable, program],
            env={**os.environ, "LOGPLEX_URL": logplex.url},
            capture_output=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert [line.text for line in logplex.lines] == ["level=info logger=app msg=child"]


def test_a_console_of_windows_shows_what_the_handler_reports():
    """In cp1252, which has neither these letters nor a way to write them."""
    program = LOGGING + (
        "\nlogger.addHandler(LogplexHandler(streams={}))"
        "\nlogger.error('\u0142\u00f3d\u017a', extra={'logplex_stream': '\u4e2d\u6587'})"
        "\nlogger.handlers[0].flush(1)"
    )
    done = run(WINDOWS + program, "http://u:t@127.0.0.1:9/", PYTHONIOENCODING="cp1252:strict")
    assert done.returncode == 0
    assert b"logplex_handler: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["demo --seconds 0.5", "check", "send hello", "--help"])
def test_the_commands_write_to_a_console_of_windows(command):
    with LogplexReceiver() as logplex:
        done = subprocess.run(
            [sys.executable, "-m", "logplex_handler", *command.split()],
            env={
                **os.environ,
                "LOGPLEX_URL": logplex.url,
                "PYTHONIOENCODING": "cp1252:strict",
                "PYTHONUTF8": "0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert b"UnicodeEncodeError" not in done.stderr
