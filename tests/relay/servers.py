"""A real redis-server for a test, on a port or a socket of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.servers import free_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
PATIENCE = 15


class RedisServer:
    """A server with its data in a folder, which may be frozen, killed and started again."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.password = password
        self.options = [*options, *(["--requirepass", password] if password else [])]
        self.start()

    @property
    def url(self) -> str:
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        import redis

        return redis.Redis(port=self.port, password=self.password or None, protocol=2)

    def start(self) -> None:
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [
                PROGRAM,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0"),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        import redis

        try:
            with self.client as client:
                return bool(client.ping())
        except redis.exceptions.RedisError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def wait_until(holds: Any) -> None:
    """Wait until a condition holds, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
