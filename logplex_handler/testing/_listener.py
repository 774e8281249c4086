"""A listening port with a thread for each connection, all of which end when it is closed."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from logplex_handler._process import forks


class Listener:
    """Accepts connections in the background until `close()`.

    Threads are daemons, so a forgotten listener does not keep a program from ending.
    """

    def __init__(
        self, address: tuple[str, int], serve: Callable[[socket.socket, int], None]
    ) -> None:
        """`serve` is called in a thread of its own with each connection and its number, from 1;
        the connection is closed when it returns, and an OSError ends it quietly.

        Raises OSError if the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._serve = serve
        self._socket = socket.create_server(address, family=family, backlog=128)
        # A client may be gone again before accept() is reached, which must not wait for the next.
        self._socket.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        # Guards the closing of a connection: its number could belong to a stranger right after.
        self._lock = threading.Lock()
        # Changed by the accepting thread alone, and read by others only after it has ended.
        self._connections: list[tuple[threading.Thread, socket.socket]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="logplex-receiver", daemon=True)
        self.port: int = self._socket.getsockname()[1]
        self._thread.start()
        forks.register(self)

    def close(self) -> None:
        """Close the port and every connection and wait for all threads; harmless twice."""
        if self._closed:
            return
        self._closed = True
        self._wake.send(b"\0")
        self._thread.join()
        for _, connection in self._connections:
            with self._lock, suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._connections:
            thread.join()
        # A forked child may hold the port open as well; only a shutdown reaches that far.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._close_own()

    def after_fork_in_child(self) -> None:
        """Let go of everything: no thread runs in the child, and the parent goes on."""
        self._closed = True
        self._lock = threading.Lock()
        for _, connection in self._connections:
            connection.close()
        self._close_own()

    def _close_own(self) -> None:
        self._connections = []
        self._selector.close()
        for own in (self._socket, self._wake, self._woken):
            own.close()

    def _accept(self) -> None:
        number = 0
        while not self._closed:
            self._selector.select()
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError:
                # Too many open files, say: the socket stays ready, and must not be asked at once.
                time.sleep(0.05)
                continue
            number += 1
            connection.setblocking(True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._run,
                args=(connection, number),
                name=f"logplex-receiver-{number}",
                daemon=True,
            )
            self._connections = [one for one in self._connections if one[0].is_alive()]
            try:
                thread.start()
            except RuntimeError:
                # The system has no thread left; the client sees a reset and tries again.
                connection.close()
                continue
            self._connections.append((thread, connection))

    def _run(self, connection: socket.socket, number: int) -> None:
        try:
            with suppress(OSError):
                self._serve(connection, number)
        finally:
            with self._lock:
                # A forked child may hold the connection open as well.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
