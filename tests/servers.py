"""HTTP servers that misbehave: a script gives the answer to each request."""

import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

TOKEN = "t.01234567-89ab-cdef-0123-456789abcdef"

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def free_port() -> int:
    """Return a port of 127.0.0.1 for a server that another process starts.

    It lies below the ports that systems hand out by themselves (from 32768 on Linux and from
    49152 elsewhere), so nothing else takes it before that server does.
    """
    while True:
        # Not seeded by a test: runs beside this one must not try the same ports.
        port = random.SystemRandom().randrange(20_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, which nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@dataclass
class Received:
    """One request: the connection's number, the target, headers in lower case, and the body."""

    connection: int
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def frame_id(self) -> str:
        return self.headers["logplex-frame-id"]


Step = Callable[[socket.socket], object]


def answer(status: int, *headers: str) -> Step:
    """Answer with a status and an empty body, and keep the connection."""
    lines = [f"HTTP/1.1 {status} Some Words", "Content-Length: 0", *headers]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return lambda connection: connection.sendall(head)


def accept(connection: socket.socket) -> None:
    """Answer 204 and keep the connection."""
    connection.sendall(NO_CONTENT)


def reset(connection: socket.socket) -> None:
    """Cut the connection with a reset, without an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    # Closing alone would wait for the reader that stands on top of it.
    os.close(connection.detach())


def hang_up(connection: socket.socket) -> None:
    """Close the connection in good order, without an answer."""
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def hang(connection: socket.socket) -> None:
    """Give no answer until the client closes the connection, or the server is closed."""
    connection.recv(1)


class Server:
    """Accepts connections, each of which a thread serves, until it is closed."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        # Set when the test is over: for answers that wait.
        self.stopped = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        # It may be adding a last connection.
        self._threads[0].join(100)
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(100)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connection)
            thread = threading.Thread(
                target=self._serve, args=(connection, self.connections), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        raise NotImplementedError


@dataclass
class ScriptedServer(Server):
    """Takes whole requests and answers each by the next step; the last step stays."""

    steps: list[Step]
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        # The `request` that a step is to answer: several are at work at a time.
        self.current = threading.local()
        super().__init__(self.host, self.port)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://token:{TOKEN}@{self.host}:{self.port}/logs"

    def begin_anew(self, *steps: Step) -> None:
        """Answer by these steps from now on, and forget what was received before, all at once."""
        with self._lock:
            self.steps[:] = steps
            self.received.clear()

    def frames(self) -> list[bytes]:
        """The texts of all frames of all requests, in order."""
        return [text for request in self.received for text in texts(request.body)]

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self.tls is None:
                self._converse(connection, number)
                return
            with self.tls.wrap_socket(connection, server_side=True) as secured:
                self._sockets.append(secured)
                self._converse(secured, number)

    def _converse(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (received := _read(stream, number)) is not None:
                with self._lock:
                    self.received.append(received)
                    step = self.steps[0] if len(self.steps) == 1 else self.steps.pop(0)
                self.current.request = received
                step(connection)
                if connection.fileno() < 0:
                    return


def _read(stream, number: int) -> Received | None:
    first = stream.readline().decode()
    if not first:
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    # Whoever sends may have been killed in the middle.
    return Received(number, first.split()[1], headers, body) if len(body) == length else None


def texts(body: bytes) -> list[bytes]:
    """The message texts of a body's frames, without their newlines."""
    found = []
    while body:
        length, _, rest = body.partition(b" ")
        packet, body = rest[: int(length)], rest[int(length) :]
        found.append(packet.split(b" - - ", 1)[1].removesuffix(b"\n"))
    return found


@contextmanager
def serving(*steps: Step, **options: Any) -> Iterator[ScriptedServer]:
    """A scripted server for a `with` block."""
    server = ScriptedServer(list(steps), **options)
    try:
        yield server
    finally:
        server.close()


def refusing(bad: bytes, refused: int):
    """A step that refuses every request which holds the bad text."""

    def step_for(server):
        def step(connection):
            holds_it = bad in server.received[-1].body
            (answer(refused) if holds_it else accept)(connection)

        return step

    return step_for
