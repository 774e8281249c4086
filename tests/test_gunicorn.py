"""A server that forks its workers, with and without the application loaded before."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
import requests

from logplex_handler.testing import LogplexReceiver

APP = """
import logging, os, threading, time
from logplex_handler import LogplexHandler

handler = LogplexHandler(flush_interval=30)
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("app")
log.setLevel(logging.DEBUG)
log.addHandler(handler)
log.info("loaded %d", os.getpid())

def background():
    while True:
        log.info("background %d %f", os.getpid(), time.time())
        time.sleep(0.001)

threading.Thread(target=background, daemon=True).start()

def app(environ, start_response):
    log.info("request %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("preload", [False, True], ids=["loaded-by-workers", "preloaded"])
@pytest.mark.parametrize("workers", ["sync", "gthread"])
def test_workers_deliver_every_request_once(tmp_path, preload, workers):
    """They fork while other threads log, and an orderly stop delivers what waits."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(APP))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "shop:app", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "3", "--worker-class", workers, "--threads", "2"),
        *("--graceful-timeout", "8"),
    ]
    with LogplexReceiver(max_requests=10_000) as logplex:
        server = subprocess.Popen(
            [*command, *(["--preload"] if preload else [])],
            cwd=tmp_path,
            env={**os.environ, "LOGPLEX_URL": logplex.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for number in range(60):
                deadline = time.monotonic() + 10
                while True:
                    try:
                        requests.get(f"http://127.0.0.1:{port}/{number}", timeout=5)
                        break
                    except requests.ConnectionError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=15)
        assert server.returncode == 0, said
        # The background thread goes on after the end, and that is said; nothing else is lost.
        assert "not delivered" not in said
        assert "records dropped" not in said
        lines = [line.text for line in logplex.lines]
    requested = [line for line in lines if line.startswith("request")]
    assert sorted(requested) == sorted(f"request /{number}" for number in range(60))
    loaded = [line for line in lines if line.startswith("loaded")]
    assert len(loaded) == len(set(loaded)) == (1 if preload else 3)
    background = [line for line in lines if line.startswith("background")]
    assert len(background) == len(set(background))
    assert background
