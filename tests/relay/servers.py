"""A real redis-server for a test, on a port or a socket of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.logs import wait_until
from tests.servers import Server, free_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
# Seconds, so many that only what hangs takes them.
PATIENCE = 100


class RedisServer:
    """A server with its data in a folder, which may be frozen, killed and started again."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.password = password
        self.options = [*options, *(["--requirepass", password] if password else [])]
        for _ in range(3):
            # Another run may have taken the port meanwhile.
            self.port = free_port()
            if self._starts():
                return
        raise ChildProcessError("the server has ended")

    @property
    def url(self) -> str:
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        import redis

        return redis.Redis(port=self.port, password=self.password or None, protocol=2)

    def start(self) -> None:
        if not self._starts():
            raise ChildProcessError("the server has ended")

    def _starts(self) -> bool:
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
        assert wait_until(lambda: self.process.poll() is not None or self._answers())
        return self.process.poll() is None

    def _answers(self) -> bool:
        """Whether it is this server that answers, and not another one on its port."""
        import redis

        try:
            with self.client as client:
                return bool(client.info("server")["process_id"] == self.process.pid)
        except redis.exceptions.RedisError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Line(Server):
    """A way to a server, on which nothing arrives while it is `cut`, and no answers while `deaf`.

    A connection of which something was lost stays cut, as the rest of it would be nonsense.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.cut = threading.Event()
        self.deaf = threading.Event()
        super().__init__()

    def mend(self) -> None:
        """Let everything arrive again, but on new connections: those there are get a reset."""
        self.cut.clear()
        self.deaf.clear()
        for one in self._sockets:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.shutdown(socket.SHUT_RDWR)
                one.close()

    def lead_to(self, target: int) -> None:
        """Lead to another server from now on."""
        self._target = target
        self.mend()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _serve(self, connection: socket.socket, number: int) -> None:
        # The server may have been killed.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as there:
            self._sockets.append(there)
            lost = threading.Event()
            back = threading.Thread(
                target=self._pass_on, args=(there, connection, lost, self.deaf), daemon=True
            )
            back.start()
            self._pass_on(connection, there, lost, self.cut)
            back.join(PATIENCE)

    def _pass_on(
        self,
        source: socket.socket,
        sink: socket.socket,
        lost: threading.Event,
        stops: threading.Event,
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self.cut.is_set() or stops.is_set():
                    lost.set()
                if not lost.is_set():
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
