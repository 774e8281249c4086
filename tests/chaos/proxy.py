"""A TCP proxy that misbehaves: toxiproxy's ideas, one plan for each connection."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

# Seconds between two looks at whether it is over.
_LOOK = 0.05
_CHUNK = 16_384


@dataclass(frozen=True)
class Plan:
    """What happens to one connection, in one of its directions.

    Attributes:
        fault: One of `FAULTS`, or empty.
        answers: Whether it strikes on the way back.
        after: How many bytes pass unharmed.
        seconds: How long each delay takes.
    """

    fault: str = ""
    answers: bool = False
    after: int = 0
    seconds: float = 0.0


# Of bytes that are corrupted nobody is told but by TLS, so that is left out where there is none.
FAULTS = ("refuse", "delay", "throttle", "cut", "halve", "reset", "blackhole", "corrupt")


class Proxy:
    """Stands before an address until it is closed; `raging` says whether new connections suffer."""

    def __init__(self, target: tuple[str, int], seed: int, *, corrupts: bool) -> None:
        self._target = target
        self._dice = random.Random(f"proxy {seed}")
        self._faults = [fault for fault in FAULTS if corrupts or fault != "corrupt"]
        self.raging = True
        # How often each fault has struck.
        self.struck: dict[str, int] = {}
        self._over = threading.Event()
        # Guards the three lists and `struck`.
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(_LOOK)
        self.port: int = self._listener.getsockname()[1]
        self._begin(self._accept)

    def calm(self) -> None:
        """From now on every connection is a good one; those that suffer are cut."""
        self.raging = False
        self._cut_all()

    def close(self) -> None:
        """End all connections and threads."""
        self._over.set()
        self._cut_all()
        for thread in list(self._threads):
            thread.join(100)
        self._listener.close()

    def _cut_all(self) -> None:
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _begin(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _plan(self) -> Plan:
        dice = self._dice
        if not self.raging or dice.random() < 0.35:
            return Plan()
        return Plan(
            fault=dice.choice(self._faults),
            answers=dice.random() < 0.4,
            after=dice.choice((0, 1, 200, 2_000, 20_000)),
            seconds=dice.choice((0.01, 0.05, 0.15)),
        )

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            plan = self._plan()
            if plan.fault == "refuse":
                self._strikes(plan)
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, 5)
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets += [client, server]
            ends = _Ends(client, server)
            self._begin(self._pump, ends, client, server, Plan() if plan.answers else plan)
            self._begin(self._pump, ends, server, client, plan if plan.answers else Plan())

    def _strikes(self, plan: Plan) -> None:
        with self._lock:
            self.struck[plan.fault] = self.struck.get(plan.fault, 0) + 1

    def _pump(self, ends: _Ends, source: socket.socket, sink: socket.socket, plan: Plan) -> None:
        passed = 0
        struck = False
        try:
            while data := source.recv(_CHUNK):
                if plan.fault and not struck and passed + len(data) > plan.after:
                    struck = True
                    self._strikes(plan)
                if struck:
                    data = self._harmed(data, plan, ends, max(0, plan.after - passed))
                passed += len(data)
                sink.sendall(data)
                if struck and plan.fault in ("cut", "halve"):
                    break
        except OSError:
            pass
        finally:
            if ends.leave():
                with self._lock:
                    self._sockets = [one for one in self._sockets if one not in ends.both]
                ends.close()

    def _harmed(self, data: bytes, plan: Plan, ends: _Ends, good: int) -> bytes:
        """The bytes that are passed on, perhaps late."""
        if plan.fault == "delay":
            self._over.wait(plan.seconds)
        elif plan.fault == "throttle":
            for _ in range(0, len(data), 4_096):
                self._over.wait(plan.seconds / 4)
        elif plan.fault == "cut":
            return data[:good]
        elif plan.fault == "halve":
            return data[: len(data) // 2]
        elif plan.fault == "reset":
            ends.reset()
            raise ConnectionResetError
        elif plan.fault == "blackhole":
            while self.raging and not self._over.is_set():
                time.sleep(_LOOK)
            raise ConnectionResetError
        elif plan.fault == "corrupt":
            with self._lock:
                place = self._dice.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        return data


class _Ends:
    """The two sockets of a connection, closed by whichever of the two directions ends last."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.both = (client, server)
        self._lock = threading.Lock()
        self._left = 2

    def leave(self) -> bool:
        """This direction is over, so the other one ends too; whether it has."""
        with self._lock:
            self._left -= 1
            for one in self.both:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            return self._left == 0

    def reset(self) -> None:
        for one in self.both:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def close(self) -> None:
        for one in self.both:
            one.close()


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    os.close(connection.detach())
