"""gunicorn forks its workers, with and without a preloaded application."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest
import requests

from logplex_handler.testing import LogplexReceiver
from tests.runtimes.shared import APP, children, gunicorn_conf
from tests.servers import free_port

# Graceful restarts under load; a hundred of them by hand: `RESTARTS=100 pytest -k restarts`.
RESTARTS = int(os.environ.get("RESTARTS", "3"))


@contextmanager
def _gunicorn(tmp_path, logplex, workers, *arguments):
    """A running server of `APP`: its process, its address, and its stderr at the end."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(APP))
    (tmp_path / "gunicorn.conf.py").write_text(gunicorn_conf(workers))
    port = free_port()
    # No load makes a worker take so long to start, or to deliver at its end.
    patience = ["--timeout", "100", "--graceful-timeout", "60"]
    options = [*patience, "--worker-class", workers, "--threads", "2", *arguments]
    said: list[str] = []
    # Not to a pipe, which would have to be read meanwhile.
    with (tmp_path / "stderr").open("w+") as stderr:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "shop:app", "--bind", f"127.0.0.1:{port}"),
                *options,
            ],
            cwd=tmp_path,
            env={**os.environ, "LOGPLEX_URL": logplex.url},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            yield server, f"http://127.0.0.1:{port}", said
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(100)
            said.append((tmp_path / "stderr").read_text())
    assert server.returncode == 0, said


def _get(url, seconds=100.0):
    """Ask until there is an answer: the server may be about to start."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return requests.get(url, timeout=60)
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _check_what_arrived(logplex, requested, said):
    """Each request's line once, as each other line."""
    # The background thread goes on after the end, and that is said; nothing else is lost.
    assert "not delivered" not in said[0]
    assert "records dropped" not in said[0]
    lines = [line.text for line in logplex.lines]
    of_requests = [line for line in lines if line.startswith("request")]
    assert sorted(of_requests) == sorted(f"request /{number}" for number in requested)
    background = [line for line in lines if line.startswith("background")]
    assert len(background) == len(set(background))
    assert background
    return [line for line in lines if line.startswith("loaded")]


@pytest.mark.parametrize("preload", [False, True], ids=["loaded-by-workers", "preloaded"])
@pytest.mark.parametrize("workers", ["sync", "gthread", "gevent"])
def test_workers_deliver_every_request_once(tmp_path, preload, workers):
    """They fork while other threads log, and an orderly stop delivers waiting records."""
    arguments = ["--workers", "3", *(["--preload"] if preload else [])]
    with LogplexReceiver(max_requests=10_000) as logplex:
        with _gunicorn(tmp_path, logplex, workers, *arguments) as (_, url, said):
            for number in range(60):
                _get(f"{url}/{number}")
        loaded = _check_what_arrived(logplex, range(60), said)
    assert len(loaded) == len(set(loaded)) == (1 if preload else 3)


@pytest.mark.timeout(120 + 100 * RESTARTS)
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.parametrize("workers", ["sync", "gthread"])
def test_graceful_restarts_under_load_lose_nothing(tmp_path, workers):
    """Eight workers of a preloaded application are replaced again and again."""
    arguments = ["--workers", "8", "--preload"]
    numbers = itertools.count()
    answered: list[int] = []
    over = threading.Event()
    with LogplexReceiver(max_requests=100_000) as logplex:
        with _gunicorn(tmp_path, logplex, workers, *arguments) as (server, url, said):
            _get(f"{url}/first")

            def ask():
                while not over.wait(0.02):
                    number = next(numbers)
                    assert requests.get(f"{url}/{number}", timeout=60).status_code == 200
                    answered.append(number)

            clients = [threading.Thread(target=ask) for _ in range(2)]
            for client in clients:
                client.start()
            try:
                for _ in range(RESTARTS):
                    before = children(server.pid)
                    server.send_signal(signal.SIGHUP)
                    deadline = time.monotonic() + 100
                    while (now := children(server.pid)) & before or len(now) < 8:
                        assert time.monotonic() < deadline
                        time.sleep(0.02)
            finally:
                over.set()
                for client in clients:
                    client.join()
        _check_what_arrived(logplex, ["first", *answered], said)
    assert len(answered) == next(numbers) > 10 * RESTARTS
