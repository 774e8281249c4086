"""The streams of the simulation, as its shippers are given them; see `shippers.Fleet`."""

from __future__ import annotations

import os

from tests.relay.simulation.plan import kind_of
from tests.servers import TOKEN

# The receiver's ports: the first one answers, and the others, which are hosts of their own, hang.
PORTS = "SIMULATION_PORTS"


class Streams:
    """Finds a stream's URL; the one of a rotated stream is refused before it is looked up again."""

    def __init__(self, ports: list[int]) -> None:
        self._port, *self._hanging = ports

    def url_for(self, stream: int) -> str:
        kind = kind_of(stream)
        port = self._port
        if kind == "hangs":
            port = self._hanging[stream // 100 % len(self._hanging)]
        return self._url(port, kind, stream)

    def refresh(self, stream: int, rejected: str) -> str:
        kind = kind_of(stream)
        return self._url(self._port, "new" if kind == "rotated" else kind, stream)

    def _url(self, port: int, kind: str, stream: int) -> str:
        return f"http://token:{TOKEN}@127.0.0.1:{port}/{kind}/{stream}"


streams = Streams([int(port) for port in os.environ.get(PORTS, "1").split(",")])
