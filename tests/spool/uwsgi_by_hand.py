"""uWSGI, which compiles itself when it is installed: `tox run -e uwsgi`, not with the others.

At SIGTERM uWSGI 2.0.31 at times leaves a worker behind that waits for requests for ever, if the
application has a thread of its own; with a NullHandler too. Then a test here fails at its time-out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from logplex_handler.testing import LogplexReceiver
from tests.runtimes.shared import APP
from tests.servers import free_port
from tests.spool.killed import SHOP, running, storm

# The tests' environment need not be the one that is active.
UWSGI = shutil.which("uwsgi", path=str(Path(sys.executable).parent)) or "uwsgi"


@pytest.mark.parametrize(
    "arguments",
    [["--enable-threads"], ["--enable-threads", "--lazy-apps"], []],
    ids=["threads", "loaded-by-workers", "no-threads"],
)
def test_workers_deliver_every_request_once(tmp_path, arguments):
    """They fork without telling Python, and where there are no threads the end delivers."""
    (tmp_path / "shop.py").write_text(APP.replace("app(environ", "application(environ"))
    port = free_port()
    with (
        LogplexReceiver(max_requests=10_000) as logplex,
        (tmp_path / "said").open("w") as output,
    ):
        server = subprocess.Popen(
            [
                *(UWSGI, "--http-socket", f"127.0.0.1:{port}", "--module", "shop"),
                *("--processes", "3", "--master", "--die-on-term", *arguments),
            ],
            cwd=tmp_path,
            env={**os.environ, "LOGPLEX_URL": logplex.url, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for number in range(60):
                deadline = time.monotonic() + 10
                while True:
                    try:
                        requests.get(f"http://127.0.0.1:{port}/{number}", timeout=15)
                        break
                    except requests.ConnectionError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(100)
        lines = [line.text for line in logplex.lines]
    said = (tmp_path / "said").read_text()
    assert "not delivered" not in said
    of_requests = [line for line in lines if line.startswith("request")]
    assert sorted(of_requests) == sorted(f"request /{number}" for number in range(60))
    background = [line for line in lines if line.startswith("background")]
    assert len(background) == len(set(background))
    assert ("uWSGI runs no threads" in said) == (not arguments)


@pytest.mark.parametrize("lazy", [["--lazy-apps"], []], ids=["loaded-by-workers", "forked"])
def test_workers_that_share_a_spool_and_are_killed(story, lazy):
    """Other workers deliver their lines while they serve."""
    (story.folder / "shop.py").write_text(SHOP.replace("app(environ", "application(environ"))
    port = free_port()
    with running(
        story,
        *(UWSGI, "--http-socket", f"127.0.0.1:{port}", "--module", "shop", "--processes", "3"),
        *("--master", "--die-on-term", "--enable-threads", *lazy),
        PYTHONPATH=os.pathsep.join(sys.path),
    ) as server:
        storm(story, server, f"http://127.0.0.1:{port}")
    story.check()
