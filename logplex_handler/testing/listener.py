"""A listening port with a thread for each connection."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from logplex_handler._process import forks


def is_wildcard(host: str) -> bool:
    """Return whether `host` stands for every address of the machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


class Listener:
    """Accepts connections in a background thread until `close()`.

    All threads are daemons, so a listener that is never closed does not keep the program running.
    """

    def __init__(
        self, address: tuple[str, int], serve: Callable[[socket.socket, int], None]
    ) -> None:
        """Listen on `address`; raises OSError if that is not possible.

        Args:
            address: Host and port; port 0 takes any free one.
            serve: Called in a separate thread with each connection and its number, from 1. The
                connection is closed when `serve` returns or raises OSError.
        """
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._serve = serve
        try:
            address[0].encode("idna")
        except UnicodeError:
            raise OSError(f"not the name of a host: {address[0]!a}") from None
        self._socket = socket.create_server(address, family=family, backlog=128)
        # A client may disconnect before accept() is called; that call must not block until the next
        # client.
        self._socket.setblocking(False)
        self._wake_sender, self._wake_receiver = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        # Guards the sockets of connections: one that is closed must not be shut down, because its
        # descriptor may be reused at once.
        self._lock = threading.Lock()
        # Changed only by the accepting thread; other threads read it after that thread has ended.
        self._connections: list[tuple[threading.Thread, socket.socket]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="logplex-receiver", daemon=True)
        self.port: int = self._socket.getsockname()[1]
        self._thread.start()
        forks.register(self)

    def close(self) -> None:
        """Close the port and every connection, and wait for all threads; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._wake_sender.send(b"\0")
        self._thread.join()
        for _, connection in self._connections:
            with self._lock, suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._connections:
            thread.join()
        # A forked child may also hold the port open; close() alone would leave it listening.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._close_sockets()

    def after_fork_in_child(self) -> None:
        """Close the child's copies of all sockets; the parent continues to listen."""
        self._closed = True
        self._lock = threading.Lock()
        for _, connection in self._connections:
            connection.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._connections = []
        self._selector.close()
        for opened in (self._socket, self._wake_sender, self._wake_receiver):
            opened.close()

    def _accept(self) -> None:
        number = 0
        while not self._closed:
            self._selector.select()
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError:
                # For example, too many open files. The socket stays readable, so pause before
                # retrying.
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
            self._connections = [entry for entry in self._connections if entry[0].is_alive()]
            try:
                thread.start()
            except RuntimeError:
                # No more threads can be started; the client sees a reset and tries again.
                connection.close()
                continue
            self._connections.append((thread, connection))

    def _run(self, connection: socket.socket, number: int) -> None:
        try:
            with suppress(OSError):
                self._serve(connection, number)
        finally:
            with self._lock:
                # A forked child may also hold the connection open.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
