"""Shippers in processes of their own, that are started, frozen, killed and ended."""

from __future__ import annotations

import re
import signal
import tempfile
from dataclasses import dataclass
from typing import IO

from tests.commands import environment, start
from tests.forks import Fork
from tests.logs import wait_until
from tests.relay.servers import PATIENCE
from tests.relay.simulation.streams import PORTS


@dataclass(eq=False)
class ShipperProcess:
    """One shipper.

    Attributes:
        name: Its user agent, by which the receiver knows it.
        said: A file with what it has said on stderr.
        is_over: Whether it was killed, or told to end.
        thaws_at: When it is to go on, if it is frozen, on the monotonic clock.
    """

    name: str
    process: Fork
    said: IO[bytes]
    is_frozen: bool = False
    is_over: bool = False
    thaws_at: float = 0.0

    @property
    def relay_name(self) -> str:
        """Its name in the relay; empty until it ships."""
        found = re.search(r"ships as (\S+)", self.stderr)
        return found[1] if found else ""

    @property
    def stderr(self) -> str:
        with open(self.said.name, encoding="utf-8") as said:
            return said.read()

    def freeze(self) -> None:
        self.is_frozen = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.is_frozen = False
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.is_over = True
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self) -> None:
        self.is_over = True
        self.thaw()
        self.process.terminate()


class Fleet:
    """All shippers of a simulation, dead or alive."""

    def __init__(self, relay: str, ports: list[int], *, flush_interval: float = 2.0) -> None:
        self._environ = {"LOGPLEX_RELAY": relay, PORTS: ",".join(map(str, ports))}
        streams = "tests.relay.simulation.streams:streams"
        self._options = ("--streams", streams, "--flush-interval", str(flush_interval))
        self.all: list[ShipperProcess] = []

    @property
    def alive(self) -> list[ShipperProcess]:
        return [one for one in self.all if not one.is_over]

    @property
    def awake(self) -> list[ShipperProcess]:
        """Those that ship: they are neither frozen nor still starting."""
        return [one for one in self.alive if not one.is_frozen and one.relay_name]

    def start(self, number: int = 1) -> list[ShipperProcess]:
        started = []
        for _ in range(number):
            name = f"shipper-{len(self.all)}"
            # Closed by `close`.
            said = tempfile.NamedTemporaryFile()  # noqa: SIM115
            process = start(
                *("ship", *self._options),
                env=environment(LOGPLEX_USER_AGENT=name, **self._environ),
                stderr=said,
            )
            started.append(ShipperProcess(name, process, said))
            self.all.append(started[-1])
        return started

    def end_all(self) -> None:
        """Tell those that are alive to end, and wait for all that were told."""
        # One that has just started would not end in order.
        for one in self.alive:
            one.thaw()
        assert wait_until(lambda: self.awake == self.alive, PATIENCE)
        for one in self.alive:
            one.terminate()
        for one in self.all:
            one.process.wait(PATIENCE)

    def close(self) -> None:
        for one in self.all:
            one.process.kill()
            one.process.wait(PATIENCE)
            one.said.close()
