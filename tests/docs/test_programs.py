"""Each framework's page: its commands run, and the lines it shows arrive."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from logplex_handler.testing import LogplexReceiver
from tests.docs.blocks import EXAMPLES, Block, blocks, name, pages, pattern
from tests.logs import wait_until
from tests.servers import free_port

PORT = "8000"
BIN = Path(sys.executable).parent


def _servers() -> list[ParameterSet]:
    """Each page with each of its servers, or with None if it needs none."""
    found = []
    for page in pages():
        of_page = blocks(page)
        if any(block.says == "arrives" for block in of_page):
            servers = [block for block in of_page if _is_server(block)]
            found += [
                pytest.param(page, server, id=f"{name(page)}-{number}")
                for number, server in enumerate(servers or [None])
            ]
    return found


def _is_server(block: Block) -> bool:
    return str(block.says).startswith(("server", "worker"))


def _catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(re.findall(r"SigCgt:\s*(\w+)", status)[0], 16) >> (signal.SIGTERM - 1) & 1)


def _listens(port: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
        return True
    return False


@contextlib.contextmanager
def _running(server: Block, port: str, registry: Path, environ: dict[str, str]) -> Iterator[None]:
    """The server, from when it listens; SIGTERM goes to all its processes, as on Heroku."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {server.text.strip().replace(PORT, port)}"],
        cwd=registry,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if str(server.says).startswith("worker"):
        # Before that, SIGTERM would end it at once.
        is_up = wait_until(lambda: _catches_sigterm(process.pid))
    else:
        is_up = wait_until(lambda: _listens(port))
    try:
        if is_up:
            yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            said, _ = process.communicate(timeout=100)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        print(said)
    assert is_up, "it does not listen"
    # Whatever the handler has to complain of is on stderr.
    assert "logplex_handler:" not in said


def _run(commands: str, registry: Path, environ: dict[str, str]) -> None:
    finished = subprocess.run(
        ["bash", "-euc", commands],
        cwd=registry,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    print(finished.stdout, finished.stderr)
    assert finished.returncode == 0
    assert "logplex_handler:" not in finished.stderr


def _shown(logplex: LogplexReceiver) -> list[str]:
    """The lines as `heroku logs` shows them, without the time."""
    return [str(line).partition(" ")[2] for line in logplex.lines]


def _missing(expected: list[str], logplex: LogplexReceiver) -> list[str]:
    """The expected lines that did not arrive; those of two processes may come in any order."""
    lines = _shown(logplex)
    return [one for one in expected if not any(re.fullmatch(pattern(one), line) for line in lines)]


@contextlib.contextmanager
def _broker(page: Path) -> Iterator[dict[str, str]]:
    """A Redis for a page whose programs need a broker; its variable."""
    if "BROKER_URL" not in page.read_text(encoding="utf-8"):
        yield {}
        return
    # It takes long to import.
    from tests.docs.broker import redis

    with redis() as url:
        yield {"BROKER_URL": url}


def _environ(logplex: LogplexReceiver, port: str) -> dict[str, str]:
    """That of a dyno, with this Python's programs."""
    environ = {key: value for key, value in os.environ.items() if "LOGPLEX_" not in key}
    return environ | {
        "LOGPLEX_URL": logplex.url,
        "PORT": port,
        "DYNO": "web.1",
        # A worker that is still starting may miss both its signal and gunicorn's.
        "GUNICORN_CMD_ARGS": "--graceful-timeout 30",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.mark.parametrize(("page", "server"), _servers())
def test_what_a_page_shows_arrives(page: Path, server: Block | None) -> None:
    """The server answers the client; stopped at once, it delivers its records."""
    of_page = blocks(page)
    registry = EXAMPLES / page.stem.replace("-", "_")
    clients = [block for block in of_page if block.says == "client"]
    arrives = [block for block in of_page if block.says == "arrives"]
    expected = [line for block in arrives for line in block.text.splitlines()]
    assert clients
    port = str(free_port())
    with LogplexReceiver() as logplex, contextlib.ExitStack() as stack:
        environ = _environ(logplex, port) | stack.enter_context(_broker(page))
        if server is not None:
            stack.enter_context(_running(server, port, registry, environ))
        for client in clients:
            _run(client.text.replace(PORT, port), registry, environ)
        if server is not None and "waited for" in str(server.says):
            wait_until(lambda: not _missing(expected, logplex))
        stack.close()
        missing = _missing(expected, logplex)
        assert not missing, "\n".join(_shown(logplex))
        assert not logplex.violations


def test_a_dyno_is_started_by_the_procfile() -> None:
    """The `web` process serves at Heroku's port, and logs."""
    registry = EXAMPLES / "heroku"
    processes = dict(
        line.split(": ", 1) for line in (registry / "Procfile").read_text().splitlines()
    )
    assert set(processes) == {"web", "worker"}
    port = str(free_port())
    with LogplexReceiver() as logplex:
        environ = _environ(logplex, port)
        with _running(Block("sh", None, "server", processes["web"], 0), port, registry, environ):
            _run(f"curl --silent --fail http://127.0.0.1:{port}/orders/42", registry, environ)
        expected = "app[web.1]: level=info logger=shop page=/orders/42"
        assert not _missing([expected], logplex)
