"""The receiver of a simulation: it accepts, refuses, hangs and fails, and notes every request."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass

_ANSWERS = {
    status: b"HTTP/1.1 %d Some Words\r\nContent-Length: 0\r\n\r\n" % status
    for status in (401, 403, 503)
} | {204: b"HTTP/1.1 204 No Content\r\n\r\n"}
# Ports that never answer.
_HANGING = 10


@dataclass(eq=False)
class Request:
    """One request, and what became of it.

    Attributes:
        shipper: The name of the shipper that made it.
        began: When all of it was there, on this process's monotonic clock.
        ended: When it was answered, or its connection ended.
        is_routed: Whether its lines have reached the customer, whatever was answered.
    """

    stream: int
    kind: str
    frame_id: str
    shipper: str
    body: bytes
    began: float
    ended: float = float("inf")
    is_routed: bool = False


class Receiver:
    """Serves in a thread of its own, until it is closed."""

    def __init__(self, seed: int, *, is_calm: bool = False) -> None:
        self.dice = random.Random(f"receiver {seed}")
        # Whether nothing fails, and nobody is refused.
        self.is_calm = is_calm
        self.requests: list[Request] = []
        self.ports: list[int] = []
        self.transports: set[asyncio.Transport] = set()
        self._servers: list[asyncio.Server] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _listen(self) -> None:
        for _ in range(1 + _HANGING):
            server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
            self.ports.append(server.sockets[0].getsockname()[1])
            self._servers.append(server)

    async def _end(self) -> None:
        for transport in self.transports:
            transport.abort()
        for server in self._servers:
            server.close()
            await server.wait_closed()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._data = b""
        self._current: Request | None = None

    def connection_made(self, transport):
        self._transport = transport
        self._receiver.transports.add(transport)

    def connection_lost(self, error):
        self._receiver.transports.discard(self._transport)
        self._end()

    def _end(self) -> None:
        if self._current is not None:
            self._current.ended = time.monotonic()
            self._current = None

    def data_received(self, data):
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if len(body) < int(headers["content-length"]):
            return
        self._data = b""
        _, kind, stream = first.split()[1].split("/")
        request = Request(
            int(stream),
            kind,
            headers["logplex-frame-id"],
            headers["user-agent"].partition(" ")[0],
            body,
            time.monotonic(),
        )
        self._current = request
        self._receiver.requests.append(request)
        self._answer(request)

    def _answer(self, request: Request) -> None:
        receiver = self._receiver
        if request.kind == "hangs" and not receiver.is_calm:
            return
        if request.kind == "rotated":
            self._say(403)
        elif request.kind == "refused" and not receiver.is_calm:
            self._say(401)
        elif receiver.is_calm or (luck := receiver.dice.random()) > 0.01:
            request.is_routed = True
            self._say(204)
        elif luck > 0.003:
            # Slow.
            request.is_routed = True
            asyncio.get_running_loop().call_later(0.5, self._say, 204)
        elif luck > 0.001:
            # The customer has the lines, and the shipper does not know.
            request.is_routed = True
            self._transport.abort()
        else:
            self._say(503)

    def _say(self, status: int) -> None:
        self._end()
        if not self._transport.is_closing():
            self._transport.write(_ANSWERS[status])
